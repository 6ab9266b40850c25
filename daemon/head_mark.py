"""A tiny file beside the journal that knows how far numbers were given, should the journal lose its end."""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

SLOT = struct.Struct("<8sQQI36s")
"""Name, generation, head, whether the journal was closed in order, boot. A CRC-32 of these follows."""
CHECKSUM = struct.Struct("<I")
NAME = b"vsg-head"
SLOT_BYTES = 512
"""Slots lie in sectors of their own and are written in turn: of a torn one, the other is left."""
SLOTS = 2


class JournalInUse(OSError):
    """Another process has this journal open."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What the file says."""

    head: int
    """The highest number ever given; 0: none."""
    sound: bool
    """The journal was closed in order since; or this machine has not gone down: then all that was written is
    there, whatever became of the process."""


class HeadMark:
    """The file, held by this process alone for as long as it is open."""

    def __init__(self, path: Path) -> None:
        """Opens or makes it; JournalInUse where another process has it, OSError where it can't be had."""
        self.path = path
        """The file."""
        self._boot = boot()
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._generation, self.found = self._read()
        except BlockingIOError:
            self.close()
            raise JournalInUse(f"{path} is held by another process") from None
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, head: int, *, clean: bool = False) -> None:
        """Puts it over the older slot. It survives the end of the process; after sync, that of the power."""
        self._generation += 1
        slot = SLOT.pack(NAME, self._generation, head, clean, self._boot)
        slot += CHECKSUM.pack(zlib.crc32(slot))
        os.pwrite(self._descriptor, slot.ljust(SLOT_BYTES, b"\0"), self._generation % SLOTS * SLOT_BYTES)

    def sync(self) -> None:
        """Waits until what was written is on the disk."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Lets go of it. May be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _read(self) -> tuple[int, Mark | None]:
        """Generation and content of the newer slot that is whole; None: there is none."""
        newest: tuple[int, Mark | None] = (0, None)
        for number in range(SLOTS):
            slot = os.pread(self._descriptor, SLOT.size + CHECKSUM.size, number * SLOT_BYTES)
            if len(slot) < SLOT.size + CHECKSUM.size or not slot.startswith(NAME):
                continue
            if CHECKSUM.unpack_from(slot, SLOT.size)[0] != zlib.crc32(slot[: SLOT.size]):
                continue
            _, generation, head, clean, written_in = SLOT.unpack_from(slot)
            if generation > newest[0]:
                same = written_in.rstrip(b"\0") == self._boot != b""
                newest = (generation, Mark(head, bool(clean) or same))
        return newest


def boot() -> bytes:
    """Differs after each start of the machine; empty where that can't be told."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()[:36]
    except OSError:
        return b""
