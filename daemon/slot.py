"""One picture in shared memory: a capture process writes the newest, the daemon reads it, neither waits.

A sequence lock: the sequence is odd while a picture is being written and rises by two a picture. A reader
copies, and throws its copy away if the sequence was odd or has changed meanwhile. The memory has no name
anywhere, so a process that is killed leaves nothing behind.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import threading
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

HEADER_BYTES = 128
"""Room for 16 numbers; the pixels begin behind it, on a cache line of their own."""
READ_ATTEMPTS = 3
"""How often a reader copies again when the writer overtook it; the next notice brings it back anyway."""

# The header's cells, each a native int64, which one instruction stores and loads.
_SEQUENCE, _BEAT, _INDEX, _UNIX, _MONOTONIC, _GRABBED, _HEIGHT, _WIDTH = range(8)
_CELLS = HEADER_BYTES // 8


@dataclass(frozen=True, slots=True)
class Stamp:
    """Which picture it is, and when it was taken; the fields of `Frame` of the same names."""

    index: int
    captured_unix_ns: int
    captured_monotonic_ns: int
    grabbed_monotonic_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """What a reader took out of the slot."""

    stamp: Stamp
    number: int
    """How many pictures were ever written into this slot, this one counted."""
    bgr: NDArray[np.uint8]
    """uint8[height, width, 3], a copy that belongs to the reader."""


def create_slot_file() -> int:
    """A descriptor of memory without a name, to be inherited by the process that writes."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("visaged-slot")
    else:  # macOS
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, HEADER_BYTES)
    return descriptor


class _Slot:
    """The memory as both ends see it; the descriptor belongs to whoever made it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._map()

    def _map(self) -> None:
        self._size = os.fstat(self._descriptor).st_size
        self._memory = mmap.mmap(self._descriptor, self._size)
        self._cells = memoryview(self._memory)[:HEADER_BYTES].cast("q")

    def _unmap(self) -> None:
        self._cells.release()
        self._memory.close()

    def close(self) -> None:
        """Gives the memory back to the system once both ends have done so."""
        self._unmap()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _pixels(self, length: int) -> NDArray[np.uint8]:
        """uint8[length], a view; must be gone before the memory is unmapped."""
        return np.frombuffer(self._memory, np.uint8, length, HEADER_BYTES)


class SlotWriter(_Slot):
    """The capture process's end. There is one writer a slot."""

    def write(self, stamp: Stamp, bgr: NDArray[np.uint8]) -> None:
        """Replaces the picture; bgr is uint8[height, width, 3] of any size."""
        height, width, _ = bgr.shape
        self._make_room(HEADER_BYTES + bgr.size)
        cells = self._cells
        sequence = cells[_SEQUENCE] | 1
        cells[_SEQUENCE] = sequence
        _fence()
        cells[_INDEX] = stamp.index
        cells[_UNIX] = stamp.captured_unix_ns
        cells[_MONOTONIC] = stamp.captured_monotonic_ns
        cells[_GRABBED] = stamp.grabbed_monotonic_ns
        cells[_HEIGHT] = height
        cells[_WIDTH] = width
        self._pixels(bgr.size).reshape(bgr.shape)[:] = bgr
        _fence()
        cells[_SEQUENCE] = sequence + 1

    def beat(self, monotonic_ns: int) -> None:
        """Says that the camera gave something at this moment, whether it was written or not."""
        self._cells[_BEAT] = monotonic_ns

    def _make_room(self, size: int) -> None:
        if size <= self._size:
            return
        # Only ever larger: a reader that still maps the smaller memory stays valid.
        os.ftruncate(self._descriptor, size)
        self._unmap()
        self._map()


class SlotReader(_Slot):
    """The daemon's end."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._taken = 0

    @property
    def beat_monotonic_ns(self) -> int:
        """When the camera last gave something; 0 before it did."""
        return self._cells[_BEAT]

    def read(self) -> Picture | None:
        """The newest picture, whole, or None if there is none that was not read before."""
        for _ in range(READ_ATTEMPTS):
            sequence = self._cells[_SEQUENCE]
            if sequence == self._taken or sequence % 2:
                return None
            _fence()
            header = self._cells[:_CELLS].tolist()
            bgr = self._copy(header[_HEIGHT], header[_WIDTH])
            _fence()
            if bgr is None or self._cells[_SEQUENCE] != sequence:
                continue
            self._taken = sequence
            stamp = Stamp(header[_INDEX], header[_UNIX], header[_MONOTONIC], header[_GRABBED])
            return Picture(stamp, sequence // 2, bgr)
        return None

    def _copy(self, height: int, width: int) -> NDArray[np.uint8] | None:
        """The pixels as they are now, torn or not; None if height and width are of two pictures."""
        length = height * width * 3
        if HEADER_BYTES + length > self._size:
            self._unmap()
            self._map()
        if length <= 0 or HEADER_BYTES + length > self._size:
            return None
        return self._pixels(length).reshape(height, width, 3).copy()


_fence_lock = threading.Lock()
_fence_lock.acquire()


def _fence() -> None:
    """Keeps the processor from moving loads and stores across: ARM would, x86 does not.

    Release followed by acquire orders everything before against everything after, and costs 50 ns.
    """
    _fence_lock.release()
    _fence_lock.acquire()
