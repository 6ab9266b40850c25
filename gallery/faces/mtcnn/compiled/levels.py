"""PNet over some rows of a pyramid's level, from running sums to the cells that pass, for numba to compile.

Rows pass through it four of cells at a time, so that everything in between stays in a core's caches. Rows of
a layer lie in one flat array, each filled up to whole rounds of machine code; what is beyond does not count.
"""

# mypy: disable-error-code="no-untyped-def,call-arg"

from __future__ import annotations

import numpy as np
from numba.extending import register_jitable

from gallery.faces.machine_code.processor import LANES, beside, block, padded
from gallery.faces.mtcnn.compiled import operations
from gallery.faces.mtcnn.compiled.areas import average_row, last_window
from gallery.faces.mtcnn.compiled.first_layer import activate_and_pool

P5, P10, P16, P32 = padded(5), padded(10), padded(16), padded(32)
B16, B32, N16 = block(16), block(32), beside(16, 24)
PLANES = 6
TILE = 4
"""Cells of a tile along one side."""
TILES = beside(32, 12)
"""Computed together."""
PLACES = (TILE + 2) ** 2
MARGIN = np.float32(0.01)
"""How far below the threshold a cell's first logit may lie: a thousand times more than its rounding."""

conv_2 = operations.convolution(N16, 16, P10, (3, 3), 10)
into_tile = operations.into_tile(TILE, 16, TILES)
multiply = operations.convolution(TILES, 32, P16, (1, 1), 16, activated=False)
logits_of_tile = operations.logits_of_tile(32, TILES)
one_3 = operations.convolution(1, 32, P16, (3, 3), 16)
one_4 = operations.convolution(1, 5, P32, (1, 1), 32)


def pnet(sums, rows, columns, weights, least, cells, found) -> int:
    """How many cells pass; which, counted by row, and their logits and offsets: int64[n], float32[n, 5].

    rows and columns: where in the sums the windows start and end, and their lengths, as areas.average_row
    takes them. least: the logit from which a cell passes, float32[1].
    """
    w1, b1, s1, w2, b2, s2, w3, b3, s3, w4, b4, s4, tile_weights, face = weights
    threshold = least[0]
    starts, ends, lengths = rows
    height, width = len(starts), len(columns[0])
    across, down = (width - 1) // 2 - 4, (height - 1) // 2 - 4
    columns_1, columns_2 = _whole(across + 4, LANES), _whole(across + 2, N16)
    columns_3 = _whole(across, TILE * TILES)
    # Numbers in a row of one of the level's planes, and in a row of what the layers give.
    plane, row_0 = columns_1 + 1, PLANES * (columns_1 + 1)
    row_1 = max(columns_1, columns_2 + 2) * P10
    row_2 = max(columns_2, columns_3 + 2) * P16
    level = np.zeros(4 * row_0, np.float32)
    first, second = np.zeros(6 * row_1, np.float32), np.zeros(6 * row_2, np.float32)
    stripe, windows = np.zeros(last_window(columns[1]) + 4, np.int32), np.zeros(4 * width, np.int32)
    pixels = np.zeros(PLACES * TILES * P16, np.float32)
    products = np.zeros(PLACES * TILES * P32, np.float32)
    logits = np.zeros(TILE * columns_3, np.float32)
    features, outputs = np.zeros(P32, np.float32), np.zeros(P5, np.float32)
    passed = averaged = 0
    for group in range(-TILE, down, TILE):
        _back(first, 4 * row_1, 2 * row_1)
        _back(second, 4 * row_2, 2 * row_2)
        # Each of the four below has two rows of its own and shares two with the next.
        for row in range(group + TILE, min(group + 2 * TILE, down + 4)):
            _back(level, 2 * row_0, 2 * row_0)
            while averaged < min(2 * row + 4, height):
                above, below, place = starts[averaged], ends[averaged], (averaged - 2 * row) * row_0
                average_row(
                    sums, above, below, lengths[averaged], columns, stripe, windows, level, place, plane
                )
                averaged += 1
            # The level may end with the first of two rows.
            below = row_0 if 2 * row + 4 <= height else 0
            for column in range(0, columns_1, LANES):
                odd, target = (width - 2) // 2 - column, (row - group - 2) * row_1 + column * P10
                activate_and_pool(level, column, row_0, plane, below, w1, b1, s1, odd, first, target)
        for row in range(TILE):
            _second_row(first, row * row_1, row_1, columns_2, w2, b2, s2, second, (row + 2) * row_2)
        if group < 0:
            continue
        _tiles(second, row_2, columns_3, tile_weights, b3, s3, face, pixels, products, logits)
        for row in range(min(TILE, down - group)):
            for column in range(across):
                if logits[row * columns_3 + column] + b4[0] < threshold - MARGIN:
                    continue
                # What may pass is computed again product by product, and decided by that.
                place = row * row_2 + column * P16
                for part in range(P32 // B32):
                    begin, target = part * 144 * B32, part * B32
                    one_3(second, place, row_2, w3, begin, b3, s3, target, features, target)
                one_4(features, 0, 0, w4, 0, b4, s4, 0, outputs, 0)
                if outputs[0] >= threshold:
                    cells[passed] = (group + row) * across + column
                    for i in range(5):
                        found[passed, i] = outputs[i]
                    passed += 1
    return passed


@register_jitable
def _second_row(first, begin, row_1, columns, weight, bias, slope, second, target) -> None:
    for part in range(P16 // B16):
        for column in range(0, columns, N16):
            source, result = begin + column * P10, target + column * P16 + part * B16
            conv_2(first, source, row_1, weight, part * 90 * B16, bias, slope, part * B16, second, result)


@register_jitable
def _tiles(second, row_2, columns, weight, bias, slope, face, pixels, products, logits) -> None:
    """The third layer and the logit of four rows of cells, by Winograd."""
    for first in range(0, columns // TILE, TILES):
        for tile in range(TILES):
            for vector in range(0, P16, LANES):
                source = (first + tile) * TILE * P16 + vector
                into_tile(second, source, row_2, pixels, tile * P16 + vector)
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
