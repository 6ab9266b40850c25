"""Tells systemd how the daemon fares: ready, alive, stopping, a line of status. Elsewhere it is silent."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import TracebackType

logger = logging.getLogger(__name__)

STATUS_CHARACTERS = 200
"""systemctl shows a line; many cameras are cut off."""
SIGNS_A_PERIOD = 3
"""How often we say that we live within the time after which systemd would kill us; it advises two."""

EXTEND_S, EXTEND_EVERY_S = 60, 10.0
"""How much longer systemd waits for READY with each word of ours, and how often it gets one."""
EXTEND_AT_MOST_S = 1200.0
"""Who is busy for longer than that hangs: compiling takes 10 to 30 seconds, on a small computer minutes."""


class Supervisor:
    """The other end of systemd's notification socket (sd_notify(3)); for one thread."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._socket: socket.socket | None = None
        self._watchdog_s = _watchdog_s(environment)
        self._alive_s = -1e9
        self._status = ""
        if address := environment.get("NOTIFY_SOCKET"):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            # A supervisor that does not read must not hold us up.
            self._socket.setblocking(False)
            # Abstract ones are written with an @.
            with suppress(OSError):
                self._socket.connect("\0" + address[1:] if address.startswith("@") else address)

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._socket is not None:
            self._socket.close()

    @property
    def is_there(self) -> bool:
        """Whether anybody hears us."""
        return self._socket is not None

    def extend(self, seconds: int) -> None:
        """READY takes longer than TimeoutStartSec: another word of ours comes within so many seconds."""
        self._say(f"EXTEND_TIMEOUT_USEC={seconds * 1_000_000}")

    def ready(self) -> None:
        """Gallery, models and sockets are there."""
        self._say("READY=1")

    def stopping(self) -> None:
        """The end has begun."""
        self._say("STOPPING=1")

    def alive(self) -> None:
        """To be called whenever the main loop has turned and handed on its work; costs nothing in between."""
        now_s = time.monotonic()
        if self._watchdog_s is not None and now_s - self._alive_s >= self._watchdog_s / SIGNS_A_PERIOD:
            self._alive_s = now_s
            self._say("WATCHDOG=1")

    def status(self, text: str) -> None:
        """A line for `systemctl status`; said when it changes."""
        line = " ".join(text.split())[:STATUS_CHARACTERS]
        if line != self._status:
            self._status = line
            self._say(f"STATUS={line}")

    def _say(self, message: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.send(message.encode())
        except OSError as error:
            logger.debug("systemd was not told %s: %s", message, error)


@contextmanager
def start_extended(
    is_busy: Callable[[], bool], what: str, environment: Mapping[str, str] = os.environ
) -> Iterator[None]:
    """Within, systemd waits for READY beyond TimeoutStartSec for as long as is_busy; what: we are busy with.

    is_busy is asked in a thread of its own, and only where systemd listens.
    """
    with Supervisor(environment) as supervisor:
        if not supervisor.is_there:
            yield
            return
        over = threading.Event()
        arguments = (supervisor, is_busy, what, over)
        thread = threading.Thread(target=_extend, args=arguments, name="start extended", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _extend(supervisor: Supervisor, is_busy: Callable[[], bool], what: str, over: threading.Event) -> None:
    last_s = time.monotonic() + EXTEND_AT_MOST_S
    while not over.wait(EXTEND_EVERY_S) and time.monotonic() < last_s:
        if is_busy():
            supervisor.status(what)
            supervisor.extend(EXTEND_S)


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    """After how long a silence systemd acts; None: never, or it means another process."""
    period = environment.get("WATCHDOG_USEC", "")
    meant = environment.get("WATCHDOG_PID", str(os.getpid()))
    if not period.isdecimal() or int(period) == 0 or meant != str(os.getpid()):
        return None
    return int(period) / 1e6
