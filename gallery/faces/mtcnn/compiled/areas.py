"""Averages over rectangles of a picture from its running sums, to the last bit as `interpolate(mode="area")`.

The sums are int32[(height + 1) * (width + 1) * 3], flat, and one int32 more that is read but does not count.
"""

# mypy: disable-error-code="no-untyped-def,call-arg"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, register_jitable

from gallery.faces.mtcnn.compiled.vectors import INTEGER, Code, Value

index = types.int64
FOUR = ir.VectorType(INTEGER, 4)
"""A pixel's three sums and whatever lies behind them: one instruction instead of three."""


@intrinsic
def subtract_pixels(_: Any, source: Any, right: Any, left: Any, result: Any, place: Any) -> Any:
    """result[place : place + 3] = source[right:...] - source[left:...]; one more behind it is overwritten."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Value:
        code = Code(context, builder, signature, given)

        def pixel(argument: int, index: Value) -> Value:
            return builder.bitcast(code.element(argument, index), FOUR.as_pointer())

        ends, starts = builder.load(pixel(0, given[1])), builder.load(pixel(0, given[2]))
        ends.align = starts.align = 4
        builder.store(builder.sub(ends, starts), pixel(3, given[4])).align = 4
        return context.get_dummy_value()

    return types.void(source, index, index, result, index), generate


@register_jitable
def average_row(sums, above, below, row_length, columns, stripe, windows, level, first, plane) -> None:
    """One row of a level, from the sums' rows that begin at `above` and `below`, in six planes from `first`.

    columns: where in a row the windows start and end, and their lengths, those of even columns first. Planes
    are `plane` numbers apart: of each colour that of the even columns, then that of the odd ones.
    """
    starts, ends, lengths = columns
    begin, above, below = np.uint64(starts[0]), np.uint64(above), np.uint64(below)
    # Counted without a sign, so that numba need not ask at each number whether it counts from the end.
    for i in range(begin, np.uint64(last_window(ends) + 3)):
        stripe[i] = sums[below + i] - sums[above + i]
    for column in range(len(starts)):
        subtract_pixels(stripe, ends[column], starts[column], windows, 4 * column)
    even = (len(starts) + 1) // 2
    _divide(windows, row_length, lengths[:even], level, first, plane)
    _divide(windows[4 * even :], row_length, lengths[even:], level, first + plane, plane)


@register_jitable
def last_window(ends) -> int:
    """Where the row's last window ends: it is the last of the even columns, or of the odd ones."""
    return max(ends[(len(ends) - 1) // 2], ends[len(ends) - 1])  # type: ignore[no-any-return]


@register_jitable
def _divide(windows, row_length, lengths, level, first, plane) -> None:
    """Two divisions, as interpolate does it, to the last bit."""
    blue, green, red = np.uint64(first), np.uint64(first + 2 * plane), np.uint64(first + 4 * plane)
    for i in range(np.uint64(len(lengths))):
        level[blue + i] = np.float32(windows[4 * i]) / row_length / lengths[i]
        level[green + i] = np.float32(windows[4 * i + 1]) / row_length / lengths[i]
        level[red + i] = np.float32(windows[4 * i + 2]) / row_length / lengths[i]


def crops(side: int) -> Callable[..., None]:
    row = 3 * side

    def average(sums, width, boxes, averages) -> None:
        """Boxes int64[n, 4] of a picture so wide, the ends exclusive, as float32[n * side * side * 3]."""
        starts, ends = np.empty(side, np.int64), np.empty(side, np.int64)
        lengths = np.empty(row, np.float32)
        upper, lower = np.zeros(row + 1, np.int32), np.zeros(row + 1, np.int32)
        row_sums = 3 * (width + 1)
        for box in range(len(boxes)):
            left, top, right, bottom = boxes[box, 0], boxes[box, 1], boxes[box, 2], boxes[box, 3]
            for column in range(side):
                start = left + column * (right - left) // side
                end = left - (-(column + 1) * (right - left) // side)
                starts[column], ends[column] = 3 * start, 3 * end
                for colour in range(3):
                    lengths[3 * column + colour] = end - start
            for line in range(side):
                start = top + line * (bottom - top) // side
                end = top - (-(line + 1) * (bottom - top) // side)
                above, below, length = start * row_sums, end * row_sums, np.float32(end - start)
                for column in range(side):
                    subtract_pixels(sums, above + ends[column], above + starts[column], upper, 3 * column)
                    subtract_pixels(sums, below + ends[column], below + starts[column], lower, 3 * column)
                target = np.uint64((box * side + line) * row)
                for i in range(np.uint64(row)):
                    averages[target + i] = np.float32(lower[i] - upper[i]) / length / lengths[i]

    return average
