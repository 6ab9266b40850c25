"""The newest picture in shared memory: a capture process writes it, the daemon reads it, neither waits.

A sequence lock over two halves. Each picture has a number; the writer writes number n into half n % 2, whose
own number it takes away before and sets after, and then announces n as the newest. A reader copies the half
of the newest and throws the copy away if the half's number was not n all the while. So a reader has the time
of one whole picture to copy, and when the writer is killed in the middle, the picture before is still there.
The memory has no name anywhere: a process that is killed leaves nothing behind.
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

HEADER_BYTES = 192
"""Three groups of eight native int64, each loaded and stored by one instruction; the pixels come after."""
READ_ATTEMPTS = 3
"""How often a reader copies again when the writer overtook it; the next notice brings it back anyway."""

# The first group: the number of the newest picture, when the camera last gave anything, and how often
# pictures were missing in what it gave.
_NEWEST, _BEAT, _LOSSES = 0, 1, 2
# The second and third group describe a half each.
_NUMBER, _INDEX, _UNIX, _MONOTONIC, _GRABBED, _HEIGHT, _WIDTH, _OFFSET = range(8)
_GROUP = 8


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

    def _pixels(self, offset: int, length: int) -> NDArray[np.uint8]:
        """uint8[length], a view; must be gone before the memory is unmapped."""
        return np.frombuffer(self._memory, np.uint8, length, offset)


class SlotWriter(_Slot):
    """The capture process's end. There is one writer a slot."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._room = [0, 0]
        self._offsets = [0, 0]

    def write(self, stamp: Stamp, bgr: NDArray[np.uint8]) -> None:
        """Puts a new picture above the last; bgr is uint8[height, width, 3] of any size."""
        number = self._cells[_NEWEST] + 1
        offset = self._make_room(number % 2, bgr.size)
        half = _half(number)
        cells = self._cells
        cells[half + _NUMBER] = 0
        _fence()
        cells[half + _INDEX] = stamp.index
        cells[half + _UNIX] = stamp.captured_unix_ns
        cells[half + _MONOTONIC] = stamp.captured_monotonic_ns
        cells[half + _GRABBED] = stamp.grabbed_monotonic_ns
        cells[half + _HEIGHT], cells[half + _WIDTH], _ = bgr.shape
        cells[half + _OFFSET] = offset
        self._pixels(offset, bgr.size).reshape(bgr.shape)[:] = bgr
        _fence()
        cells[half + _NUMBER] = number
        _fence()
        cells[_NEWEST] = number

    def beat(self, monotonic_ns: int, losses: int = 0) -> None:
        """Says that the camera gave something at this moment, whether it was written or not.

        losses: how often pictures were missing in the stream until now.
        """
        self._cells[_BEAT] = monotonic_ns
        self._cells[_LOSSES] = losses

    def _make_room(self, which: int, size: int) -> int:
        """Where the pixels of this half begin. A larger picture gets new room at the end of the memory."""
        if size > self._room[which]:
            # Never smaller and never moved: what a reader has mapped stays valid. Powers of two, so that
            # the room left behind is never more than the room in use.
            self._room[which] = 1 << (size - 1).bit_length()
            self._offsets[which] = self._size
            os.ftruncate(self._descriptor, self._size + self._room[which])
            self._unmap()
            self._map()
        return self._offsets[which]


class SlotReader(_Slot):
    """The daemon's end."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._taken = 0

    @property
    def beat_monotonic_ns(self) -> int:
        """When the camera last gave something; 0 before it did."""
        return self._cells[_BEAT]

    @property
    def losses(self) -> int:
        """How often pictures were missing in the stream since it was opened."""
        return self._cells[_LOSSES]

    @property
    def has_news(self) -> bool:
        """Whether there is a picture that was not read before."""
        return self._cells[_NEWEST] != self._taken

    def read(self) -> Picture | None:
        """The newest picture, whole, or None if there is none that was not read before."""
        for _ in range(READ_ATTEMPTS):
            number = self._cells[_NEWEST]
            if number == self._taken:
                return None
            picture = self._copy(number)
            if picture is not None:
                self._taken = number
                return picture
        return None

    def _copy(self, number: int) -> Picture | None:
        """The picture of this number, unless the writer has begun to write over it."""
        half = _half(number)
        _fence()
        header = self._cells[half : half + _GROUP].tolist()
        if header[_NUMBER] != number:
            return None
        end = header[_OFFSET] + header[_HEIGHT] * header[_WIDTH] * 3
        if end > self._size:
            self._unmap()
            self._map()
        if end > self._size:  # Of two pictures, the writer is at it.
            return None
        bgr = self._pixels(header[_OFFSET], end - header[_OFFSET]).copy()
        _fence()
        if self._cells[half + _NUMBER] != number:
            return None
        stamp = Stamp(header[_INDEX], header[_UNIX], header[_MONOTONIC], header[_GRABBED])
        return Picture(stamp, number, bgr.reshape(header[_HEIGHT], header[_WIDTH], 3))


def _half(number: int) -> int:
    """The first cell of the half that this picture goes into."""
    return _GROUP * (1 + number % 2)


_fence_lock = threading.Lock()
_fence_lock.acquire()


def _fence() -> None:
    """Keeps the processor from moving loads and stores across: ARM would, x86 does not.

    Release followed by acquire orders everything before against everything after, and costs 50 ns.
    """
    _fence_lock.release()
    _fence_lock.acquire()
