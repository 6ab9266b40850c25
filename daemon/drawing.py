"""Draws what was found onto a picture: boxes, landmarks, names in any script, distances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from daemon.fonts import NoFont, font_for

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

KNOWN_RGB = (46, 204, 113)
UNKNOWN_RGB = (230, 126, 34)
INK_RGB = (0, 0, 0)

SMALLEST_TEXT_PX = 12
LARGEST_TEXT_PX = 48
TEXT_SHARE = 1 / 28
"""Height of the text as a share of the picture's shorter side."""


@dataclass(frozen=True, slots=True)
class Label:
    """One face to draw."""

    box: Sequence[float]
    """left, top, right, bottom in pixels."""
    landmarks: Sequence[Sequence[float]]
    """x, y in pixels, five of them."""
    name: str | None
    """None: unknown."""
    notes: tuple[str, ...] = ()
    """Distance, reasons and the like; one line each below the name."""


def annotate(bgr: NDArray[np.uint8], labels: Sequence[Label]) -> tuple[NDArray[np.uint8], list[str]]:
    """A copy of the picture with the faces drawn on it, and notices of names that no font can draw."""
    from PIL import Image, ImageDraw

    picture = Image.fromarray(np.ascontiguousarray(bgr[:, :, ::-1]))
    draw = ImageDraw.Draw(picture)
    size_px = round(min(max(min(picture.size) * TEXT_SHARE, SMALLEST_TEXT_PX), LARGEST_TEXT_PX))
    notices: list[str] = []
    for label in labels:
        _draw_face(draw, label, size_px, notices)
    return np.ascontiguousarray(np.asarray(picture)[:, :, ::-1]), list(dict.fromkeys(notices))


def _draw_face(draw: ImageDraw, label: Label, size_px: int, notices: list[str]) -> None:
    colour = UNKNOWN_RGB if label.name is None else KNOWN_RGB
    line_px = max(2, size_px // 8)
    left, top, right, bottom = (round(float(edge)) for edge in label.box)
    draw.rectangle((left, top, right, bottom), outline=colour, width=line_px)
    for x, y in label.landmarks:
        draw.ellipse((x - line_px, y - line_px, x + line_px, y + line_px), fill=colour)
    y = float(bottom + line_px)
    for text in ("unknown" if label.name is None else label.name, *label.notes):
        y = _draw_line(draw, (left, y), text, size_px, colour, notices)


def _draw_line(
    draw: ImageDraw,
    at: tuple[float, float],
    text: str,
    size_px: int,
    colour: tuple[int, int, int],
    notices: list[str],
) -> float:
    """Draws a line of text on its own ground, kept inside the picture; returns where the next one goes."""
    try:
        font = font_for(text, size_px)
    except NoFont as error:
        notices.append(str(error))
        text = text.encode("ascii", "backslashreplace").decode("ascii")
        font = font_for(text, size_px)
    width, height = float(draw.textlength(text, font=font)), size_px * 1.25
    x = max(0.0, min(at[0], draw.im.size[0] - width))
    y = max(0.0, min(at[1], draw.im.size[1] - height))
    draw.rectangle((x, y, x + width + 2, y + height), fill=colour)
    draw.text((x + 1, y), text, font=font, fill=INK_RGB)
    return float(y + height)
