"""Files and folders that are nobody else's business: 0600 and 0700 whatever the umask."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER_MODE, FILE_MODE = 0o700, 0o600


def make_folder(folder: Path) -> None:
    """Makes it and what is missing above it, all of them 0700."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=FOLDER_MODE, exist_ok=True)
        each.chmod(FOLDER_MODE)


def create(file: Path, text: str) -> None:
    """Writes a new file, or leaves none; FileExistsError where there is one, also a link to nowhere."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, FILE_MODE)
    try:
        _fill(descriptor, text.encode())
    except BaseException:
        # What is left of a secret is none, and would be taken for one the next time.
        file.unlink(missing_ok=True)
        raise


def replace(file: Path, text: str) -> None:
    """Writes it anew, the whole of it or nothing, also if the machine goes down meanwhile."""
    replace_bytes(file, text.encode())


def replace_bytes(file: Path, content: bytes, mode: int = FILE_MODE) -> None:
    """As replace; mode: of what is nobody's secret."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        _fill(descriptor, content, mode)
        Path(name).replace(file)
        _sync_folder(file.parent)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """One process, and one thread of it, at a time; waits for the others. The file stays, empty."""
    descriptor = open_lock(file)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def open_lock(file: Path) -> int:
    """A descriptor of an empty file, made where there is none; processes that we start don't get it."""
    return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)


def is_private(file: Path) -> bool:
    """Whether nobody but its owner may do anything with it."""
    return not file.stat().st_mode & 0o077


def identity(file: Path) -> tuple[int, ...] | None:
    """Changes when the file does; None: there is none."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _fill(descriptor: int, content: bytes, mode: int = FILE_MODE) -> None:
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
