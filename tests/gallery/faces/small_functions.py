"""Functions that are quickly compiled, for the tests of machine code."""

from __future__ import annotations

from typing import Any

import numpy as np


def total(numbers: Any, times: int) -> int:
    result = 0
    for number in numbers:
        result += times * number
    return result


def fill(pairs: Any, result: Any) -> None:
    """Through arrays of its own: a megabyte."""
    first, second = pairs
    room = np.zeros(1 << 18, np.float32)
    for i in range(len(first)):
        room[i] = first[i] + second[i, 0]
    for i in range(len(result)):
        result[i] = room[i]


FUNCTIONS = {
    "total": (total, "i8(i8[::1], i8)"),
    "fill": (fill, "void(Tuple((f4[::1], f4[:,::1])), f4[::1])"),
}
