"""The layers of dlib's face encoder over several faces, as functions that numba's code may call.

Every level keeps its pixels in squares, flat float32[faces, span, span, channels], with a border of zeros on
all sides that is as wide as the convolutions reach; `Level.origin` is where the first pixel lies.
"""

# mypy: disable-error-code="misc"

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba.extending import register_jitable

from gallery.faces.mtcnn.compiled import operations
from gallery.faces.mtcnn.compiled.vectors import LANES, beside, block

ZERO = np.float32(0)


@dataclass(frozen=True, slots=True)
class Level:
    """What is alike for all convolutions over pictures of one size."""

    side: int
    """Pixels in a row, and rows."""
    channels: int
    results: int
    """Winograd's tiles have so many pixels in a row; the last tile may reach beyond the picture."""
    tiles: int
    """How many are computed together, at least, so that their numbers stay in a core's own cache."""

    @property
    def across(self) -> int:
        """Tiles in a row."""
        return -(-self.side // self.results)

    @property
    def span(self) -> int:
        """Pixels in a row with the border."""
        return self.across * self.results + 2

    @property
    def origin(self) -> int:
        """Where the first pixel of a face lies."""
        return (self.span + 1) * self.channels

    @property
    def size(self) -> int:
        """Floats a face."""
        return self.span * self.span * self.channels

    @property
    def beside(self) -> int:
        """Tiles that are multiplied beside each other."""
        return beside(self.channels, self.tiles)

    @property
    def group(self) -> int:
        """Tiles that are computed together."""
        return -(-self.tiles // self.beside) * self.beside

    @property
    def room(self) -> int:
        """Floats that Winograd's pixels, or products, take."""
        return (self.results + 2) ** 2 * self.group * self.channels


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


COLOURS, STEM_TAPS, STEM_CHANNELS = 3, 7, 32
STRIP = 5
"""Rows after the maximum that are computed together."""


def stem(size_px: int, level: Level) -> Any:
    """A face's 7x7 convolution in steps of 2, ReLU, and the maximum of 3x3 in steps of 2."""
    side = (size_px - STEM_TAPS) // 2 + 1
    count = beside(STEM_CHANNELS, side)
    convolve = operations.convolution(count, STEM_CHANNELS, COLOURS, (STEM_TAPS, STEM_TAPS), COLOURS, step=2)
    largest = operations.largest(STEM_CHANNELS, 3)
    size, weights = block(STEM_CHANNELS), STEM_TAPS * STEM_TAPS * COLOURS * block(STEM_CHANNELS)
    columns = tuple(min(column, side - count) for column in range(0, side, count))
    row_stride, strip_stride = size_px * COLOURS, side * STEM_CHANNELS
    origin, result_side, span = level.origin, level.side, level.span
    if result_side % STRIP:
        raise ValueError(f"{result_side} rows don't fall into strips of {STRIP}")

    @register_jitable
    def run(source: Any, weight: Any, bias: Any, slope: Any, result: Any) -> None:
        """float32[size_px, size_px, 3] and the buffer of one face, both flat."""
        strip = np.empty((2 * STRIP + 1) * strip_stride, np.float32)
        for first in range(0, result_side, STRIP):
            kept = 1 if first else 0
            for row in range(kept, 2 * STRIP + 1):
                for part in range(STEM_CHANNELS // size):
                    for column in columns:
                        convolve(
                            source, 2 * ((2 * first + row) * row_stride + column * COLOURS), row_stride,
                            weight, part * weights, bias, slope, part * size,
                            strip, row * strip_stride + column * STEM_CHANNELS + part * size,
                        )  # fmt: skip
            for row in range(STRIP):
                for column in range(result_side):
                    place = 2 * (row * side + column) * STEM_CHANNELS
                    target = origin + ((first + row) * span + column) * STEM_CHANNELS
                    for vector in range(0, STEM_CHANNELS, LANES):
                        largest(strip, place + vector, strip_stride, result, target + vector)
            # The last row is the next strip's first.
            strip[:strip_stride] = strip[2 * STRIP * strip_stride :]

    return run
