"""Draws what a person is known by: each reference with its picture, where one is kept, and how fit it is."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from daemon.image_file import save as save_image
from daemon.lettering import Line, draw_line, set_line
from gallery.face_crop import MOST_PIXELS
from gallery.matcher import measured

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

    from gallery.people import Reference

CELL_PX = 180
TEXT_PX = 15
LINES = 4
ACROSS = 6
MOST_REFERENCES = 120
"""That fit on a picture somebody can look at."""

GROUND_RGB, INK_RGB, EMPTY_RGB, ASIDE_RGB = (255, 255, 255), (20, 20, 20), (230, 230, 230), (178, 24, 43)
NO_PICTURE, UNREADABLE = "no picture kept", "unreadable"


def save(file: Path, name: str, references: Sequence[Reference], crops: Mapping[str, bytes]) -> list[str]:
    """Writes a PNG; UsageError where it can't be written. Notices of what is not on it as it should be.

    crops: PNG or JPEG by the reference's id; who has none gets an empty square that says so.
    """
    from PIL import Image, ImageDraw

    shown = references[:MOST_REFERENCES]
    notices = [f"{file}: no pictures are kept, so that it shows names and numbers alone"] if not crops else []
    if len(shown) < len(references):
        notices.append(f"{file}: shows the first {MOST_REFERENCES} of {len(references)} references")
    across = max(2, min(ACROSS, len(shown)))
    step = round(TEXT_PX * 1.5)
    height = CELL_PX + LINES * step + 8
    head = 3 * step
    sheet = Image.new("RGB", (across * CELL_PX, head + height * math.ceil(len(shown) / across)), GROUND_RGB)
    draw = ImageDraw.Draw(sheet)
    kept = sum(reference.id in crops for reference in shown)
    for row, text in enumerate((name, f"{len(references)} references, pictures kept of {kept}")):
        draw_line(draw, (6, 4 + row * step), _shortened(text, sheet.width - 12, notices), INK_RGB)
    nearest = nearest_own(references)
    for place, reference in enumerate(shown):
        at = (place % across) * CELL_PX, head + (place // across) * height
        _draw_picture(sheet, draw, crops.get(reference.id), at)
        for row, text in enumerate(_lines(reference, nearest[place])):
            rgb = ASIDE_RGB if reference.set_aside else INK_RGB
            line = _shortened(text, CELL_PX - 8, notices)
            draw_line(draw, (at[0] + 4, at[1] + CELL_PX + row * step), line, rgb)
    save_image(file, np.ascontiguousarray(np.asarray(sheet)[:, :, ::-1]))
    return list(dict.fromkeys(notices))


def nearest_own(references: Sequence[Reference]) -> list[float | None]:
    """Of each how far the nearest other one in use is; None: there is none."""
    found: list[float | None] = []
    for place, reference in enumerate(references):
        others = [
            each.encoding
            for i, each in enumerate(references)
            if i != place and each.set_aside is None and each.model == reference.model
        ]
        found.append(float(measured(np.stack(others), reference.encoding).min()) if others else None)
    return found


def _lines(reference: Reference, nearest: float | None) -> tuple[str, ...]:
    return (
        reference.source_name,
        f"{reference.id[:8]}, quality {reference.quality:.2f}",
        "the only one" if nearest is None else f"nearest own {nearest:.3f}",
        f"set aside: {reference.set_aside}" if reference.set_aside else "in use",
    )


def _draw_picture(sheet: Image, draw: ImageDraw, crop: bytes | None, at: tuple[int, int]) -> None:
    from PIL import Image

    x, y = at
    picture = None if crop is None else _opened(crop)
    if picture is None:
        draw.rectangle((x + 2, y + 2, x + CELL_PX - 3, y + CELL_PX - 7), fill=EMPTY_RGB)
        line = set_line(NO_PICTURE if crop is None else UNREADABLE, TEXT_PX, CELL_PX - 8, [])
        draw_line(draw, (x + (CELL_PX - line.width_px) / 2, y + CELL_PX // 2 - TEXT_PX), line, INK_RGB)
        return
    picture.thumbnail((CELL_PX - 4, CELL_PX - 8), Image.Resampling.LANCZOS)
    sheet.paste(picture, (x + (CELL_PX - picture.width) // 2, y + 2 + (CELL_PX - 8 - picture.height) // 2))


def _opened(crop: bytes) -> Image | None:
    """None: what came in an archive is no picture, or one that would fill the memory."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(crop), formats=("PNG", "JPEG")) as opened:
            return opened.convert("RGB") if opened.width * opened.height <= MOST_PIXELS else None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def _shortened(text: str, widest_px: int, notices: list[str]) -> Line:
    """The beginning, as much as fits."""
    line = set_line(text, TEXT_PX, math.inf, notices)
    while line.width_px > widest_px and len(text) > 4:
        text = text[:-2] + "…"
        line = set_line(text, TEXT_PX, math.inf, [])
    return line
