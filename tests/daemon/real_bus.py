"""The daemon's whole bus in this process: journal, events, replay; for tests of those who listen."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from daemon import events
from daemon.client import ask
from daemon.courier import Courier
from daemon.journal import Keep
from daemon.keys import Keyring
from daemon.presence import Presence
from daemon.publisher import Publisher
from daemon.recorder import Recorder
from daemon.replay_server import ReplayServer
from daemon.vocabulary import Heartbeat
from tests.daemon.journaling import CAMERAS, FOREVER


@dataclass(frozen=True, slots=True)
class RealBus:
    """Open, and given events to send."""

    courier: Courier
    endpoint: str
    journal: str

    def send(self, *sent: events.Event) -> None:
        """In order; they are published within moments."""
        for event in sent:
            self.courier.send(event)

    def await_subscriber(self) -> None:
        """Until somebody listens."""
        assert self.courier.await_subscribers(1, threading.Event(), timeout_s=30)

    def await_head(self, seq: int) -> None:
        """Until so many events are stored."""
        for _ in range(1000):
            if ask({"op": "head"}, replay=self.journal, timeout_s=20)["head"] >= seq:
                return
            threading.Event().wait(0.02)
        raise AssertionError(f"event {seq} is not stored")

    def beat(self) -> None:
        """The heartbeat, which a daemon sends each second."""
        self.send(events.daemon(Heartbeat(1.0, self.courier.overruns, [])))


@contextmanager
def real_bus(folder: Path, keep: Keep = FOREVER, keyring: Keyring | None = None) -> Iterator[RealBus]:
    """Its sockets and its journal lie in this folder; another call goes on with what is in it."""
    recorder = Recorder(folder / "journal.db", uuid.uuid4().hex, keep)
    presence = Presence(CAMERAS, recorder.head)
    with (
        recorder,
        Publisher(f"ipc://{folder}/events", keyring=keyring) as publisher,
        ReplayServer(f"ipc://{folder}/replay", recorder, presence, keyring=keyring) as replay,
        Courier(publisher, recorder, presence) as courier,
    ):
        yield RealBus(courier, publisher.bound, replay.bound)
