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
def average_row(sums, above, below, row_length, columns, stripe, windows, averages, first) -> None:
    """One row of windows: from the sums' rows that begin at `above` and `below`, into averages[first:].

    columns: where in a row the windows start and end (three numbers a pixel), and their lengths, each thrice.
    """
    starts, ends, lengths = columns
    begin, above, below, first = np.uint64(starts[0]), np.uint64(above), np.uint64(below), np.uint64(first)
    # Counted without a sign, so that numba need not ask at each number whether it counts from the end.
    for i in range(begin, np.uint64(ends[-1] + 3)):
        stripe[i] = sums[below + i] - sums[above + i]
    for column in range(len(starts)):
        subtract_pixels(stripe, ends[column], starts[column], windows, 3 * column)
    for i in range(np.uint64(len(lengths))):
        averages[first + i] = np.float32(windows[i]) / row_length / lengths[i]


def crops(stamp: str) -> Callable[..., None]:
    def average(sums, width, boxes, averages) -> None:
        """Boxes int64[n, 4] of a picture so wide, the ends exclusive, as float32[n, side, 3 * side]."""
        stamp  # noqa: B018
        count, side, _ = averages.shape
        flat = averages.reshape(averages.size)
        starts, ends = np.empty(side, np.int64), np.empty(side, np.int64)
        lengths = np.empty(3 * side, np.float32)
        stripe, windows = np.zeros(3 * width + 4, np.int32), np.zeros(3 * side + 1, np.int32)
        row_sums = 3 * (width + 1)
        for box in range(count):
            left, top, right, bottom = boxes[box, 0], boxes[box, 1], boxes[box, 2], boxes[box, 3]
            for column in range(side):
                start = left + column * (right - left) // side
                end = left - (-(column + 1) * (right - left) // side)
                starts[column], ends[column] = 3 * start, 3 * end
                for colour in range(3):
                    lengths[3 * column + colour] = end - start
            columns = starts, ends, lengths
            for row in range(side):
                start = top + row * (bottom - top) // side
                end = top - (-(row + 1) * (bottom - top) // side)
                average_row(
                    sums, start * row_sums, end * row_sums, np.float32(end - start), columns, stripe, windows,
                    flat, (box * side + row) * 3 * side,
                )  # fmt: skip

    return average
