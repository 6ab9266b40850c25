"""The daemon: a thin loop that joins cameras, pipeline and bus. Only it sends."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from daemon import events
from daemon.bus import Bus
from daemon.capture import Cameras
from daemon.control import ControlServer, Facts, Live
from daemon.frame import StartTime
from daemon.image_file import jpeg
from daemon.memory import Memory
from daemon.moment import Moment
from daemon.monitor import Monitor
from daemon.narrator import Narrator
from daemon.pipeline import Pipeline
from daemon.playback import Stage
from daemon.resident import megabytes, resident_bytes
from daemon.seeing import Seeing
from daemon.sources import parse
from daemon.stuck import StuckWatch
from daemon.tally import Tally, note_arrivals, pulses
from daemon.version import version
from gallery.errors import GalleryError
from gallery.faces.device import gpu_bytes

if TYPE_CHECKING:
    from daemon.config import Config
    from gallery.faces.engine import FaceEngine
    from gallery.store import Gallery

logger = logging.getLogger(__name__)

HEARTBEAT_S = 1.0
GATHER_S = 0.2
"""How soon a stop is noticed while no camera gives anything."""
GALLERY_POLL_S = 0.5
"""How often the gallery is asked whether it changed: somebody enrolled is known well within two seconds."""


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
        self._stuck = StuckWatch()
        self._pipeline: Pipeline | None = None
        """None: no camera was begun with yet."""

    def run(self, device: str, await_subscribers: int, *, insecure: bool) -> None:
        """Until every camera has ended or the stop is set; raises BindRefused where a socket can't be had."""
        config, index = self._config, self._stage.index
        facts = Facts(version(), str(self._gallery.path), index.model, str(config.state_dir))
        with (
            Monitor(config.metrics.bind, version=version(), model=index.model, device=device) as monitor,
            Bus(config, list(self._tallies), insecure=insecure) as bus,
            ControlServer(
                config.control_path, facts, Live(self._snapshot, self._memory.find, bus.status)
            ) as control,
        ):
            self._monitor, self._bus = monitor, bus
            started = events.Started(version(), device, index.model, index.revision, list(self._tallies))
            self._send(events.daemon(started))
            # Not after the cameras: one may be away for days.
            monitor.ready()
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
            narrator = Narrator(
                self._config, pipeline, self._tallies, self._memory, self._monitor, started.monotonic_ns
            )
            seeing = Seeing(self._config.camera)
            while not (self._stop.is_set() or cameras.ended):
                check()
                self._bus.check()
                gathered = cameras.gather(GATHER_S)
                note_arrivals(self._tallies, gathered)
                happened = seeing.watch(gathered)
                self._follow_gallery(pipeline)
                for event in narrator.tell(happened):
                    self._send(event)
                self._beat(cameras)
            for event in narrator.end():
                self._send(event)

    def _opened_pipeline(self, started: StartTime) -> Pipeline:
        cameras = self._config.camera
        live = {camera.name for camera in cameras if camera.realtime or parse(camera.source).live}
        return self._stage.pipeline(started, [camera.name for camera in cameras], frozenset(live))

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

    def _subscribers_came(self, count: int) -> bool:
        """Waits for them with a beating heart; False if the stop came first."""
        while count and not self._bus.await_subscribers(count, self._stop, timeout_s=HEARTBEAT_S):
            if self._stop.is_set():
                return False
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
            self._send(events.daemon(events.Stopping(reason)))
            logger.info("stopping: %s", reason)

    def _snapshot(self, camera: str) -> bytes | None:
        """Called from the control socket's thread; a frame is never written to again, so it may be shared."""
        tally = self._tallies.get(camera)
        if tally is None or tally.newest is None:
            return None
        return jpeg(tally.newest.bgr)
