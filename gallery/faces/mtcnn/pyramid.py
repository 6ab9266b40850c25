"""The sizes at which PNet looks at a picture, and which pixels each of their pixels averages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gallery.faces.mtcnn.geometry import CELL_PX, STRIDE_PX

SCALE_STEP = 0.709
"""From one level to the next, as facenet-pytorch has it: about the square root of a half."""
SMALLEST_FACE_PX = CELL_PX
"""Smaller ones would need a larger picture, and boxes of two levels, in whole pixels, might overlap much."""
STRIP_CELLS = 24_000
"""PNet's cells computed at a time: few enough for a core's caches, and pieces enough for every core."""
COLOURS = 3
CELLS_A_TILE = 4
"""Along one side; the compiled PNet takes so many rows of cells at a time."""
REMEMBERED_SIZES = 16
"""Frame sizes whose pyramids are kept: a daemon sees one or two a camera."""


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Along one axis, the half-open range of source pixels that each output pixel averages."""

    starts: NDArray[np.int64]
    """int64[n]"""
    ends: NDArray[np.int64]
    """int64[n], exclusive"""

    @property
    def lengths(self) -> NDArray[np.float32]:
        """float32[n], in pixels."""
        return (self.ends - self.starts).astype(np.float32)


Flat = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]
"""Starts, ends and lengths."""


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """Some rows of a level, over its whole width."""

    scale: float
    """The level's: its pixels a pixel of the picture."""
    first_cell: int
    """Row of the level's cells that this strip's first is."""
    cells_down: int
    """Rows of cells."""
    cells_across: int
    """Cells in a row."""
    rows: Windows
    """Along the picture's height."""
    columns: Windows
    """Along its width."""
    windows: tuple[Flat, Flat]
    """The same for the compiled nets, down and across: where in the flat running sums windows lie."""


def sizes(height: int, width: int, min_face_px: int) -> list[tuple[float, int, int]]:
    """Scale, height and width of each level, the largest first; none if no such face fits in."""
    scale = CELL_PX / min_face_px
    shorter = min(height, width) * scale
    found = []
    while shorter >= CELL_PX:
        found.append((scale, int(height * scale + 1), int(width * scale + 1)))
        scale *= SCALE_STEP
        shorter *= SCALE_STEP
    return found


def cells(length: int) -> int:
    """How many of PNet's windows fit along a side of this length; the last may be cut by a pixel."""
    return (length - 1) // STRIDE_PX - 4


def windows(length: int, count: int) -> Windows:
    """How `interpolate(mode="area")` divides an axis: windows may overlap by a pixel."""
    index = np.arange(count)
    return Windows(index * length // count, -(-(index + 1) * length // count))


@lru_cache(REMEMBERED_SIZES)
def strips(height: int, width: int, min_face_px: int) -> tuple[tuple[Strip, ...], ...]:
    """All levels of a picture, each as its strips."""
    return tuple(
        tuple(_strips(scale, width, windows(height, level_height), windows(width, level_width)))
        for scale, level_height, level_width in sizes(height, width, min_face_px)
    )


def _strips(scale: float, width: int, rows: Windows, columns: Windows) -> Iterator[Strip]:
    """A level of a picture so wide in strips of about one height."""
    down, across = cells(len(rows.starts)), cells(len(columns.starts))
    count = -(-down * across // STRIP_CELLS)
    edges = [*range(0, down, -(-down // count // CELLS_A_TILE) * CELLS_A_TILE), down]
    for first, last in pairwise(edges):
        seen = slice(STRIDE_PX * first, STRIDE_PX * (last - 1) + CELL_PX)
        part = Windows(rows.starts[seen], rows.ends[seen])
        # The even columns first.
        order = np.arange(len(columns.starts))
        order = np.concatenate([order[::2], order[1::2]])
        dealt = Windows(columns.starts[order], columns.ends[order])
        flat = _flat(part, COLOURS * (width + 1)), _flat(dealt, COLOURS)
        yield Strip(scale, first, last - first, across, part, columns, flat)


def _flat(windows: Windows, apart: int) -> Flat:
    return windows.starts * apart, windows.ends * apart, windows.lengths
