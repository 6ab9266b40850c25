"""Cameras that fail at random: their servers are killed, frozen and held back, their processes killed."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.process_tree import descendants
from tests.daemon.rtsp import RtspServer

QUIET_S = (5.0, 20.0)
"""Between a camera's being mended and its next fault."""


class Site:
    """One camera: its server, and the daemon that watches it."""

    def __init__(self, clip: Path | None, daemon: Callable[[], int], chance: random.Random) -> None:
        """daemon: gives the daemon's process id."""
        self._clip = clip
        self._daemon = daemon
        self._chance = chance
        self.server = RtspServer(clip=clip)

    def restart(self) -> None:
        """At the same address."""
        self.server.kill()
        self.server = RtspServer(self.server.port, clip=self._clip)

    def signal_a_capture_process(self, number: signal.Signals) -> None:
        """One of the daemon's children, whichever camera's it is."""
        if children := descendants(self._daemon()):
            with suppress(ProcessLookupError):
                os.kill(self._chance.choice(children), number)


Act = Callable[[Site], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """How it is made and mended."""

    name: str
    begin: Act
    end: Act | None
    """None: the daemon mends it."""
    hold_s: tuple[float, float]
    """It lasts between these two, by chance."""


FAULTS = (
    Fault("killed and refused", lambda site: site.server.kill(), Site.restart, (1, 15)),
    Fault("restarted", Site.restart, None, (0, 0)),
    Fault("frozen", lambda site: site.server.freeze(), lambda site: site.server.thaw(), (1, 12)),
    Fault("paused", lambda site: site.server.tell("pause"), lambda site: site.server.tell("resume"), (1, 10)),
    Fault(
        "slow", lambda site: site.server.tell("speed 0.5"), lambda site: site.server.tell("speed 1"), (2, 8)
    ),
    Fault(
        "packets lost",
        lambda site: site.server.tell("lose 5"),
        lambda site: site.server.tell("lose 0"),
        (2, 8),
    ),
    Fault("process killed", lambda site: site.signal_a_capture_process(signal.SIGKILL), None, (0, 0)),
    Fault("process segfaulted", lambda site: site.signal_a_capture_process(signal.SIGSEGV), None, (0, 0)),
    Fault("process stopped", lambda site: site.signal_a_capture_process(signal.SIGSTOP), None, (0, 0)),
)


class Trouble:
    """The faults of one camera, one at a time."""

    def __init__(self, site: Site, chance: random.Random, begun: Counter[str]) -> None:
        """begun: counts faults by name, over all cameras."""
        self._site = site
        self._chance = chance
        self._begun = begun
        self._fault: Fault | None = None
        self._next_s: float | None = None

    @property
    def has_fault(self) -> bool:
        """Whether one is there that is not mended yet."""
        return self._fault is not None

    def turn(self, now_s: float, *, calm: bool) -> None:
        """Makes and mends what is due; calm: makes nothing new."""
        if self._next_s is None:
            self._next_s = now_s + self._chance.uniform(*QUIET_S)
        if now_s < self._next_s:
            return
        if self._fault is not None:
            assert self._fault.end is not None
            self._fault.end(self._site)
            self._fault = None
        elif calm:
            return
        else:
            self._begin(now_s)
            return
        self._next_s = now_s + self._chance.uniform(*QUIET_S)

    def _begin(self, now_s: float) -> None:
        fault = self._chance.choice(FAULTS)
        self._begun[fault.name] += 1
        fault.begin(self._site)
        if fault.end is None:
            self._next_s = now_s + self._chance.uniform(*QUIET_S)
        else:
            self._fault = fault
            self._next_s = now_s + self._chance.uniform(*fault.hold_s)
