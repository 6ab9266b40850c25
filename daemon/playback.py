"""Plays a file through tracks and decisions without sockets: for comparing settings, benchmarks and tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.capture import Cameras
from daemon.config import CameraConfig
from daemon.frame import CameraChange, Frame, StartTime
from daemon.pipeline import Outcome, Pipeline
from daemon.strangers import Strangers
from daemon.view import View

if TYPE_CHECKING:
    from daemon.config import Config
    from gallery.faces.engine import FaceEngine
    from gallery.matcher import Index

GATHER_S = 1.0


@dataclass(frozen=True, slots=True)
class Stage:
    """What plays: the nets, the people, the settings."""

    engine: FaceEngine
    """Detector and encoder."""
    index: Index
    """Who is enrolled."""
    config: Config
    """Thresholds and times."""

    def pipeline(
        self,
        started: StartTime,
        names: list[str],
        live: frozenset[str] = frozenset(),
        strangers: Strangers | None = None,
    ) -> Pipeline:
        """A pipeline with a view for each of these cameras. strangers: who is remembered; None: nobody."""
        config, own_threshold = self.config, self.engine.encoder.threshold
        strangers = self.strangers() if strangers is None else strangers
        views = {name: View(config.tracker, strangers, own_threshold, started.monotonic_ns) for name in names}
        return Pipeline(self.engine, self.index, config.rules, views, live)

    def strangers(self) -> Strangers:
        """Nobody yet."""
        # Known again among many as people are, and so by their threshold: at the encoder's own, which is for
        # pairs, every second new stranger is one of 200 that are remembered (docs/decisions/0060).
        return Strangers(self.config.encoder.threshold, self.config.strangers.forget_after)


def play(stage: Stage, source: str, name: str = "clip") -> Iterator[Outcome]:
    """Every frame of a file or folder in step; a last outcome, without faces, holds who was there at the end.

    An outcome's tracks and visits go on changing: take what you need before the next.
    """
    started = StartTime.now()
    newest: Frame | None = None
    with (
        stage.pipeline(started, [name]) as pipeline,
        Cameras([CameraConfig(name=name, source=source)], started) as cameras,
    ):
        while not cameras.ended:
            for item in cameras.gather(GATHER_S):
                if isinstance(item, CameraChange):
                    continue
                newest = item
                yield from pipeline.process([item])
        if newest is not None:
            yield Outcome(newest, (), tuple(pipeline.end(name)), at_end=True)
