"""The file in which an archive grows until it takes its place; what a kill left of such is removed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import tempfile
from pathlib import Path

SUFFIX = ".new"
BEGINNINGS = (b"", b"PK\x03\x04")
"""Of what a kill left: nothing yet, or a zip's first member."""


def open_beside(path: Path) -> tuple[int, Path]:
    """A fresh file, 0600, locked for as long as its descriptor is open; OSError where there can be none.

    What dead processes left on the way to the same path is removed first.
    """
    folder, ours = path.absolute().parent, re.compile(rf"\.{re.escape(path.name)}-[a-z0-9_]{{8}}{SUFFIX}")
    for left in folder.iterdir():
        if ours.fullmatch(left.name):
            _remove_dead(left)
    while True:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}-", suffix=SUFFIX, dir=folder)
        # On a file system without locks nobody else gets one either, and nothing is removed there.
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return handle, Path(name)
        # Somebody took it for a dead one's before it was locked.
        os.close(handle)


def _remove_dead(left: Path) -> None:
    """Only what is certainly an archive of ours that nobody writes any more."""
    try:
        handle = os.open(left, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        found = os.fstat(handle)
        is_ours = found.st_uid == os.geteuid() and found.st_mode == stat.S_IFREG | 0o600
        if is_ours and os.pread(handle, 4, 0) in BEGINNINGS:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink(missing_ok=True)
    except OSError:
        # A living process has it, or it can't be told.
        pass
    finally:
        os.close(handle)
