"""The nets' layers over whole crops, as functions that numba's code may call.

A picture is [side, side, channels], flat, its channels filled up to `padded(channels)`.
"""

# mypy: disable-error-code="misc"

from __future__ import annotations

from typing import Any

from numba.extending import register_jitable

from gallery.faces.machine_code.processor import LANES, ROWS, beside, block, padded
from gallery.faces.mtcnn.compiled import operations

COLOURS = 3


def direct(inputs: int, outputs: int, side: int, taps: int) -> Any:
    """A convolution of one picture, product by product; rows of the result may lie farther apart."""
    result_side = side - taps + 1
    count = beside(outputs, result_side)
    # Pixels of three colours are not filled up.
    stride = inputs if inputs == COLOURS else padded(inputs)
    convolve = operations.convolution(count, outputs, stride, (taps, taps), inputs)
    size, result_stride, weights = block(outputs), padded(outputs), taps * taps * inputs * block(outputs)
    # The last may overlap the one before.
    columns = tuple(min(column, result_side - count) for column in range(0, result_side, count))

    @register_jitable
    def run(
        source: Any,
        first: Any,
        weight: Any,
        bias: Any,
        slope: Any,
        result: Any,
        result_first: Any,
        apart: Any,
    ) -> None:
        for part in range(result_stride // size):
            for row in range(result_side):
                for column in columns:
                    convolve(
                        source,
                        first + (row * side + column) * stride,
                        side * stride,
                        weight,
                        part * weights,
                        bias,
                        slope,
                        part * size,
                        result,
                        result_first + row * apart + column * result_stride + part * size,
                    )

    return run


def tiled(results: int, inputs: int, outputs: int, side: int, tiles: int) -> Any:
    """A 3x3 convolution of several pictures by Winograd's tiles, so many tiles at a time."""
    result_side, places = side - 2, (results + 2) ** 2
    across = result_side // results
    count = beside(outputs, tiles)
    stride, result_stride, size = padded(inputs), padded(outputs), block(outputs)
    into = operations.into_tile(results, inputs, count)
    multiply = operations.convolution(count, outputs, stride, (1, 1), inputs, activated=False)
    back = operations.from_tile(results, outputs, count)

    @register_jitable
    def run(
        source: Any,
        pictures: Any,
        weight: Any,
        bias: Any,
        slope: Any,
        result: Any,
        pixels: Any,
        products: Any,
    ) -> None:
        for first in range(0, pictures * across * across, count):
            some = range(min(count, pictures * across * across - first))
            for tile in some:
                picture, place = divmod(first + tile, across * across)
                row, column = divmod(place, across)
                begin = ((picture * side + results * row) * side + results * column) * stride
                for vector in range(0, stride, LANES):
                    into(source, begin + vector, side * stride, pixels, tile * stride + vector)
            for place in range(places):
                for part in range(result_stride // size):
                    multiply(
                        pixels,
                        place * count * stride,
                        0,
                        weight,
                        (place * (result_stride // size) + part) * inputs * size,
                        bias,
                        slope,
                        0,
                        products,
                        place * count * result_stride + part * size,
                    )
            for tile in some:
                picture, place = divmod(first + tile, across * across)
                row, column = divmod(place, across)
                begin = (
                    (picture * result_side + results * row) * result_side + results * column
                ) * result_stride
                for vector in range(0, result_stride, LANES):
                    back(
                        products,
                        tile * result_stride + vector,
                        bias,
                        slope,
                        vector,
                        result,
                        begin + vector,
                        result_side * result_stride,
                    )

    return run


def room_for_tiles(results: int, channels: int, outputs: int, tiles: int) -> int:
    """How many floats Winograd's pixels, or products, take."""
    return (results + 2) ** 2 * beside(outputs, tiles) * padded(channels)


def pooled(channels: int, size: int, side: int, result_side: int) -> Any:
    """The largest of squares two pixels apart; the picture has `side` pixels in a row."""
    stride = padded(channels)
    largest = operations.largest(channels, size)

    @register_jitable
    def run(source: Any, first: Any, result: Any, result_first: Any) -> None:
        for row in range(result_side):
            for column in range(result_side):
                begin = first + 2 * (row * side + column) * stride
                target = result_first + (row * result_side + column) * stride
                for vector in range(0, stride, LANES):
                    largest(source, begin + vector, side * stride, result, target + vector)

    return run


def dense(inputs: int, outputs: int) -> Any:
    """A dense layer over so many rows, and PReLU."""
    rows = beside(outputs, ROWS)
    size, stride = block(outputs), padded(outputs)
    multiply = operations.convolution(rows, outputs, inputs, (1, 1), inputs)

    @register_jitable
    def run(source: Any, count: Any, weight: Any, bias: Any, slope: Any, result: Any) -> None:
        for part in range(stride // size):
            for row in range(0, count, rows):
                multiply(
                    source,
                    row * inputs,
                    0,
                    weight,
                    part * inputs * size,
                    bias,
                    slope,
                    part * size,
                    result,
                    row * stride + part * size,
                )

    return run
