"""Draws what was found onto a picture: boxes, landmarks, names in any script, distances."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from daemon.lettering import Line, Rgb, draw_line, set_line

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

KNOWN_RGB = (46, 204, 113)
UNKNOWN_RGB = (230, 126, 34)
INK_RGB = (0, 0, 0)

SMALLEST_TEXT_PX = 12
LARGEST_TEXT_PX = 48
TEXT_SHARE = 1 / 28
"""Height of the text as a share of the picture's shorter side."""


Area = tuple[float, float, float, float]
"""left, top, right, bottom in pixels."""


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
    line_px = max(2, size_px // 8)
    for label in labels:
        _draw_face(draw, label, line_px)
    notices: list[str] = []
    taken: list[Area] = []
    for label in labels:
        # After all the boxes, so that none is drawn over a name.
        texts = ("unknown" if label.name is None else label.name, *label.notes)
        lines = [set_line(text, size_px, picture.width - 2, notices) for text in texts]
        others = [_area(other.box) for other in labels if other is not label]
        area = _place(lines, label.box, line_px, picture.size, (taken + others, taken))
        taken.append(area)
        _draw_lines(draw, lines, area, _colour(label))
    return np.ascontiguousarray(np.asarray(picture)[:, :, ::-1]), list(dict.fromkeys(notices))


def _colour(label: Label) -> Rgb:
    return UNKNOWN_RGB if label.name is None else KNOWN_RGB


def _draw_face(draw: ImageDraw, label: Label, line_px: int) -> None:
    left, top, right, bottom = (round(float(edge)) for edge in label.box)
    draw.rectangle((left, top, right, bottom), outline=_colour(label), width=line_px)
    for x, y in label.landmarks:
        draw.ellipse((x - line_px, y - line_px, x + line_px, y + line_px), fill=_colour(label))


def _place(
    lines: Sequence[Line],
    box: Sequence[float],
    gap_px: int,
    size: tuple[int, int],
    obstacles: Sequence[Sequence[Area]],
) -> Area:
    """Where a face's lines go: below the box, above, beside or in it, wherever none of the obstacles is.

    If there is no such place, the next obstacles are tried.
    """
    width = math.ceil(max(line.width_px for line in lines)) + 2
    height = sum(line.height_px for line in lines)
    # Whole pixels: letters are sharper there.
    left, top, right, bottom = map(round, box)
    corners = (
        (left, bottom + gap_px),
        (left, top - gap_px - height),
        (right + gap_px, top),
        (left - gap_px - width, top),
        (left, bottom - height),
        (left, top),
    )
    areas = [_inside(corner, width, height, size) for corner in corners]
    # To stay in the picture they may be moved along the box, but not onto it.
    moved = [
        abs(area[1] - corner[1]) >= 1 or (place in (2, 3) and abs(area[0] - corner[0]) >= 1)
        for place, (corner, area) in enumerate(zip(corners, areas, strict=True))
    ]
    free = [area for area, away in zip(areas, moved, strict=True) if not away]
    for some in obstacles:
        for area in free:
            if not any(_overlap(area, other) for other in some):
                return area
    return areas[0]


def _area(box: Sequence[float]) -> Area:
    left, top, right, bottom = (float(edge) for edge in box)
    return left, top, right, bottom


def _inside(corner: tuple[int, int], width: int, height: int, size: tuple[int, int]) -> Area:
    x = max(0, min(corner[0], size[0] - width))
    y = max(0, min(corner[1], size[1] - height))
    return x, y, x + width, y + height


def _overlap(one: Area, other: Area) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _draw_lines(draw: ImageDraw, lines: Sequence[Line], area: Area, colour: Rgb) -> None:
    """Each line on its own ground."""
    x, y, _, _ = area
    for line in lines:
        draw.rectangle((x, y, x + line.width_px + 2, y + line.height_px), fill=colour)
        draw_line(draw, (x + 1, y), line, INK_RGB)
        y += line.height_px
