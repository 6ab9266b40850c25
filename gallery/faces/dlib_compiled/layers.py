"""The layers of dlib's face encoder over several faces, as functions that numba's code may call."""

# mypy: disable-error-code="misc"

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import register_jitable

from gallery.faces.dlib_compiled.level import Level
from gallery.faces.machine_code.processor import LANES, beside, block
from gallery.faces.mtcnn.compiled import operations

ZERO = np.float32(0)


def tiled(level: Level) -> Any:
    """A 3x3 convolution by Winograd's tiles, and ReLU; `added`: before that the result as it is, is added."""
    results, group, stride = level.results, level.group, level.channels
    side, across, span = level.side, level.across, level.span
    face_size, origin = level.size, level.origin
    places, count, size = (results + 2) ** 2, level.beside, block(stride)
    parts, beyond = stride // size, across * results - side
    into = operations.into_tile(results, stride, group)
    multiply = operations.convolution(count, stride, stride, (1, 1), stride, activated=False)
    back = operations.from_tile(results, stride, group)
    back_added = operations.from_tile(results, stride, group, added=True)

    @register_jitable
    def begin(tile: Any) -> Any:
        face, place = divmod(tile, across * across)
        row, column = divmod(place, across)
        return face * face_size + (row * span + column) * results * stride

    @register_jitable
    def run(
        source: Any, faces: Any, weight: Any, bias: Any, slope: Any, result: Any, added: Any,
        pixels: Any, products: Any,
    ) -> None:  # fmt: skip
        total = faces * across * across
        for first in range(0, total, group):
            some = min(group, total - first)
            for tile in range(some):
                start = begin(first + tile)
                for vector in range(0, stride, LANES):
                    into(source, start + vector, span * stride, pixels, tile * stride + vector)
            for place in range(places):
                for part in range(parts):
                    weights = (place * parts + part) * stride * size
                    for tile in range(place * group, place * group + some, count):
                        multiply(
                            pixels, tile * stride, 0, weight, weights, bias, slope, 0,
                            products, tile * stride + part * size,
                        )  # fmt: skip
            for tile in range(some):
                start = origin + begin(first + tile)
                for vector in range(0, stride, LANES):
                    if added:
                        back_added(
                            products, tile * stride + vector, bias, slope, vector,
                            result, start + vector, span * stride,
                        )  # fmt: skip
                    else:
                        back(
                            products, tile * stride + vector, bias, slope, vector,
                            result, start + vector, span * stride,
                        )  # fmt: skip
        for face in range(faces if beyond else 0):
            # What the last tiles reach beyond the picture is border again.
            clear(result, face * face_size)

    @register_jitable
    def clear(result: Any, first: Any) -> None:
        for row in range(side):
            start = first + ((row + 1) * span + 1 + side) * stride
            result[start : start + beyond * stride] = ZERO
        result[first + (side + 1) * span * stride : first + (side + 1 + beyond) * span * stride] = ZERO

    return run


def direct(source_level: Level, level: Level, side: int, taps: int, step: int) -> Any:
    """A convolution product by product, of `side` results in a row, and ReLU.

    Steps of 2 begin at the picture's first pixel, steps of 1 in its border.
    """
    inputs, outputs = source_level.channels, level.channels
    count = beside(outputs, side)
    convolve = operations.convolution(count, outputs, inputs, (taps, taps), inputs, step=step)
    size, weights = block(outputs), taps * taps * inputs * block(outputs)
    row_stride, result_stride = source_level.span * inputs, level.span * outputs
    source_size, result_size, result_origin = source_level.size, level.size, level.origin
    origin = 0 if step == 1 and taps == 3 else source_level.origin
    # The last may overlap the one before.
    columns = tuple(min(column, side - count) for column in range(0, side, count))

    @register_jitable
    def run(source: Any, faces: Any, weight: Any, bias: Any, slope: Any, result: Any) -> None:
        for part in range(outputs // size):
            for face in range(faces):
                for row in range(side):
                    for column in columns:
                        convolve(
                            source, face * source_size + origin + step * (row * row_stride + column * inputs),
                            row_stride, weight, part * weights, bias, slope, part * size,
                            result,
                            face * result_size + result_origin + row * result_stride
                            + column * outputs + part * size,
                        )  # fmt: skip

    return run


def halved(source_level: Level, level: Level) -> Any:
    """The mean of 2x2 pixels; channels that the source has not stay as they are."""
    channels, outputs = source_level.channels, level.channels
    span, result_span = source_level.span, level.span
    source_size, result_size = source_level.size, level.size
    origin, result_origin, side = source_level.origin, level.origin, source_level.side // 2
    quarter = np.float32(0.25)

    @register_jitable
    def run(source: Any, faces: Any, result: Any) -> None:
        for face in range(faces):
            for row in range(side):
                for column in range(side):
                    place = face * source_size + origin + 2 * (row * span + column) * channels
                    target = face * result_size + result_origin + (row * result_span + column) * outputs
                    for channel in range(channels):
                        upper = source[place + channel] + source[place + channels + channel]
                        below = place + span * channels + channel
                        lower = source[below] + source[below + channels]
                        result[target + channel] = (upper + lower) * quarter

    return run


def joined(level: Level, side: int) -> Any:
    """Adds the first `side` pixels of the first rows, and ReLU."""
    channels, span, face_size, origin = level.channels, level.span, level.size, level.origin

    @register_jitable
    def run(source: Any, faces: Any, result: Any) -> None:
        for face in range(faces):
            for row in range(side):
                first = face * face_size + origin + row * span * channels
                for place in range(first, first + side * channels):
                    result[place] = max(result[place] + source[place], ZERO)

    return run
