"""The path of an ipc socket: ours alone from before it is bound until it is released."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

from daemon import private_file
from daemon.endpoint import BindRefused, check_folder, somebody_listens


class Claim:
    """The path of an ipc socket that is ours alone among visaged's processes, until it is released.

    A lock on a file beside it says so: the system lets go of it when the process dies, however that happens.
    """

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        """Of the socket."""
        self._lock: int | None = lock
        self._socket: tuple[int, int] | None = None

    def bound(self) -> None:
        """To be called after each binding: what is at the path now is ours."""
        self._socket = _socket_at(self.path)

    def is_stolen(self) -> bool:
        """Whether somebody put another socket in its place, or took it away: nobody reaches us any more."""
        return self._socket is not None and _socket_at(self.path) != self._socket

    def release(self) -> None:
        """Removes the socket's file, which ZeroMQ leaves, and lets go of the path. May be called twice."""
        if self._lock is None:
            return
        if self._socket is not None and not self.is_stolen():
            self.path.unlink(missing_ok=True)
        # While it is locked: whoever has opened it meanwhile sees that it is gone, and makes another.
        _lock_file(self.path).unlink(missing_ok=True)
        os.close(self._lock)
        self._lock = None


def claim(path: Path) -> Claim:
    """Makes way for an ipc socket. Who listens there keeps it: ZeroMQ alone would take it, silently."""
    try:
        private_file.make_folder(path.parent)
        check_folder(path.parent)
        lock = _lock(path)
        try:
            _make_way(path)
        except BaseException:
            os.close(lock)
            raise
    except OSError as error:
        raise BindRefused(f"ipc://{path} can't be had: {error.strerror}") from None
    return Claim(path, lock)


def _lock(path: Path) -> int:
    """The descriptor that holds the lock; BindRefused where another process, or we ourselves, have it."""
    file = _lock_file(path)
    while True:
        lock = private_file.open_lock(file)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(file, lock):
                return lock
        except BlockingIOError:
            os.close(lock)
            raise BindRefused(f"ipc://{path} is taken: another visaged has it") from None
        except BaseException:
            os.close(lock)
            raise
        # It was released, and removed, between the opening and the locking.
        os.close(lock)


def _lock_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _is_at(file: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(file.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _socket_at(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _make_way(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise BindRefused(f"ipc://{path} is refused: there is a file of that name, and it is no socket")
    if somebody_listens(path):
        raise BindRefused(f"ipc://{path} is taken: another process listens there")
    path.unlink(missing_ok=True)
