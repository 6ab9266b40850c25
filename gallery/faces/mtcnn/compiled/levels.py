"""PNet over some rows of a pyramid's level, from running sums to the cells that pass, for numba to compile.

Rows pass through it four of cells at a time, so that everything in between stays in a core's caches. Rows of
a layer lie in one flat array, each filled up to whole rounds of machine code; what is beyond does not count.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba.extending import register_jitable

from gallery.faces.mtcnn.compiled import operations
from gallery.faces.mtcnn.compiled.areas import average_row
from gallery.faces.mtcnn.compiled.crops import LOWEST
from gallery.faces.mtcnn.compiled.vectors import LANES, beside, block, padded

P3, P5, P10, P16, P32 = 3, padded(5), padded(10), padded(16), padded(32)
B10, B16, B32 = block(10), block(16), block(32)
N10, N16 = beside(10, 24), beside(16, 24)
TILE = 4
"""Cells of a tile along one side."""
TILES = beside(32, 12)
"""Computed together."""
PLACES = (TILE + 2) ** 2
MARGIN = np.float32(0.01)
"""How far below the threshold a cell's first logit may lie: a thousand times more than its rounding."""

conv_1 = operations.convolution(N10, 10, P3, (3, 3), 3)
pool_1 = operations.largest(10, 2)
conv_2 = operations.convolution(N16, 16, P10, (3, 3), 10)
into_tile = operations.into_tile(TILE, 16, TILES)
multiply = operations.convolution(TILES, 32, P16, (1, 1), 16, activated=False)
logits_of_tile = operations.logits_of_tile(32, TILES)
one_3 = operations.convolution(1, 32, P16, (3, 3), 16)
one_4 = operations.convolution(1, 5, P32, (1, 1), 32)


def pnet(stamp: str) -> Callable[..., int]:
    def propose(sums, rows, columns, weights, least, cells, found) -> int:
        """How many cells pass; which, counted by row, and their logits and offsets: int64[n], float32[n, 5].

        rows and columns: where in the sums the windows start and end, and their lengths, as areas.average_row
        takes them.
        """
        stamp  # noqa: B018
        w1, b1, s1, w2, b2, s2, w3, b3, s3, w4, b4, s4, tile_weights, face = weights
        starts, ends, lengths = rows
        height, width = len(starts), len(columns[0])
        across, down = (width - 1) // 2 - 4, (height - 1) // 2 - 4
        columns_1, columns_2 = _whole(width - 2, N10), _whole(across + 2, N16)
        columns_3 = _whole(across, TILE * TILES)
        # Numbers in a row of the level and of what the first, the pooled and the second layer give.
        row_0, row_1 = (columns_1 + 2) * P3, (columns_1 + 1) * P10
        row_2, row_3 = max(across + 4, columns_2 + 2) * P10, max(columns_2, columns_3 + 2) * P16
        level, hidden = np.zeros(4 * row_0, np.float32), np.zeros(2 * row_1, np.float32)
        pooled, third = np.zeros(6 * row_2, np.float32), np.zeros(6 * row_3, np.float32)
        stripe, windows = np.zeros(columns[1][-1] + 4, np.int32), np.zeros(3 * width + 1, np.int32)
        pixels = np.zeros(PLACES * TILES * P16, np.float32)
        products = np.zeros(PLACES * TILES * P32, np.float32)
        logits = np.zeros(TILE * columns_3, np.float32)
        features, outputs = np.zeros(P32, np.float32), np.zeros(P5, np.float32)
        passed = averaged = 0
        for group in range(-TILE, down, TILE):
            _back(pooled, 4 * row_2, 2 * row_2)
            _back(third, 4 * row_3, 2 * row_3)
            # Each of the four below has two rows of its own and shares two with the next.
            for row in range(group + TILE, min(group + 2 * TILE, down + 4)):
                _back(level, 2 * row_0, 2 * row_0)
                while averaged < min(2 * row + 4, height):
                    above, below, place = starts[averaged], ends[averaged], (averaged - 2 * row) * row_0
                    average_row(sums, above, below, lengths[averaged], columns, stripe, windows, level, place)
                    averaged += 1
                # The level may end with the first of two rows.
                count = min(2, height - 2 - 2 * row)
                for i in range(count):
                    _first_row(level, i * row_0, row_0, width, columns_1, w1, b1, s1, hidden, i * row_1)
                _pooled_row(hidden, row_1 * (count - 1), across + 4, pooled, (row - group - 2) * row_2)
            for row in range(TILE):
                _second_row(pooled, row * row_2, row_2, columns_2, w2, b2, s2, third, (row + 2) * row_3)
            if group < 0:
                continue
            _tiles(third, row_3, columns_3, tile_weights, b3, s3, face, pixels, products, logits)
            for row in range(min(TILE, down - group)):
                for column in range(across):
                    if logits[row * columns_3 + column] + b4[0] < least - MARGIN:
                        continue
                    # What may pass is computed again product by product, and decided by that.
                    place = row * row_3 + column * P16
                    for part in range(P32 // B32):
                        first, target = part * 144 * B32, part * B32
                        one_3(third, place, row_3, w3, first, b3, s3, target, features, target)
                    one_4(features, 0, 0, w4, 0, b4, s4, 0, outputs, 0)
                    if outputs[0] >= least:
                        cells[passed] = (group + row) * across + column
                        for i in range(5):
                            found[passed, i] = outputs[i]
                        passed += 1
        return passed

    return propose


@register_jitable
def _first_row(level, first, row_0, width, columns, weight, bias, slope, hidden, target) -> None:
    for part in range(P10 // B10):
        for column in range(0, columns, N10):
            source, result = first + column * P3, target + column * P10 + part * B10
            conv_1(level, source, row_0, weight, part * 27 * B10, bias, slope, part * B10, hidden, result)
    for channel in range(P10):
        hidden[target + (width - 2) * P10 + channel] = LOWEST


@register_jitable
def _pooled_row(hidden, below, across, pooled, target) -> None:
    for column in range(across):
        for vector in range(0, P10, LANES):
            pool_1(hidden, 2 * column * P10 + vector, below, pooled, target + column * P10 + vector)


@register_jitable
def _second_row(pooled, first, row_2, columns, weight, bias, slope, third, target) -> None:
    for part in range(P16 // B16):
        for column in range(0, columns, N16):
            source, result = first + column * P10, target + column * P16 + part * B16
            conv_2(pooled, source, row_2, weight, part * 90 * B16, bias, slope, part * B16, third, result)


@register_jitable
def _tiles(third, row_3, columns, weight, bias, slope, face, pixels, products, logits) -> None:
    """The third layer and the logit of four rows of cells, by Winograd."""
    for first in range(0, columns // TILE, TILES):
        for tile in range(TILES):
            for vector in range(0, P16, LANES):
                source = (first + tile) * TILE * P16 + vector
                into_tile(third, source, row_3, pixels, tile * P16 + vector)
        for place in range(PLACES):
            for part in range(P32 // B32):
                source, result = place * TILES * P16, place * TILES * P32 + part * B32
                weights = (place * P32 + part * B32) * 16
                multiply(pixels, source, 0, weight, weights, bias, slope, 0, products, result)
        for tile in range(TILES):
            target = (first + tile) * TILE
            logits_of_tile(products, tile * P32, bias, slope, face, logits, target, columns)


@register_jitable
def _whole(length, count) -> int:
    return -(-length // count) * count  # type: ignore[no-any-return]


@register_jitable
def _back(numbers, place, count) -> None:
    """Moves so many numbers from a place to the beginning."""
    for i in range(count):
        numbers[i] = numbers[place + i]
