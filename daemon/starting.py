"""Says to others that a daemon is on its way up: from before its nets load until it answers."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from daemon import private_file
from daemon.errors import UsageError

if TYPE_CHECKING:
    from daemon.config import Config

GLANCE_S = 0.01
GLANCES = 30
"""Tries, so far apart: a command that looks at the sign holds it for an instant, a start for seconds."""
PROCESS_DIGITS = 20


class Starting:
    """A locked file beside the control socket: the system lets go of it however the process dies.

    Left unsaid where the folder takes no file; what needs the folder says why, in its own words.
    """

    def __init__(self, control: Path) -> None:
        """control: the socket on which it will answer."""
        self._control = control
        self._file = _sign(control)
        self._lock: int | None = None
        self._made: list[Path] = []

    def __enter__(self) -> Starting:
        """UsageError where another one is starting."""
        folder = self._file.parent
        self._made = [each for each in (folder, *folder.parents) if not each.exists()]
        try:
            private_file.make_folder(folder)
            self._lock = _locked(self._file)
        except BlockingIOError:
            process = starting_process(self._control)
            raise UsageError(
                f"{self._control} is taken: a daemon is starting there (process {process or 'unknown'})"
            ) from None
        except OSError:
            return self
        with suppress(OSError):
            # A disk that is full: that somebody is starting is known all the same.
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, str(os.getpid()).encode(), 0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """It answers from now on, or never will. May be called twice."""
        if self._lock is not None:
            # While it is locked: whoever has opened it meanwhile sees that it is gone, and makes another.
            self._file.unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None
        for folder in self._made:
            try:
                folder.rmdir()
            except OSError:
                # Something is in it by now, so it is needed.
                break
        self._made = []


def starting_process(control: Path) -> int | None:
    """Of the daemon that is starting there; 0: not known; None: none is, or we may not know."""
    for _ in range(GLANCES):
        try:
            glance = os.open(_sign(control), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return None
        try:
            fcntl.flock(glance, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None
        except BlockingIOError:
            if number := os.pread(glance, PROCESS_DIGITS, 0):
                return int(number) if number.isdigit() else 0
        finally:
            os.close(glance)
        # It has just locked it, and not written yet.
        time.sleep(GLANCE_S)
    return 0


def is_starting(control: Path) -> bool:
    """Whether a daemon is starting that will answer there."""
    return starting_process(control) is not None


def check_service(config: Config) -> None:
    """UsageError while the service that is meant is starting: what it has is not where ours would be."""
    if config.reached_path != config.control_path and is_starting(config.reached_path):
        raise UsageError("the service is starting: ask again as soon as `visaged status` answers")


def _sign(control: Path) -> Path:
    return control.with_name(f"{control.name}.starting")


def _locked(file: Path) -> int:
    """BlockingIOError where somebody else keeps it locked."""
    for glance in range(GLANCES):
        lock = private_file.open_lock(file)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(lock).st_nlink:
                return lock
        except BlockingIOError:
            if glance == GLANCES - 1:
                os.close(lock)
                raise
        os.close(lock)
        time.sleep(GLANCE_S)
    raise BlockingIOError
