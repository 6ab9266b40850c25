"""Journal, events, replay and crops: all that subscribers reach, opened and closed together."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

from daemon.courier import Courier
from daemon.events import Event, Json
from daemon.gallery_key import gallery_key
from daemon.journal import Keep
from daemon.keys import Keyring
from daemon.presence import Presence
from daemon.publisher import Publisher
from daemon.recorder import Recorder
from daemon.replay_server import ReplayServer

if TYPE_CHECKING:
    from daemon.config import Config

DAY_S = 86_400
MEGABYTE = 1_000_000


class Bus:
    """What the daemon's loop hands its events to."""

    def __init__(self, config: Config, cameras: Sequence[str], *, insecure: bool) -> None:
        """cameras: who may be present. Nothing is opened before the with block."""
        kept = config.journal
        keep = Keep(kept.keep_days * DAY_S, kept.keep_mb * MEGABYTE)
        self._events = config.events
        self._insecure = insecure
        self._keyring = Keyring.load(config.state_dir) if config.events.curve else None
        self._recorder = Recorder(config.journal_path, uuid.uuid4().hex, keep, gallery_key(config))
        self._presence = Presence(cameras, self._recorder.head)
        self._opened = ExitStack()

    def __enter__(self) -> Bus:
        """Raises BindRefused where a socket can't be had."""
        with ExitStack() as opened:
            # Closed from below: the publisher's linger is also the time that the others need.
            opened.enter_context(self._recorder)
            self._publisher = opened.enter_context(
                Publisher(self._events.bind, keyring=self._keyring, insecure=self._insecure)
            )
            self._replay = (
                None if self._events.replay == "off" else opened.enter_context(self._replay_server())
            )
            self._courier = opened.enter_context(Courier(self._publisher, self._recorder, self._presence))
            self._opened = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.__exit__(kind, error, trace)

    def send(self, event: Event) -> None:
        """Courier.send: never waits."""
        self._courier.send(event)

    def passed(self) -> Future[bool]:
        """Courier.passed."""
        return self._courier.passed()

    @property
    def recorder(self) -> Recorder:
        """Writes the journal."""
        return self._recorder

    def follow(self, cameras: Sequence[str]) -> None:
        """These are the cameras from now on."""
        self._presence.follow(cameras)

    def await_subscribers(self, count: int, stop: threading.Event, timeout_s: float) -> bool:
        """Courier.await_subscribers."""
        return self._courier.await_subscribers(count, stop, timeout_s)

    def check(self) -> None:
        """Raises where a thread died of a bug: a daemon without it would lie."""
        self._courier.check()
        if self._replay is not None:
            self._replay.check()

    def status(self) -> dict[str, Json]:
        """The answer to status: what the daemon said of itself last."""
        return {"epoch": self._recorder.epoch, **self._presence.status()}

    @property
    def overruns(self) -> int:
        """Publisher.overruns."""
        return self._courier.overruns

    @property
    def refused(self) -> Counter[str]:
        """How many handshakes were refused, by reason, over both sockets."""
        found = self._publisher.refused()
        return found if self._replay is None else found + self._replay.refused()

    def _replay_server(self) -> ReplayServer:
        return ReplayServer(
            self._events.replay,
            self._recorder,
            self._presence,
            keyring=self._keyring,
            insecure=self._insecure,
        )
