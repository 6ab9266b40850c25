"""PNet's first layer: from three colours straight to what is left after the maximum.

Its ten channels fill no vector, so a vector holds one channel of neighbouring results instead. A level's row
lies in six planes, three colours of even and of odd pixels: then the four pixels that a maximum is taken of
lie in the same lane of four vectors.
"""

# mypy: disable-error-code="misc"

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from gallery.faces.machine_code.processor import LANES, TOGETHER, padded
from gallery.faces.mtcnn.compiled.vectors import INDEX, INTEGER, Code, Value

CHANNELS, COLOURS, TAPS = 10, 3, 3
LOWEST = -1e30
index = types.int64


@intrinsic
def activate_and_pool(
    _: Any, level: Any, first: Any, row_stride: Any, plane_stride: Any, second_row: Any, weight: Any,
    bias: Any, slope: Any, odd: Any, result: Any, result_first: Any,
) -> Any:  # fmt: skip
    """Results of a vector's length, all channels, from the planes of four rows that begin at `first`.

    second_row: how far the second of the two rows lies from the first; 0 where there is none. odd: how many
    of these results have an odd column, the others being at the far edge.
    """
    signature = types.void(level, index, index, index, index, weight, bias, slope, index, result, index)

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Value:
        code = Code(context, builder, signature, given)
        row_stride, plane_stride, second_row = given[2], given[3], given[4]
        zero = INDEX(0)
        level, weights = code.element(0, given[1]), code.element(5, zero)
        cut = _lanes_from(code, given[8])
        channels: list[Value] = []
        for group in range(0, CHANNELS, TOGETHER):
            together = range(group, group + TOGETHER)
            biases = [code.spread(code.element(6, INDEX(channel))) for channel in together]

            def along_colours(row: Value, weight: Value, *sums: Value) -> list[Value]:
                results = list(sums)
                pixels = [_pixels(code, code.after(row, below), plane_stride) for below in (zero, second_row)]
                for tap in range(TAPS):
                    for channel in range(TOGETHER):
                        factor = code.spread(code.after(weight, tap * TOGETHER + channel))
                        for place, (of_row, odd) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
                            i = 4 * channel + place
                            results[i] = code.multiply_add(factor, pixels[of_row][odd + tap], results[i])
                next_colour = code.after(code.after(row, plane_stride), plane_stride)
                return [next_colour, code.after(weight, TAPS * TOGETHER), *results]

            def along_rows(row: Value, weight: Value, *sums: Value) -> list[Value]:
                _, *rest = code.repeat(COLOURS, along_colours, row, weight, *sums)
                return [code.after(row, row_stride), *rest]

            start = [bias for bias in biases for _ in range(4)]
            _, weights, *sums = code.repeat(TAPS, along_rows, level, weights, *start)
            for channel in together:
                slopes = code.spread(code.element(7, INDEX(channel)))
                four = sums[4 * (channel - group) : 4 * (channel - group) + 4]
                even_1, odd_1, even_2, odd_2 = (code.activated(each, slopes) for each in four)
                odd = builder.select(cut, code.number(LOWEST), code.larger(odd_1, odd_2))
                channels.append(code.larger(odd, code.larger(even_1, even_2)))
        target = code.element(9, given[10])
        channels += [code.number(0)] * (padded(CHANNELS) - CHANNELS)
        for first in range(0, padded(CHANNELS), LANES):
            for place, pixel in enumerate(_transposed(builder, channels[first : first + LANES])):
                code.store(pixel, target, place * padded(CHANNELS) + first)
        return context.get_dummy_value()

    return signature, generate


def _pixels(code: Code, row: Value, plane_stride: Value) -> list[Value]:
    """Of one colour, from each even pixel on: it, the odd one after it, the next even one, the next odd."""
    odd = code.after(row, plane_stride)
    return [code.load(row), code.load(odd), code.load(row, 1), code.load(odd, 1)]


def _lanes_from(code: Code, count: Value) -> Value:
    """Which lanes are not among the first `count`."""
    lanes = ir.VectorType(INTEGER, LANES)
    nothing = ir.Constant(lanes, ir.Undefined)
    one = code.builder.insert_element(nothing, code.builder.trunc(count, INTEGER), INTEGER(0))
    counts = code.builder.shuffle_vector(one, nothing, ir.Constant(lanes, [0] * LANES))
    return code.builder.icmp_signed(">=", ir.Constant(lanes, list(range(LANES))), counts)


def _transposed(builder: Any, rows: list[Value]) -> list[Value]:
    """As many vectors as they have lanes; each step deals two of them out alternately."""
    lanes = ir.VectorType(INTEGER, LANES)
    half = LANES // 2
    steps = LANES.bit_length() - 1
    orders = [
        ir.Constant(lanes, [lane for i in range(first, first + half) for lane in (i, LANES + i)])
        for first in (0, half)
    ]
    for _ in range(steps):
        rows = [
            builder.shuffle_vector(rows[i], rows[i + half], order) for i in range(half) for order in orders
        ]
    return rows
