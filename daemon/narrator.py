"""Frames and changes of the cameras to events, in the order in which they are told."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from daemon import events
from daemon.crops import best_of, picture_of, take
from daemon.frame import CameraChange, Frame
from daemon.memory import Memory
from daemon.monitor import Monitor
from daemon.pipeline import Outcome, Pipeline
from daemon.tally import Tally
from daemon.teller import Teller
from daemon.visits import Change, Visit

if TYPE_CHECKING:
    from daemon.config import Config
    from gallery.matcher import Index

ENDING = ("offline", "ended", "frozen")
"""In these states nobody is before a camera any more, as far as can be told."""


class Narrator:
    """Asks the pipeline what is on the frames, and says so."""

    def __init__(
        self,
        config: Config,
        pipeline: Pipeline,
        tallies: Mapping[str, Tally],
        memory: Memory,
        monitor: Monitor,
        origin_ns: int,
        witness: Callable[[Outcome], None],
    ) -> None:
        """origin_ns: as View's. Tallies and memory are kept up to date as events are taken.

        witness: is shown what each frame brought.
        """
        self._witness = witness
        self._events = config.events
        self._pipeline = pipeline
        self._tallies = tallies
        self._memory = memory
        self._monitor = monitor
        self._origin_ns = origin_ns
        self._teller = Teller(config.encoder.threshold, origin_ns)

    def adjust(self, config: Config) -> None:
        """Goes on with this configuration."""
        self._events = config.events
        self._teller = Teller(config.encoder.threshold, self._origin_ns)

    def tell(self, happened: Sequence[Frame | CameraChange]) -> Iterator[events.Event]:
        """The events of what the cameras gave, each camera's in its order: its end after its last face."""
        frames = [item for item in happened if isinstance(item, Frame)]
        outcomes: dict[str, Outcome] = {}
        if frames:
            with self._monitor.stage("pipeline"):
                # One batch over all cameras.
                outcomes = {outcome.frame.camera: outcome for outcome in self._pipeline.process(frames)}
        for item in happened:
            tally = self._tallies[item.camera]
            if isinstance(item, CameraChange):
                if item.state in ENDING:
                    yield from self._left(item.camera)
                event = events.camera(item)
                tally.told(item, event.time)
                yield event
                continue
            tally.processed += 1
            tally.newest = item
            yield from self._seen(outcomes[item.camera], self._pipeline.index)

    def end(self) -> Iterator[events.Event]:
        """Everybody who is in view when the daemon stops."""
        for camera in self._tallies:
            yield from self._left(camera)

    def forget(self, people: Container[str]) -> Iterator[events.Event]:
        """Takes these people's names, by their ids, from everybody: corrected, without a picture."""
        self._memory.forget(people)
        for camera, changes in self._pipeline.forget(people).items():
            yield from (self._corrected(camera, change) for change in changes)

    def _corrected(self, camera: str, change: Change) -> events.Event:
        """Told on the newest frame, as nothing is on it that was not decided before."""
        frame = self._tallies[camera].newest
        assert frame is not None
        told = self._teller.life(frame, change, self._pipeline.index)
        return events.life(told, deadline_ms=self._events.deadline_ms)

    def _seen(self, outcome: Outcome, index: Index) -> Iterator[events.Event]:
        camera = outcome.frame.camera
        self._witness(outcome)
        self._monitor.saw(camera, len(outcome.faces))
        for face in outcome.faces:
            self._memory.note(face.visit)
            self._tallies[camera].unfit.update(face.track.reasons)
            if self._events.crops:
                face.visit.best = best_of(face.visit.best, outcome.frame, face.track)
        deadline_ms = self._events.deadline_ms
        seen = {face.visit.id for face in outcome.faces}
        for change in outcome.changes:
            event = events.life(self._teller.life(outcome.frame, change, index), deadline_ms=deadline_ms)
            yield event
            yield from self._pictured(event, change.visit, outcome.frame if change.visit.id in seen else None)
        if self._events.sightings:
            for face in outcome.faces:
                told = self._teller.sighting(outcome.frame, face.visit, index)
                yield events.sighting(told, deadline_ms=deadline_ms)

    def _left(self, camera: str) -> Iterator[events.Event]:
        """Everybody who was before a camera that ended or was lost."""
        frame = self._tallies[camera].newest
        for change in self._pipeline.end(camera):
            assert frame is not None
            told = self._teller.life(frame, change, self._pipeline.index)
            event = events.life(told, deadline_ms=self._events.deadline_ms)
            yield event
            yield from self._pictured(event, change.visit, None)

    def _pictured(self, told: events.Event, visit: Visit, frame: Frame | None) -> Iterator[events.Event]:
        """The face that was told of: on the frame that shows it, else (None) the best of its stay."""
        if not self._events.crops:
            return
        shot = visit.best if frame is None else take(frame, visit.track)
        if shot is not None:
            yield events.crop(told, picture_of(shot))
