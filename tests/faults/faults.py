"""What can go wrong with a camera, and how each fault is made and mended."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

from tests.daemon.test_capture_rtsp import MANY_PACKETS
from tests.faults.stage import PASSWORD, Stage

SOON_S = 4.0
LATER_S = 8.0
"""A loss of packets has to be told from a single one."""

Act = Callable[[Stage], None]


def _nothing(_: Stage) -> None:
    """It has happened, or mends itself."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of the matrix."""

    name: str
    begin: Act
    """Makes it, while both cameras are seen; `_nothing`: it is there from the start."""
    end: Act | None
    """Mends it; None: it is over when it begins."""
    states: tuple[str, ...]
    """One of these is told first."""
    reason: str
    """A regular expression for what is told with it."""
    notice_s: float = SOON_S
    """It has to be told within this."""
    hold_s: float = 5.0
    """It is not mended sooner: the longer it is there, the longer the pauses between attempts."""
    from_start: bool = False
    """It is there before the daemon opens the camera."""
    server: tuple[str, ...] = ()
    """The door's RTSP server's options."""
    password: str | None = None
    """What the door's RTSP server asks for."""


def _signalled(number: signal.Signals) -> Act:
    return lambda stage: os.kill(stage.door_process(), number)


def _told_to(command: str) -> Act:
    return lambda stage: stage.server.tell(command)


def _restart(stage: Stage) -> None:
    stage.server.kill()
    stage.restart_server()


def _write_password(stage: Stage) -> None:
    stage.password_file.write_text(PASSWORD)


FAULTS = (
    Fault(
        "refused",
        lambda stage: stage.server.kill(),
        Stage.restart_server,
        ("offline",),
        "refused",
        hold_s=20,
        from_start=True,
    ),
    Fault(
        "killed",
        lambda stage: stage.server.kill(),
        Stage.restart_server,
        ("offline",),
        "stream ended|refused",
        hold_s=20,
    ),
    Fault(
        "frozen (SIGSTOP)",
        lambda stage: stage.server.freeze(),
        lambda stage: stage.server.thaw(),
        ("stalled", "offline"),
        "no frame for",
        hold_s=12,
    ),
    Fault("paused, connection alive", _told_to("pause"), _told_to("resume"), ("stalled",), "no frame for"),
    Fault("slow", _told_to("speed 0.5"), _told_to("speed 1"), ("stalled",), "behind its own time"),
    Fault(
        "1 % of packets lost",
        _told_to("lose 1"),
        _told_to("lose 0"),
        ("lossy",),
        "damaged pictures",
        notice_s=LATER_S,
        server=MANY_PACKETS,
    ),
    Fault(
        "5 % of packets lost",
        _told_to("lose 5"),
        _told_to("lose 0"),
        ("lossy",),
        "damaged pictures",
        notice_s=LATER_S,
        server=MANY_PACKETS,
    ),
    Fault("size changed", _told_to("size 480x320"), None, ("offline",), "another size"),
    Fault("restarted", _restart, None, ("offline",), "stream ended|refused"),
    Fault(
        "wrong password",
        _nothing,
        _write_password,
        ("offline",),
        "401",
        from_start=True,
        password=PASSWORD,
    ),
    Fault("process killed", _signalled(signal.SIGKILL), None, ("offline",), "killed by SIGKILL"),
    Fault("process stopped", _signalled(signal.SIGSTOP), None, ("stalled", "offline"), "no frame for"),
    Fault("process segfaulted", _signalled(signal.SIGSEGV), None, ("offline",), "killed by SIGSEGV"),
)
