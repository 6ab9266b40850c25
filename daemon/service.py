"""The daemon: a thin loop that joins cameras, pipeline and bus. Only it sends."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from daemon import events
from daemon.bus import Bus
from daemon.capture import Cameras
from daemon.control import ControlServer, Facts, Live
from daemon.forgetter import Forgetter
from daemon.forgetting_desk import places_of
from daemon.frame import Frame, StartTime
from daemon.image_file import jpeg
from daemon.journal_reader import JournalReader
from daemon.memory import Memory
from daemon.moment import Moment
from daemon.monitor import Monitor
from daemon.narrator import Narrator
from daemon.pipeline import Pipeline
from daemon.playback import Stage
from daemon.reload import CameraChanges, Reload, camera_changes, reread, set_log_level
from daemon.resident import megabytes, resident_bytes
from daemon.seeing import Seeing
from daemon.settings_noted import note_settings
from daemon.shares import Room
from daemon.sources import parse
from daemon.stuck import StuckWatch
from daemon.studio import Studio
from daemon.tally import Tally, note_arrivals, pulses
from daemon.user import user_name
from daemon.version import version
from gallery.errors import GalleryError
from gallery.faces.device import gpu_bytes

if TYPE_CHECKING:
    from daemon.config import CameraConfig, Config
    from gallery.faces.engine import FaceEngine
    from gallery.store import Gallery

logger = logging.getLogger(__name__)

HEARTBEAT_S = 1.0
GATHER_S = 0.2
"""How soon a stop is noticed while no camera gives anything."""
ROUND_S = 0.1
"""Where not all frames can be processed, as many are taken at once as this is enough for; what is not taken
is replaced by what is newer."""
GALLERY_POLL_S = 0.5
"""How often the gallery is asked whether it changed: somebody enrolled is known well within two seconds."""


class Service:
    """One run of the daemon, from its sockets' opening to its last event."""

    def __init__(
        self,
        config: Config,
        engine: FaceEngine,
        gallery: Gallery,
        stop: threading.Event,
        reload: Reload | None = None,
    ) -> None:
        """stop: set by a signal. reload: None: never. Nothing is opened yet that others can see."""
        self._reload = reload or Reload(lambda: config)
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
        self._strangers = self._stage.strangers()
        self._studio = Studio(
            engine.encoder,
            self._strangers,
            self._tallies,
            config.encoder.threshold,
            lambda: JournalReader(config.journal_path, gallery.key),
            keep_crops=config.gallery.keep_crops,
        )
        self._stuck = StuckWatch()
        self._pipeline: Pipeline | None = None
        """None: no camera was begun with yet."""

    def run(
        self,
        device: str,
        await_subscribers: int,
        *,
        insecure: bool,
        answers: Callable[[], None] = lambda: None,
    ) -> None:
        """Until every camera has ended or the stop is set; raises BindRefused where a socket can't be had.

        answers: called once all sockets are open.
        """
        config, index = self._config, self._stage.index
        facts = Facts(
            version=version(),
            gallery=str(self._gallery.path),
            model=index.model,
            state_dir=str(config.state_dir),
            requires_consent=config.gallery.require_consent,
            journal=str(config.journal_path),
        )
        with (
            Monitor(config.metrics.bind, version=version(), model=index.model, device=device) as monitor,
            Bus(config, list(self._tallies), insecure=insecure) as bus,
            Forgetter(
                self._gallery.path, self._gallery.key, places_of(config), bus.recorder
            ) as self._forgetter,
            ControlServer(
                config.control_path,
                facts,
                Live(self._snapshot, self._memory.find, bus.status, self._studio, self._forgetter),
                self._gallery.key,
            ) as control,
        ):
            self._monitor, self._bus = monitor, bus
            note_settings(self._gallery, config, user_name())
            started = events.Started(version(), device, index.model, index.revision, list(self._tallies))
            self._send(events.daemon(started))
            # Not after the cameras: one may be away for days.
            monitor.ready()
            answers()
            with self._last_word():
                if self._subscribers_came(await_subscribers):
                    self._watch(control.check)

    def _watch(self, check: Callable[[], None]) -> None:
        # Files play from now on: their frames count from here, not from the start of the waiting.
        started = StartTime.now()
        with (
            self._opened_pipeline(started) as pipeline,
            Cameras(self._config.camera, started) as cameras,
        ):
            self._pipeline = pipeline
            pipeline.measure(self._monitor.stage)
            pipeline.prioritize({camera.name: camera.priority for camera in self._config.camera})
            narrator = Narrator(
                self._config,
                pipeline,
                self._tallies,
                self._memory,
                self._monitor,
                started.monotonic_ns,
                self._studio.see,
            )
            seeing = Seeing(self._config.camera)
            room = Room(ROUND_S)
            while not (self._stop.is_set() or cameras.ended):
                check()
                self._bus.check()
                # Between two rounds: what is gathered is of cameras that there are.
                if self._reload.asked.is_set():
                    self._reload.asked.clear()
                    self._adjust(pipeline, cameras, seeing, narrator)
                gathered = cameras.gather(GATHER_S, room.frames)
                gathered_s = time.monotonic()
                note_arrivals(self._tallies, gathered)
                happened = seeing.watch(gathered)
                self._follow_gallery(pipeline)
                self._forget_people(narrator)
                for event in narrator.tell(happened):
                    self._send(event)
                for event in self._studio.news():
                    self._send(event)
                self._beat(cameras)
                frames = sum(isinstance(item, Frame) for item in gathered)
                room.took(frames, time.monotonic() - gathered_s)
            for event in narrator.end():
                self._send(event)

    def _opened_pipeline(self, started: StartTime) -> Pipeline:
        cameras = self._config.camera
        live = {camera.name for camera in cameras if _is_live(camera)}
        return self._stage.pipeline(
            started, [camera.name for camera in cameras], frozenset(live), self._strangers
        )

    def _adjust(self, pipeline: Pipeline, cameras: Cameras, seeing: Seeing, narrator: Narrator) -> None:
        """Takes over what another configuration says, and the gallery as it is now."""
        self._gallery_poll.last_s = -1e9
        self._forgetter.wake()
        new = reread(self._reload.load, self._config)
        if new is None:
            return
        set_log_level(new.daemon.log_level)
        changes = camera_changes(self._config.camera, new.camera)
        self._config = new
        note_settings(self._gallery, new, user_name())
        pipeline.adjust(new.rules, new.tracker, new.strangers.forget_after)
        narrator.adjust(new)
        self._memory.adjust(new.tracker.remember_s)
        self._change_cameras(changes, pipeline, cameras, seeing, narrator)
        pipeline.prioritize({camera.name: camera.priority for camera in new.camera})
        seeing.adjust(new.camera)
        names = [camera.name for camera in new.camera]
        self._bus.follow(names)
        # In place, as the narrator has it too.
        self._tallies.update({name: self._tallies.pop(name) for name in names})
        told = ((changes.added, "added"), (changes.changed, "changed"), (changes.removed, "removed"))
        words = [f"{len(some)} cameras {what}" for some, what in told if some]
        logger.info("the configuration was read again: %s", ", ".join(words) or "the same cameras")

    def _change_cameras(
        self,
        changes: CameraChanges,
        pipeline: Pipeline,
        cameras: Cameras,
        seeing: Seeing,
        narrator: Narrator,
    ) -> None:
        """What is added first: a pipeline's new view is made after an old one."""
        for camera in changes.added:
            self._tallies[camera.name] = Tally()
            pipeline.add(camera.name, live=_is_live(camera))
            cameras.add(camera)
        told = [change for camera in changes.changed for change in cameras.change(camera)]
        told += [change for name in changes.removed for change in cameras.remove(name)]
        for event in narrator.tell(seeing.watch(told)):
            self._send(event)
        for camera in changes.changed:
            pipeline.remove(camera.name)
            pipeline.add(camera.name, live=_is_live(camera))
        for name in changes.removed:
            pipeline.remove(name)
            del self._tallies[name]

    def _send(self, event: events.Event) -> None:
        self._monitor.note(event)
        self._bus.send(event)

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

    def _forget_people(self, narrator: Narrator | None) -> None:
        """Takes names from who is in view, for the thread that forgets; and tells whom it has forgotten."""
        self._forgetter.check()
        for taking in self._forgetter.asked():
            try:
                index = self._gallery.index(self._stage.index.model)
            except GalleryError as error:
                taking.done.set_exception(error)
                continue
            self._stage = replace(self._stage, index=index)
            if narrator is not None and self._pipeline is not None:
                self._pipeline.index = index
                for event in narrator.forget(taking.people):
                    self._send(event)
            taking.done.set_result(self._bus.passed())
        self._tell_forgotten()

    def _tell_forgotten(self) -> None:
        for telling in self._forgetter.owed():
            self._send(events.daemon(telling.what))
            telling.done.set_result(self._bus.passed())

    def _subscribers_came(self, count: int) -> bool:
        """Waits for them with a beating heart; False if the stop came first."""
        while count and not self._bus.await_subscribers(count, self._stop, timeout_s=HEARTBEAT_S):
            if self._stop.is_set():
                return False
            self._forget_people(None)
            self._beat(None)
        return True

    def _beat(self, cameras: Cameras | None) -> None:
        """Says that we live, now that the loop has handed on its work; cameras: None before there are any."""
        under_way = None if self._pipeline is None else self._pipeline.under_way
        if not self._stuck.is_stuck(under_way, time.monotonic()):
            self._monitor.turned()
        if not self._heartbeat.has_come():
            return
        self._monitor.status(", ".join(f"{name} {tally.state}" for name, tally in self._tallies.items()))
        counts = {} if cameras is None else cameras.counts
        index = self._stage.index if self._pipeline is None else self._pipeline.index
        beat = events.Heartbeat(
            uptime_s=round(time.monotonic() - self._up_since_s, 3),
            overruns=self._bus.overruns,
            cameras=pulses(self._tallies, counts, time.monotonic_ns()),
            refused=[events.Refused(reason, count) for reason, count in self._bus.refused.most_common()],
            gallery=events.GalleryPulse(index.revision, len(index.people), len(index)),
            memory_mb=megabytes(resident_bytes()),
            gpu_memory_mb=megabytes(gpu_bytes()),
        )
        self._send(events.daemon(beat))

    @contextmanager
    def _last_word(self) -> Iterator[None]:
        """Says why it ends, also where an error ends it."""
        reason = "a bug ended it; the log says which"
        try:
            yield
            reason = "a signal asked for it" if self._stop.is_set() else "every camera has ended"
        finally:
            self._monitor.stopping()
            self._tell_forgotten()
            self._send(events.daemon(events.Stopping(reason)))
            logger.info("stopping: %s", reason)

    def _snapshot(self, camera: str) -> bytes | None:
        """Called from the control socket's thread; a frame is never written to again, so it may be shared."""
        tally = self._tallies.get(camera)
        if tally is None or tally.newest is None:
            return None
        return jpeg(tally.newest.bgr)


def _is_live(camera: CameraConfig) -> bool:
    """Whether its frames come whether they are wanted or not."""
    return camera.realtime or parse(camera.source).live
