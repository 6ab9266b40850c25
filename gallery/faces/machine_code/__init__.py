"""Functions written in Python, compiled by numba once and kept as machine code that is loaded without it."""

from __future__ import annotations


class NoMachineCode(Exception):
    """It can't be made or loaded here, and why."""
