"""Draws faces side by side, and between each two how far they are apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from daemon.image_file import save as save_image
from daemon.lettering import Line, Rgb, draw_line, set_line

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

    from gallery.preparing.comparing import ComparedFace, Comparison

MOST_FACES = 40
"""That fit on a picture somebody can look at."""
WIDEST_PX = 2_400
LARGEST_CELL_PX = 160
SMALLEST_CELL_PX = 56

GROUND_RGB, INK_RGB, FAR_RGB = (255, 255, 255), (20, 20, 20), (238, 238, 238)
NEAR_RGB = ((26, 152, 80), (145, 207, 96), (217, 239, 139))
"""By how many of the thresholds the distance lies beyond: none, one, two. The colours differ in lightness."""


def save(file: Path, comparison: Comparison, thresholds: Sequence[float]) -> list[str]:
    """Writes a PNG; UsageError where it can't be written. Notices of what is not on it as it should be.

    thresholds: rising; a distance's colour says under how many of them it is.
    """
    from PIL import Image, ImageDraw

    faces = comparison.faces[:MOST_FACES]
    notices: list[str] = []
    if len(faces) < len(comparison.faces):
        notices.append(f"{file}: shows the first {MOST_FACES} of {len(comparison.faces)} faces")
    side = min(LARGEST_CELL_PX, max(SMALLEST_CELL_PX, WIDEST_PX // (len(faces) + 1)))
    text_px = max(10, side // 8)
    width, height = side * (len(faces) + 1), side * (len(faces) + 1) + 2 * text_px
    picture = Image.new("RGB", (width, height), GROUND_RGB)
    draw = ImageDraw.Draw(picture)
    distances = comparison.table()
    for place, face in enumerate(faces, 1):
        for column, row in ((place, 0), (0, place)):
            _draw_face(picture, draw, face, (column * side, row * side), side, notices)
        for other in range(1, len(faces) + 1):
            if other != place:
                _draw_distance(
                    draw,
                    float(distances[place - 1, other - 1]),
                    (other * side, place * side),
                    side,
                    thresholds,
                )
    _draw_legend(draw, thresholds, (0, side * (len(faces) + 1)), text_px, width)
    save_image(file, np.ascontiguousarray(np.asarray(picture)[:, :, ::-1]))
    return list(dict.fromkeys(notices))


def _draw_face(
    picture: Image, draw: ImageDraw, face: ComparedFace, at: tuple[int, int], side: int, notices: list[str]
) -> None:
    """The portrait, and below it its number and its file's name."""
    from PIL import Image

    text_px = max(10, side // 9)
    room = side - round(text_px * 1.4)
    portrait = Image.fromarray(np.ascontiguousarray(face.portrait[:, :, ::-1]))
    scale = min((side - 4) / portrait.width, (room - 4) / portrait.height)
    size = max(1, round(portrait.width * scale)), max(1, round(portrait.height * scale))
    x, y = at
    picture.paste(portrait.resize(size, Image.Resampling.LANCZOS), (x + (side - size[0]) // 2, y + 2))
    line = set_line(f"{face.number} {Path(face.image).name}", text_px, math.inf, notices)
    draw_line(draw, (x + 2, y + room), _shortened(line, side - 4), INK_RGB)


def _shortened(line: Line, widest_px: int) -> Line:
    """The beginning, as much as fits; the number is in it."""
    text = "".join(piece for piece, _ in line.pieces)
    while line.width_px > widest_px and len(text) > 4:
        text = text[:-2] + "…"
        line = set_line(text, line.size_px, math.inf, [])
    return line


def _draw_distance(
    draw: ImageDraw, distance: float, at: tuple[int, int], side: int, thresholds: Sequence[float]
) -> None:
    x, y = at
    draw.rectangle((x + 1, y + 1, x + side - 2, y + side - 2), fill=colour(distance, thresholds))
    line = set_line(f"{distance:.3f}", max(12, side // 5), side - 4, [])
    draw_line(draw, (x + round((side - line.width_px) / 2), y + (side - line.height_px) // 2), line, INK_RGB)


def colour(distance: float, thresholds: Sequence[float]) -> Rgb:
    """Of a distance, by how many of the thresholds it lies beyond."""
    beyond = sum(distance > threshold for threshold in thresholds)
    return NEAR_RGB[beyond] if beyond < len(thresholds) else FAR_RGB


def _draw_legend(
    draw: ImageDraw, thresholds: Sequence[float], at: tuple[int, int], text_px: int, width: int
) -> None:
    x, y = at
    share = width // (len(thresholds) + 1)
    for place, text in enumerate([*(f"≤ {threshold:g}" for threshold in thresholds), "beyond"]):
        left = x + place * share
        middle = colour(thresholds[place] if place < len(thresholds) else np.inf, thresholds)
        draw.rectangle((left + 1, y + 2, left + share - 2, y + 2 * text_px - 2), fill=middle)
        line = set_line(text, text_px, share - 4, [])
        draw_line(draw, (left + 4, y + text_px // 3), line, INK_RGB)
