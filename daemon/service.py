"""The daemon: a thin loop that joins cameras, pipeline and publisher. Only it sends."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from daemon import events
from daemon.capture import Cameras
from daemon.control import ControlServer, Facts, Live
from daemon.courier import Courier
from daemon.crops import best_of, picture_of, take
from daemon.frame import CameraChange, Frame, StartTime
from daemon.image_file import jpeg
from daemon.journal import Keep
from daemon.keys import Keyring
from daemon.memory import Memory
from daemon.pipeline import Outcome, Pipeline
from daemon.playback import Stage
from daemon.presence import Presence
from daemon.publisher import Publisher
from daemon.recorder import Recorder
from daemon.replay_server import ReplayServer
from daemon.seeing import Seeing
from daemon.sources import parse
from daemon.teller import Teller
from daemon.version import version
from daemon.visits import Visit
from gallery.errors import GalleryError

if TYPE_CHECKING:
    from daemon.config import Config
    from gallery.faces.engine import FaceEngine
    from gallery.matcher import Index
    from gallery.store import Gallery

logger = logging.getLogger(__name__)

HEARTBEAT_S = 1.0
GATHER_S = 0.2
"""How soon a stop is noticed while no camera gives anything."""
GALLERY_POLL_S = 0.5
"""How often the gallery is asked whether it changed: somebody enrolled is known well within two seconds."""


ENDING = ("offline", "ended", "frozen")
"""In these states nobody is before a camera any more, as far as can be told."""


@dataclass(slots=True)
class Tally:
    """What the heartbeat tells of one camera."""

    state: str = "starting"
    """starting, or the last state that was published."""
    processed: int = 0
    """Frames that went through the pipeline."""
    newest: Frame | None = None
    """The frame processed last, for a snapshot."""
    unfit: Counter[str] = field(default_factory=Counter)
    """Reasons why faces were not fit to decide, over all faces of all frames."""


@dataclass(slots=True)
class Moment:
    """When something that is done now and then was done last."""

    every_s: float
    last_s: float = field(default=-1e9)

    def has_come(self) -> bool:
        """Whether it is time again; counts as done from now."""
        now_s = time.monotonic()
        if now_s - self.last_s < self.every_s:
            return False
        self.last_s = now_s
        return True


class Service:
    """One run of the daemon, from its sockets' opening to its last event."""

    def __init__(self, config: Config, engine: FaceEngine, gallery: Gallery, stop: threading.Event) -> None:
        """stop: set by a signal. Nothing is opened yet that others can see."""
        self._config = config
        self._gallery = gallery
        self._stop = stop
        self._stage = Stage(engine, gallery.index(engine.model), config)
        self._tallies = {camera.name: Tally() for camera in config.camera}
        self._up_since_s = time.monotonic()
        self._heartbeat = Moment(HEARTBEAT_S)
        self._gallery_poll = Moment(GALLERY_POLL_S)
        self._gallery_failed = False
        self._memory = Memory(config.tracker.remember_s)
        self._refused: list[Callable[[], Counter[str]]] = []

    def run(self, device: str, await_subscribers: int, *, insecure: bool) -> None:
        """Until every camera has ended or the stop is set; raises BindRefused where a socket can't be had."""
        model = self._stage.index.model
        facts = Facts(version(), str(self._gallery.path), model, str(self._config.state_dir))
        live = Live(self._snapshot, self._memory.find)
        config = self._config
        keyring = Keyring.load(config.state_dir) if config.events.curve else None
        recorder = self._recorder()
        presence = Presence(self._tallies, recorder.head)
        # Closed from below: the publisher's linger is also the time that the others need.
        with (
            recorder,
            Publisher(config.events.bind, keyring=keyring, insecure=insecure) as publisher,
            self._replay_server(recorder, presence, keyring, insecure=insecure) as replay,
            ControlServer(config.control_path, facts, live) as control,
            Courier(publisher, recorder, presence) as courier,
        ):
            checks = [each.check for each in (control, courier, replay) if each is not None]
            self._refused = [each.refused for each in (publisher, replay) if each is not None]
            names = [camera.name for camera in config.camera]
            started = events.Started(version(), device, model, self._stage.index.revision, names)
            courier.send(events.daemon(started))
            with self._last_word(courier):
                if self._subscribers_came(courier, await_subscribers):
                    self._watch(courier, checks)

    def _recorder(self) -> Recorder:
        kept = self._config.journal
        keep = Keep(kept.keep_days * 86_400, kept.keep_mb * 1_000_000)
        return Recorder(self._config.journal_path, uuid.uuid4().hex, keep)

    def _replay_server(
        self, recorder: Recorder, presence: Presence, keyring: Keyring | None, *, insecure: bool
    ) -> AbstractContextManager[ReplayServer | None]:
        bind = self._config.events.replay
        if bind == "off":
            return nullcontext()
        return ReplayServer(bind, recorder, presence, keyring=keyring, insecure=insecure)

    def _watch(self, courier: Courier, checks: Sequence[Callable[[], None]]) -> None:
        # Files play from now on: their frames count from here, not from the start of the waiting.
        started = StartTime(time.time_ns(), time.monotonic_ns())
        with (
            self._pipeline(started) as pipeline,
            Cameras(self._config.camera, started) as cameras,
        ):
            teller = Teller(self._config.encoder.threshold, started.monotonic_ns)
            seeing = Seeing(self._config.camera)
            while not (self._stop.is_set() or cameras.ended):
                for check in checks:
                    check()
                happened = seeing.watch(cameras.gather(GATHER_S))
                self._follow_gallery(pipeline)
                for event in self._told(happened, pipeline, teller):
                    courier.send(event)
                self._beat(courier, cameras)
            for event in self._open(pipeline, teller):
                courier.send(event)

    def _pipeline(self, started: StartTime) -> Pipeline:
        cameras = self._config.camera
        live = {camera.name for camera in cameras if camera.realtime or parse(camera.source).live}
        return self._stage.pipeline(started, [camera.name for camera in cameras], frozenset(live))

    def _told(
        self, happened: Sequence[Frame | CameraChange], pipeline: Pipeline, teller: Teller
    ) -> Iterator[events.Event]:
        """The events of what the cameras gave, each camera's in its order: its end after its last face."""
        frames = [item for item in happened if isinstance(item, Frame)]
        # One batch over all cameras.
        outcomes = {outcome.frame.camera: outcome for outcome in (pipeline.process(frames) if frames else [])}
        for item in happened:
            tally = self._tallies[item.camera]
            if isinstance(item, CameraChange):
                if item.state in ENDING:
                    yield from self._left(item.camera, pipeline, teller)
                tally.state = item.state
                yield events.camera(item)
                continue
            tally.processed += 1
            tally.newest = item
            yield from self._seen(outcomes[item.camera], pipeline.index, teller)

    def _seen(self, outcome: Outcome, index: Index, teller: Teller) -> Iterator[events.Event]:
        for face in outcome.faces:
            self._memory.note(face.visit)
            self._tallies[outcome.frame.camera].unfit.update(face.track.reasons)
            if self._config.events.crops:
                face.visit.best = best_of(face.visit.best, outcome.frame, face.track)
        deadline_ms = self._config.events.deadline_ms
        seen = {face.visit.id for face in outcome.faces}
        for change in outcome.changes:
            event = events.life(teller.life(outcome.frame, change, index), deadline_ms=deadline_ms)
            yield event
            yield from self._pictured(event, change.visit, outcome.frame if change.visit.id in seen else None)
        if self._config.events.sightings:
            for face in outcome.faces:
                told = teller.sighting(outcome.frame, face.visit, index)
                yield events.sighting(told, deadline_ms=deadline_ms)

    def _left(self, camera: str, pipeline: Pipeline, teller: Teller) -> Iterator[events.Event]:
        """Everybody who was before a camera that ended or was lost."""
        frame = self._tallies[camera].newest
        for change in pipeline.end(camera):
            assert frame is not None
            told = teller.life(frame, change, pipeline.index)
            event = events.life(told, deadline_ms=self._config.events.deadline_ms)
            yield event
            yield from self._pictured(event, change.visit, None)

    def _pictured(self, told: events.Event, visit: Visit, frame: Frame | None) -> Iterator[events.Event]:
        """The face that was told of: on the frame that shows it, else (None) the best of its stay."""
        if not self._config.events.crops:
            return
        shot = visit.best if frame is None else take(frame, visit.track)
        if shot is not None:
            yield events.crop(told, picture_of(shot))

    def _open(self, pipeline: Pipeline, teller: Teller) -> Iterator[events.Event]:
        """Everybody who is in view when the daemon stops."""
        for camera in self._tallies:
            yield from self._left(camera, pipeline, teller)

    def _follow_gallery(self, pipeline: Pipeline) -> None:
        """Takes over what was enrolled or removed; goes on with what it knows where the gallery fails."""
        if not self._gallery_poll.has_come():
            return
        try:
            if not self._gallery.changed():
                return
            pipeline.index = index = self._gallery.index(pipeline.index.model)
        except GalleryError as error:
            if not self._gallery_failed:
                logger.error("the gallery of revision %s stays in use: %s", pipeline.index.revision, error)
            self._gallery_failed = True
        else:
            self._gallery_failed = False
            logger.info(
                "gallery revision %s: %s people, %s encodings", index.revision, len(index.people), len(index)
            )

    def _subscribers_came(self, courier: Courier, count: int) -> bool:
        """Waits for them with a beating heart; False if the stop came first."""
        while count and not courier.await_subscribers(count, self._stop, timeout_s=HEARTBEAT_S):
            if self._stop.is_set():
                return False
            self._beat(courier, None)
        return True

    def _beat(self, courier: Courier, cameras: Cameras | None) -> None:
        if not self._heartbeat.has_come():
            return
        counts = {} if cameras is None else cameras.counts
        pulses = []
        for name, tally in self._tallies.items():
            count = counts.get(name)
            read, replaced = (count.read, count.replaced) if count else (0, 0)
            unfit = [events.Unfit(reason, count) for reason, count in tally.unfit.most_common()]
            pulses.append(events.CameraPulse(name, tally.state, read, tally.processed, replaced, unfit))
        uptime_s = time.monotonic() - self._up_since_s
        together = sum((refused() for refused in self._refused), Counter[str]())
        refused = [events.Refused(reason, count) for reason, count in together.most_common()]
        told = events.Heartbeat(round(uptime_s, 3), courier.overruns, pulses, refused)
        courier.send(events.daemon(told))

    @contextmanager
    def _last_word(self, courier: Courier) -> Iterator[None]:
        """Says why it ends, also where an error ends it."""
        reason = "a bug ended it; the log says which"
        try:
            yield
            reason = "a signal asked for it" if self._stop.is_set() else "every camera has ended"
        finally:
            courier.send(events.daemon(events.Stopping(reason)))
            logger.info("stopping: %s", reason)

    def _snapshot(self, camera: str) -> bytes | None:
        """Called from the control socket's thread; a frame is never written to again, so it may be shared."""
        tally = self._tallies.get(camera)
        if tally is None or tally.newest is None:
            return None
        return jpeg(tally.newest.bgr)
