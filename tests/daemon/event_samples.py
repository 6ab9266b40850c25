"""One of everything the daemon can say, for tests that send and read it."""

from __future__ import annotations

from dataclasses import replace

from daemon import events
from daemon.events import CameraPulse, Event, Heartbeat, Sighting, Stamp, Started, Stopping
from daemon.frame import CameraChange
from gallery.matcher import RunnerUp
from gallery.people import PersonName

STAMP = Stamp(
    id="0b0f8a52-6a1c-4c5e-9a52-3f1f5f0c7a11",
    source="visaged/porch",
    unix_ns=1_772_353_800_187_210_999,
    monotonic_ns=5_063_754_321,
)
NAMED = Sighting(
    camera="door",
    frame_index=4711,
    frame_width=1280,
    frame_height=720,
    captured_unix_ns=1_772_353_800_123_456_789,
    grabbed_monotonic_ns=5_000_000_000,
    box=[512.306, 188.02, 640.77, 352.4],
    landmarks=[[545.1, 250.33], [604.92, 249.7], [575.0, 286.41], [550.26, 316.8], [601.11, 315.95]],
    score=0.99973,
    person=PersonName("6f2c2a1e-5e0d-4f0e-8f8e-0d7b6a0b8f3c", "김연아"),
    distance=0.4128771,
    threshold=0.6,
    runner_up=RunnerUp("a7d0c9f4-1b7a-4a55-9a0b-2b8c1c0de001", "Ann Lee", 0.7331024),
    reasons=(),
    model="dlib-mtcnn-1a2b3c4d5e6f7a8b",
    gallery_revision=12,
)
NOBODY_ENROLLED = replace(NAMED, person=None, distance=None, runner_up=None, reasons=("dark", "profile"))


def every_event() -> list[Event]:
    """Every topic, every field with and without its null."""
    pulses = [CameraPulse("door", "online", 1740, 1102, 637), CameraPulse("yard", "starting", 0, 0, 0)]
    return [
        events.daemon(Started("0.1.0", "CPU, 2 threads", NAMED.model, 12, ["door", "yard"])),
        events.camera(CameraChange("door", "online", None)),
        events.camera(CameraChange("door", "online", "it answers again")),
        events.daemon(Heartbeat(60.001, 0, pulses)),
        events.daemon(Heartbeat(61, 1, [])),
        events.sighting(NAMED),
        events.sighting(NOBODY_ENROLLED),
        events.camera(CameraChange("door", "offline", "no picture for 5 s")),
        events.camera(CameraChange("door", "offline", None)),
        events.camera(CameraChange("door", "ended", None)),
        events.camera(CameraChange("door", "ended", "the file is read")),
        events.daemon(Stopping("SIGTERM")),
    ]
