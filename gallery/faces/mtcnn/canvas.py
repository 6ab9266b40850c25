"""All levels of a picture's pyramid on one canvas, so that a GPU's PNet runs once.

What depends only on the picture's size is computed once and kept on the device: where each of the canvas'
pixels comes from, which of PNet's cells count, and what box each of them stands for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from gallery.faces.mtcnn.boxes import of_cells
from gallery.faces.mtcnn.geometry import STRIDE_PX
from gallery.faces.mtcnn.pyramid import REMEMBERED_SIZES, cells, sizes, windows

LEVEL_APART_PX = 1 << 16
"""Boxes of different levels are moved apart by this and never overlap; float32 holds the sums exactly."""
TIE = 1e-15
"""Ten million of it are less than float32's step at 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """A picture size's constants."""

    places: Tensor
    """int64[4 * height * width]: in the flat integral image, each pixel's corners: bottom right, bottom left,
    top right, top left."""
    areas: Tensor
    """float32[height * width, 1]: how many of the picture's pixels each pixel averages."""
    height: int
    """Of the canvas."""
    width: int
    cut: Tensor
    """bool[height - 2, width - 2]: of the first convolution, what lies beyond a level in its last windows."""
    outside: Tensor
    """bool[cells]: PNet's cells that look at more than one level, or at none."""
    order: Tensor
    """float64[cells]: the cells of the first level first, row by row; too small for any but equal scores."""
    boxes: Tensor
    """float32[cells, 8]: the box in the picture's pixels, and the same moved away from all other levels."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """A level and where its first pixel lies on the canvas, on even coordinates."""

    scale: float
    height: int
    width: int
    top: int
    left: int


@lru_cache(REMEMBERED_SIZES)
def canvas(height: int, width: int, min_face_px: int, device: str) -> Canvas | None:
    """The canvas of pictures of this size; None: no face of that size fits in."""
    placed = _placed(sizes(height, width, min_face_px))
    if not placed:
        return None
    canvas_height = max(level.top + level.height for level in placed)
    canvas_width = max(level.left + level.width for level in placed)
    places = np.zeros((4, canvas_height, canvas_width), np.int64)
    areas = np.ones((canvas_height, canvas_width), np.float32)
    cut = np.zeros((canvas_height - 2, canvas_width - 2), np.bool_)
    grid = (cells(canvas_height), cells(canvas_width))
    outside = np.ones(grid, np.bool_)
    order = np.zeros(grid)
    boxes = np.zeros((*grid, 8), np.float32)
    for index, level in enumerate(placed):
        rows, columns = windows(height, level.height), windows(width, level.width)
        part = np.s_[level.top : level.top + level.height, level.left : level.left + level.width]
        areas[part] = np.outer(rows.lengths, columns.lengths)
        corners = [(y, x) for y in (rows.ends, rows.starts) for x in (columns.ends, columns.starts)]
        for corner, (y, x) in enumerate(corners):
            places[corner][part] = y[:, None] * (width + 2) + x
        # The row after the convolution's last is pooled with it where their number is odd.
        cut[level.top + level.height - 2 : level.top + level.height - 1, part[1]] = True
        cut[part[0], level.left + level.width - 2 : level.left + level.width - 1] = True
        top, left = level.top // STRIDE_PX, level.left // STRIDE_PX
        across, down = cells(level.width), cells(level.height)
        part = np.s_[top : top + down, left : left + across]
        outside[part] = False
        row, column = np.divmod(np.arange(down * across), across)
        order[part] = order.max() + np.arange(1, 1 + down * across).reshape(down, across)
        boxes[part] = np.tile(of_cells(row, column, level.scale), 2).reshape(down, across, 8)
        boxes[part][..., 4:] += index * LEVEL_APART_PX
    return Canvas(
        places=torch.from_numpy(places.ravel()).to(device),
        areas=torch.from_numpy(areas.reshape(-1, 1)).to(device),
        height=canvas_height,
        width=canvas_width,
        cut=torch.from_numpy(cut).to(device),
        outside=torch.from_numpy(outside.ravel()).to(device),
        order=torch.from_numpy(order.ravel() * TIE).to(device),
        boxes=torch.from_numpy(boxes.reshape(-1, 8)).to(device),
    )


def _placed(levels: Sequence[tuple[float, int, int]]) -> list[_Placed]:
    """Levels in shelves as wide as the two largest together: about four fifths of the canvas is used."""
    limit = sum(_even(width) for _, _, width in levels[:2])
    placed: list[_Placed] = []
    shelf = left = 0
    for scale, height, width in levels:
        if left + width > limit:
            shelf = max(_even(level.top + level.height) for level in placed)
            left = 0
        placed.append(_Placed(scale, height, width, shelf, left))
        left += _even(width)
    return placed


def _even(length: int) -> int:
    return length + length % STRIDE_PX
