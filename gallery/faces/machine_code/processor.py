"""The processor that machine code is made for: its name, what it can do, and how long its vectors are."""

from __future__ import annotations

import os
import platform
from functools import cache

from gallery.faces.machine_code import NoMachineCode


@cache
def processor() -> tuple[str, str]:
    """Name and features as LLVM has them; as for numba, $NUMBA_CPU_NAME and $NUMBA_CPU_FEATURES say others.

    Raises NoMachineCode.
    """
    try:
        from llvmlite import binding
    except ImportError as error:
        raise NoMachineCode(f"llvmlite is not usable: {error}") from None
    name = os.environ.get("NUMBA_CPU_NAME") or binding.get_host_cpu_name()
    given = os.environ.get("NUMBA_CPU_FEATURES")
    if given is not None:
        return name, given
    try:
        return name, str(binding.get_host_cpu_features().flatten())
    except RuntimeError:
        # LLVM does not know them here: what the name stands for.
        return name, ""


def vector_unit() -> tuple[int, int]:
    """How many floats a vector of this processor holds, and how many vectors it has at hand."""
    if platform.machine().lower() in ("aarch64", "arm64"):
        return 4, 32
    has = {feature[1:] for feature in processor()[1].split(",") if feature.startswith("+")}
    if {"avx512f", "avx512vl"} <= has:
        return 16, 32
    return (8, 16) if "avx" in has else (4, 16)


LANES, REGISTERS = vector_unit()
ROWS = 12
"""Of a dense layer, computed together at most: arrays have room for as many more."""
TOGETHER = 5 if REGISTERS == 32 else 2
"""Channels of PNet's first layer whose sums are in registers at a time, each four times."""


def block(channels: int) -> int:
    """How many of a layer's channels are computed at a time: one to three vectors."""
    vectors = -(-channels // LANES)
    if vectors == 1:
        return LANES
    return 3 * LANES if vectors % 2 and vectors % 3 == 0 and REGISTERS == 32 else 2 * LANES


def padded(channels: int) -> int:
    """How many floats a pixel takes: whole blocks."""
    return -(-channels // block(channels)) * block(channels)


def beside(channels: int, width: int) -> int:
    """How many of `width` pixels are computed beside each other: few rounds, with all sums in registers."""
    vectors = block(channels) // LANES
    most = min((REGISTERS - vectors - 1) // vectors, width)
    return min(range(1, most + 1), key=lambda count: -(-width // count) * (count + 1))
