"""Says that the daemon lives: to systemd, to Prometheus, to whoever asks over HTTP, where that is wanted."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING

from daemon.notify import Supervisor

if TYPE_CHECKING:
    from daemon.events import Event
    from daemon.health import HealthServer
    from daemon.metrics import Metrics


class Monitor:
    """For the daemon's loop, which tells it what it does."""

    def __init__(self, bind: str, *, version: str, model: str, device: str) -> None:
        """bind: [metrics] bind. Nothing is opened before the with block."""
        self._bind = bind
        self._facts = (version, model, device)
        self._opened = ExitStack()
        self._supervisor = Supervisor()
        self._metrics: Metrics | None = None
        self._health: HealthServer | None = None

    def __enter__(self) -> Monitor:
        """Raises BindRefused where the port can't be had."""
        with ExitStack() as opened:
            opened.enter_context(self._supervisor)
            if self._bind != "off":
                from daemon.health import HealthServer
                from daemon.metrics import Metrics

                self._metrics = Metrics(*self._facts)
                self._health = opened.enter_context(HealthServer(self._bind, self._metrics))
            self._opened = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.__exit__(kind, error, trace)

    def ready(self) -> None:
        """Gallery, models and sockets are there."""
        self._supervisor.ready()
        if self._health is not None:
            self._health.ready()

    def turned(self) -> None:
        """The loop has gone round and handed on its work."""
        self._supervisor.alive()
        if self._health is not None:
            self._health.turned()

    def status(self, line: str) -> None:
        """In a few words, how the cameras fare."""
        self._supervisor.status(line)

    def stopping(self) -> None:
        """The end has begun."""
        self._supervisor.stopping()

    def note(self, event: Event) -> None:
        """An event is about to be published."""
        if self._metrics is not None:
            self._metrics.note(event)

    def saw(self, camera: str, faces: int) -> None:
        """So many faces were on a frame."""
        if self._metrics is not None:
            self._metrics.saw(camera, faces)

    def stage(self, name: str) -> AbstractContextManager[object]:
        """Measures what is done within."""
        return nullcontext() if self._metrics is None else self._metrics.stage(name)
