"""What the nets' loops are made of, as functions that numba's code may call; each is inlined there.

Arrays are flat float32; a pixel's channels lie together, filled up to `padded(channels)`. A function takes
arrays and where in them to begin; the sizes that machine code is made for are fixed by its factory.
"""

# mypy: disable-error-code="misc"

from __future__ import annotations

from itertools import chain
from typing import Any

from numba import types
from numba.extending import intrinsic

from gallery.faces.machine_code.processor import LANES, block, padded
from gallery.faces.mtcnn.compiled import winograd
from gallery.faces.mtcnn.compiled.vectors import INDEX, Code, Value

index = types.int64


def convolution(
    pixels: int,
    channels: int,
    stride: int,
    taps: tuple[int, int],
    depth: int,
    activated: bool = True,
    step: int = 1,
) -> Any:
    """A block of channels of so many results beside each other, with bias and PReLU.

    Pixels are `stride` floats apart, and there is a result every `step` pixels. The weights lie in the order
    of the sum: rows, columns, depth; each time a block of channels.
    """
    size, result_stride = block(channels), padded(channels)
    vectors = range(0, size, LANES)
    rows, columns = taps
    if stride == depth:
        columns, depth = 1, columns * depth

    @intrinsic
    def convolve(
        _: Any, source: Any, first: Any, row_stride: Any, weight: Any, weight_first: Any, bias: Any,
        slope: Any, channel: Any, result: Any, result_first: Any,
    ) -> Any:  # fmt: skip
        signature = types.void(
            source, index, index, weight, index, bias, slope, index, result, index
        )  # fmt: skip

        def generate(context: Any, builder: Any, signature: Any, given: Any) -> Value:
            code = Code(context, builder, signature, given)

            def along_depth(pixel: Value, weight: Value, *sums: Value) -> list[Value]:
                weights = [code.load(weight, vector) for vector in vectors]
                results = iter(sums)
                added = []
                for place in range(pixels):
                    value = code.spread(code.after(pixel, place * step * stride))
                    added += [code.multiply_add(value, each, next(results)) for each in weights]
                return [code.after(pixel, 1), code.after(weight, size), *added]

            def along_columns(pixel: Value, weight: Value, *sums: Value) -> list[Value]:
                _, *rest = code.repeat(depth, along_depth, pixel, weight, *sums)
                return [code.after(pixel, stride), *rest]

            def along_rows(row: Value, weight: Value, *sums: Value) -> list[Value]:
                _, *rest = code.repeat(columns, along_columns, row, weight, *sums)
                return [code.after(row, given[2]), *rest]

            biases, slopes = code.element(5, given[7]), code.element(6, given[7])
            start = [code.load(biases, vector) if activated else code.number(0) for vector in vectors]
            source, weight = code.element(0, given[1]), code.element(3, given[4])
            _, _, *sums = code.repeat(rows, along_rows, source, weight, *start * pixels)
            results = iter(sums)
            target = code.element(8, given[9])
            for place in range(pixels):
                for vector in vectors:
                    value = next(results)
                    if activated:
                        value = code.activated(value, code.load(slopes, vector))
                    code.store(value, target, place * result_stride + vector)
            return context.get_dummy_value()

        return signature, generate

    return convolve


def largest(channels: int, size: int) -> Any:
    """The largest of a square of pixels, a vector of channels."""
    stride = padded(channels)

    @intrinsic
    def pool(_: Any, source: Any, first: Any, row_stride: Any, result: Any, result_first: Any) -> Any:
        signature = types.void(source, index, index, result, index)

        def generate(context: Any, builder: Any, signature: Any, given: Any) -> Value:
            code = Code(context, builder, signature, given)
            row = code.element(0, given[1])
            best = code.load(row)
            for _ in range(size):
                for column in range(size):
                    best = code.larger(code.load(row, column * stride), best)
                row = code.after(row, given[2])
            code.store(best, code.element(3, given[4]))
            return context.get_dummy_value()

        return signature, generate

    return pool


