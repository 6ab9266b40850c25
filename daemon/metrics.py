"""What the daemon tells, as numbers for Prometheus: counted from its own events and heartbeats."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, Info, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from daemon.events import Event
from daemon.resident import MEGABYTE, resident_bytes

LATENCY_S = (0.02, 0.04, 0.06, 0.1, 0.15, 0.25, 0.4, 0.7, 1.0, 2.0, 5.0)
STAGE_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
"""Upper borders of the histograms' buckets, seconds."""

FRAMES = {
    "frames_read": "Frames that came from the camera",
    "frames_processed": "Frames that went through the pipeline",
    "frames_replaced": "Frames that gave way to a newer one before the pipeline could see them",
}

GALLERY = {
    "revision": "Revision of the gallery that is in use",
    "people": "People who can be named",
    "references": "References of all of them",
}


class Metrics(Collector):
    """Fed by the thread that sends events, read by those that answer Prometheus."""

    def __init__(self, version: str, model: str, device: str) -> None:
        self.registry = CollectorRegistry()
        """Everything below, and nothing of other libraries."""
        self._events = Counter(
            "visaged_events", "Events published", ["area", "kind", "camera"], registry=self.registry
        )
        self._latency = Histogram(
            "visaged_latency_seconds",
            "From grabbing a frame to making an event of it",
            ["camera"],
            buckets=LATENCY_S,
            registry=self.registry,
        )
        self._stage = Histogram(
            "visaged_stage_seconds",
            "What a stage took for one batch of frames",
            ["stage"],
            buckets=STAGE_S,
            registry=self.registry,
        )
        self._faces = Counter(
            "visaged_faces", "Faces on processed frames", ["camera"], registry=self.registry
        )
        build = Info("visaged_build", "What runs", registry=self.registry)
        build.info({"version": version, "model": model, "device": device})
        self._pulse: dict[str, Any] | None = None
        """Data of the newest heartbeat; None: none yet."""
        self.registry.register(self)

    def note(self, event: Event) -> None:
        """Counts an event that is about to be published."""
        area, kind = event.type.split(".")[1:]
        self._events.labels(area, kind, event.subject or "").inc()
        if area == "face":
            self._latency.labels(event.subject).observe(float(str(event.data["latency_ms"])) / 1000)
        elif kind == "heartbeat":
            self._pulse = dict(event.data)

    def saw(self, camera: str, faces: int) -> None:
        """Counts the faces on a frame."""
        if faces:
            self._faces.labels(camera).inc(faces)

    def stage(self, name: str) -> AbstractContextManager[object]:
        """Measures what is done within."""
        return self._stage.labels(name).time()

    def page(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Metric]:
        """What is read off the newest heartbeat."""
        if (resident := resident_bytes()) is not None:
            yield GaugeMetricFamily("visaged_memory_bytes", "Resident memory of the daemon", resident)
        pulse = self._pulse
        if pulse is None:
            return
        yield GaugeMetricFamily("visaged_uptime_seconds", "Since the daemon started", pulse["uptime_s"])
        yield CounterMetricFamily(
            "visaged_subscriber_overruns", "Times a subscriber's queue became full", pulse["overruns"]
        )
        yield from _of_cameras(pulse["cameras"])
        refused = CounterMetricFamily("visaged_refused_peers", "Peers not let in", labels=["reason"])
        for each in pulse.get("refused", ()):
            refused.add_metric([each["reason"]], each["count"])
        yield refused
        yield from _of_memory_and_gallery(pulse)
        yield from _of_journal(pulse)


def _of_cameras(cameras: Iterable[dict[str, Any]]) -> Iterator[Metric]:
    cameras = list(cameras)
    for key, text in FRAMES.items():
        family = CounterMetricFamily(f"visaged_{key}", text, labels=["camera"])
        for camera in cameras:
            family.add_metric([camera["name"]], camera[key])
        yield family
    state = GaugeMetricFamily(
        "visaged_camera_state", "1 for the state that it is in", labels=["camera", "state"]
    )
    age = GaugeMetricFamily("visaged_frame_age_seconds", "Since the last frame came", labels=["camera"])
    reopened = CounterMetricFamily(
        "visaged_reopened", "Times a camera was opened again", labels=["camera", "reason"]
    )
    unfit = CounterMetricFamily(
        "visaged_unfit_faces", "Faces not fit to decide by", labels=["camera", "reason"]
    )
    for camera in cameras:
        state.add_metric([camera["name"], camera["state"]], 1)
        if camera.get("frame_age_s") is not None:
            age.add_metric([camera["name"]], camera["frame_age_s"])
        for each in camera["unfit"]:
            unfit.add_metric([camera["name"], each["reason"]], each["count"])
        for each in camera.get("reopened", ()):
            reopened.add_metric([camera["name"], each["reason"]], each["count"])
    yield from (state, age, reopened, unfit)


def _of_memory_and_gallery(pulse: dict[str, Any]) -> Iterator[Metric]:
    if (held := pulse.get("gpu_memory_mb")) is not None:
        yield GaugeMetricFamily("visaged_gpu_memory_bytes", "What PyTorch holds on GPUs", held * MEGABYTE)
    if gallery := pulse.get("gallery"):
        for key, text in GALLERY.items():
            yield GaugeMetricFamily(f"visaged_gallery_{key}", text, gallery[key])


def _of_journal(pulse: dict[str, Any]) -> Iterator[Metric]:
    if "journal" not in pulse:
        return
    yield GaugeMetricFamily("visaged_journal_ok", "Whether events are stored", float(pulse["journal"]["ok"]))
    yield CounterMetricFamily("visaged_dropped_events", "Events dropped before publishing", pulse["dropped"])
    if pulse["head"] is not None:
        yield GaugeMetricFamily("visaged_journal_head", "The number given last", pulse["head"])
