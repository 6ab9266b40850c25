"""Loops over pixels for which PyTorch has no single operation.

They are written as plain Python and mean what they say; `compiler.py` has numba compile them. Without numba
the same numbers come, to the last bit, from several of PyTorch's operations, in two to four times the time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PNET_CHANNELS = 10
"""Of PNet's first layer. A number that the compiler knows makes the loop twice as fast."""

Floats = NDArray[np.float32]
Sums = NDArray[np.int32]
Indices = NDArray[np.int64]


def average_strip(
    sums: Sums,
    row_starts: Indices,
    row_ends: Indices,
    column_starts: Indices,
    column_ends: Indices,
    row_lengths: Floats,
    column_lengths: Floats,
    averages: Floats,
) -> None:
    """Some rows of a level, three colours side by side, from sums int32[height + 1, 3 * (width + 1)]."""
    width = len(column_starts)
    stripe = np.empty(sums.shape[1], np.int32)
    windows = np.empty(3 * width, np.int32)
    for row in range(len(row_starts)):
        above, below, output = sums[row_starts[row]], sums[row_ends[row]], averages[row]
        for i in range(len(stripe)):
            stripe[i] = below[i] - above[i]
        for column in range(width):
            left, right, i = 3 * column_starts[column], 3 * column_ends[column], 3 * column
            windows[i] = stripe[right] - stripe[left]
            windows[i + 1] = stripe[right + 1] - stripe[left + 1]
            windows[i + 2] = stripe[right + 2] - stripe[left + 2]
        for i in range(3 * width):
            output[i] = np.float32(windows[i]) / row_lengths[row] / column_lengths[i]


def average_crops(sums: Sums, boxes: Indices, averages: Floats) -> None:
    """Boxes [n, 4] as squares of [n, side, 3 * side], from the same."""
    count, side, _ = averages.shape
    starts, ends = np.empty(side, np.int64), np.empty(side, np.int64)
    lengths, windows = np.empty(3 * side, np.float32), np.empty(3 * side, np.int32)
    for box in range(count):
        left, top, right, bottom = boxes[box]
        for column in range(side):
            start = left + column * (right - left) // side
            end = left - (-(column + 1) * (right - left) // side)
            starts[column], ends[column] = 3 * start, 3 * end
            lengths[3 * column : 3 * column + 3] = end - start
        for row in range(side):
            first = top + row * (bottom - top) // side
            last = top - (-(row + 1) * (bottom - top) // side)
            above, below, output = sums[first], sums[last], averages[box, row]
            for column in range(side):
                start, end, i = starts[column], ends[column], 3 * column
                windows[i] = below[end] - below[start] - above[end] + above[start]
                windows[i + 1] = below[end + 1] - below[start + 1] - above[end + 1] + above[start + 1]
                windows[i + 2] = below[end + 2] - below[start + 2] - above[end + 2] + above[start + 2]
            for i in range(3 * side):
                output[i] = np.float32(windows[i]) / np.float32(last - first) / lengths[i]


def pool_pnet(hidden: Floats, slopes: Floats, pooled: Floats) -> None:
    """PReLU and the 2x2 maximum: [n, h, w, 10] -> [n, ceil(h / 2), ceil(w / 2), 10]."""
    pictures, height, width, _ = hidden.shape
    _, rows, columns, _ = pooled.shape
    numbers = width * PNET_CHANNELS
    # One more pixel than there are, for the last window, which may be cut short.
    larger = np.full(numbers + PNET_CHANNELS, -np.inf, np.float32)
    slope = np.empty(numbers, np.float32)
    for i in range(numbers):
        slope[i] = slopes[i % PNET_CHANNELS]
    for picture in range(pictures):
        for row in range(rows):
            upper = hidden[picture, 2 * row].reshape(numbers)
            lower = hidden[picture, min(2 * row + 1, height - 1)].reshape(numbers)
            output = pooled[picture, row].reshape(columns * PNET_CHANNELS)
            for i in range(numbers):
                a = upper[i] if upper[i] > 0 else upper[i] * slope[i]
                b = lower[i] if lower[i] > 0 else lower[i] * slope[i]
                larger[i] = a if a > b else b
            for column in range(columns):
                first = 2 * PNET_CHANNELS * column
                for channel in range(PNET_CHANNELS):
                    a, b = larger[first + channel], larger[first + PNET_CHANNELS + channel]
                    output[PNET_CHANNELS * column + channel] = a if a > b else b


def pool(hidden: Floats, slopes: Floats, size: int, pooled: Floats) -> None:
    """PReLU and the maximum of each square of this size, two pixels apart: [n, h, w, channels]."""
    pictures, height, width, channels = hidden.shape
    _, rows, columns, _ = pooled.shape
    for picture in range(pictures):
        for row in range(rows):
            for column in range(columns):
                output = pooled[picture, row, column]
                output[:] = -np.inf
                for y in range(2 * row, min(2 * row + size, height)):
                    for x in range(2 * column, min(2 * column + size, width)):
                        pixel = hidden[picture, y, x]
                        for channel in range(channels):
                            value = pixel[channel]
                            value = value if value > 0 else value * slopes[channel]
                            output[channel] = value if value > output[channel] else output[channel]