def into_tile(results: int, channels: int, tiles: int) -> Any:
    """A tile's pixels as Winograd multiplies them, a vector of channels; then place by place of all tiles."""
    stride, side = padded(channels), results + 2

    @intrinsic
    def transform(_: Any, source: Any, first: Any, row_stride: Any, result: Any, result_first: Any) -> Any:
        signature = types.void(source, index, index, result, index)

        def generate(context: Any, builder: Any, signature: Any, given: Any) -> Value:
            code = Code(context, builder, signature, given)
            row, pixels = code.element(0, given[1]), []
            for _ in range(side):
                pixels.append([code.load(row, column * stride) for column in range(side)])
                row = code.after(row, given[2])
            places = winograd.both_ways(code, pixels, winograd.of_pixels, results)
            target = code.element(3, given[4])
            for place, value in enumerate(chain(*places)):
                code.store(value, target, place * tiles * stride)
            return context.get_dummy_value()

        return signature, generate

    return transform


def from_tile(results: int, channels: int, tiles: int, added: bool = False) -> Any:
    """Winograd's products of a tile as pixels, a vector of channels, with bias and PReLU.

    added: before that what is there already is added.
    """
    stride = padded(channels)

    @intrinsic
    def transform(
        _: Any, source: Any, first: Any, bias: Any, slope: Any, channel: Any, result: Any, result_first: Any,
        row_stride: Any,
    ) -> Any:  # fmt: skip
        signature = types.void(source, index, bias, slope, index, result, index, index)

        def generate(context: Any, builder: Any, signature: Any, given: Any) -> Value:
            code = Code(context, builder, signature, given)
            bias, slope = code.load(code.element(2, given[4])), code.load(code.element(3, given[4]))
            row = code.element(5, given[6])
            for pixels in _pixels_of(code, code.element(0, given[1]), results, tiles * stride):
                for column, pixel in enumerate(pixels):
                    value = code.add(pixel, bias)
                    if added:
                        value = code.add(value, code.load(row, column * stride))
                    code.store(code.activated(value, slope), row, column * stride)
                row = code.after(row, given[7])
            return context.get_dummy_value()

        return signature, generate

    return transform


def logits_of_tile(channels: int, tiles: int) -> Any:
    """The same for 4x4 pixels and all channels, each pixel then multiplied with one vector of weights."""
    stride = padded(channels)

    @intrinsic
    def transform(
        _: Any, source: Any, first: Any, bias: Any, slope: Any, weight: Any, result: Any, result_first: Any,
        row_stride: Any,
    ) -> Any:  # fmt: skip
        signature = types.void(source, index, bias, slope, weight, result, index, index)

        def generate(context: Any, builder: Any, signature: Any, given: Any) -> Value:
            code = Code(context, builder, signature, given)
            sums = [code.number(0)] * 16
            for vector in range(0, stride, LANES):
                bias, slope, weight = (code.load(code.element(array, INDEX(vector))) for array in (2, 3, 4))
                source = code.element(0, given[1])
                rows = _pixels_of(code, code.after(source, vector), 4, tiles * stride)
                for place, pixel in enumerate(chain(*rows)):
                    active = code.activated(code.add(pixel, bias), slope)
                    sums[place] = code.multiply_add(active, weight, sums[place])
            row = code.element(5, given[6])
            for first in range(0, 16, 4):
                for column in range(4):
                    builder.store(code.total(sums[first + column]), code.after(row, column))
                row = code.after(row, given[7])
            return context.get_dummy_value()

        return signature, generate

    return transform


def _pixels_of(code: Code, products: Value, results: int, apart: int) -> list[list[Value]]:
    side = results + 2
    rows = [
        [code.load(products, (side * row + column) * apart) for column in range(side)] for row in range(side)
    ]
    return winograd.both_ways(code, rows, winograd.of_products, results)
