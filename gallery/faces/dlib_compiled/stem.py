"""The first layers of dlib's face encoder, from a chip to the first level, for numba to compile."""

# mypy: disable-error-code="misc"

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import register_jitable

from gallery.faces.dlib_compiled.level import Level
from gallery.faces.machine_code.processor import LANES, beside, block
from gallery.faces.mtcnn.compiled import operations

COLOURS, TAPS, CHANNELS = 3, 7, 32
STRIP = 5
"""Rows after the maximum that are computed together."""


def stem(size_px: int, level: Level) -> Any:
    """A face's 7x7 convolution in steps of 2, ReLU, and the maximum of 3x3 in steps of 2."""
    side = (size_px - TAPS) // 2 + 1
    count = beside(CHANNELS, side)
    convolve = operations.convolution(count, CHANNELS, COLOURS, (TAPS, TAPS), COLOURS, step=2)
    largest = operations.largest(CHANNELS, 3)
    size, weights = block(CHANNELS), TAPS * TAPS * COLOURS * block(CHANNELS)
    columns = tuple(min(column, side - count) for column in range(0, side, count))
    row_stride, strip_stride = size_px * COLOURS, side * CHANNELS
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
                for part in range(CHANNELS // size):
                    for column in columns:
                        convolve(
                            source, 2 * ((2 * first + row) * row_stride + column * COLOURS), row_stride,
                            weight, part * weights, bias, slope, part * size,
                            strip, row * strip_stride + column * CHANNELS + part * size,
                        )  # fmt: skip
            for row in range(STRIP):
                for column in range(result_side):
                    place = 2 * (row * side + column) * CHANNELS
                    target = origin + ((first + row) * span + column) * CHANNELS
                    for vector in range(0, CHANNELS, LANES):
                        largest(strip, place + vector, strip_stride, result, target + vector)
            # The last row is the next strip's first.
            strip[:strip_stride] = strip[2 * STRIP * strip_stride :]

    return run
