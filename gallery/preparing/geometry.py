"""Which faces of an image are cut, and which rectangle of it each crop is."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from gallery.faces.types import Faces
from gallery.preparing.options import FaceChoice, Margin
from gallery.preparing.rows import Box, PixelBox


def chosen(faces: Faces, choice: FaceChoice) -> list[int]:
    """Rows of the faces that are wanted, the largest first; of equals the larger, then the first."""
    sides = faces.boxes[:, 2:] - faces.boxes[:, :2]
    areas = sides.prod(axis=1)
    order = [int(row) for row in np.argsort(-areas, kind="stable")]
    if choice == "all" or not order:
        return order
    if choice == "largest":
        return order[:1]
    return [max(order, key=lambda row: float(faces.scores[row]))]


def with_margin(box: Box, margin: Margin, width: int, height: int) -> PixelBox:
    """The box widened by the margin, within an image of this size; never empty."""
    left, top, right, bottom = box
    across, down = right - left, bottom - top
    first, last = _within(left - margin.left.of(across), right + margin.right.of(across), width)
    upper, lower = _within(top - margin.top.of(down), bottom + margin.bottom.of(down), height)
    return first, upper, last, lower


def centred(size_px: tuple[float, float], width: int, height: int) -> PixelBox:
    """A rectangle of this width and height in the middle of an image, as far as it fits."""
    across, down = (max(1, _nearest(length)) for length in size_px)
    across, down = min(across, width), min(down, height)
    left, top = (width - across) // 2, (height - down) // 2
    return left, top, left + across, top + down


def mean_size(cuts: Iterable[PixelBox]) -> tuple[float, float] | None:
    """Mean width and mean height in pixels; None: there are none."""
    sizes = [(right - left, bottom - top) for left, top, right, bottom in cuts]
    if not sizes:
        return None
    return sum(width for width, _ in sizes) / len(sizes), sum(height for _, height in sizes) / len(sizes)


def _within(first: float, last: float, limit: int) -> tuple[int, int]:
    """The two ends in whole pixels from 0 to the limit, at least one pixel apart."""
    start = min(max(_nearest(first), 0), limit - 1)
    return start, max(min(_nearest(last), limit), start + 1)


def _nearest(value: float) -> int:
    """Halves are rounded up, not to the even number."""
    return math.floor(value + 0.5)
