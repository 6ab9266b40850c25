"""Keeps the process as small as what it uses."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable

SIZES_A_TRIM = 64
"""New sizes of pictures after which freed memory goes back: a trim and its aftermath cost 20 ms."""


class Tidier:
    """Gives memory back now and then, as long as pictures come in ever other sizes."""

    def __init__(self) -> None:
        self._seen: set[tuple[int, ...]] = set()

    def saw(self, sizes: Iterable[tuple[int, ...]]) -> bool:
        """Whether it was time to give memory back. Cameras, whose sizes stay, never see it happen."""
        self._seen.update(sizes)
        if len(self._seen) < SIZES_A_TRIM:
            return False
        self._seen.clear()
        give_back()
        return True


def give_back() -> None:
    """Hand freed memory back to the system, where the C library has a call for it; a few milliseconds.

    glibc keeps freed memory between pieces still in use. Frames of ever other sizes leave ever other gaps:
    the process grew by 13 % in five minutes, of which this gave back all.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
