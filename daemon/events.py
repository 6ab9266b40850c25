"""What the daemon tells: vocabulary, table of topics, envelope. docs/events.md is the contract."""

from __future__ import annotations

import json
import platform
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from daemon.frame import CameraChange
from gallery.matcher import RunnerUp
from gallery.people import PersonName

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]

TOPICS = (
    "face/<camera>/sighting/",
    "camera/<camera>/online/",
    "camera/<camera>/offline/",
    "camera/<camera>/ended/",
    "daemon/started/",
    "daemon/heartbeat/",
    "daemon/stopping/",
)
"""All there is. The closing slash makes a subscriber's prefix exact: face/a/ takes nothing of face/ab/."""

SOURCE = f"visaged/{quote(platform.node() or 'localhost', safe='')}"
"""CloudEvents wants a URI reference, which a host's name need not be."""

CAMERA_NAME = re.compile(r"[a-z0-9_-]+")
PIXEL_DECIMALS = 2
SCORE_DECIMALS = 4
DISTANCE_DECIMALS = 6
"""float32 holds about seven digits; rounding more would blur a distance against its threshold."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the pipeline decided about one face of one frame."""

    camera: str
    """The camera's name in the configuration."""
    frame_index: int
    """Frame.index."""
    frame_width: int
    """Pixels."""
    frame_height: int
    """Pixels."""
    captured_unix_ns: int
    """Frame.captured_unix_ns."""
    grabbed_monotonic_ns: int
    """Frame.grabbed_monotonic_ns, from which the latency counts."""
    box: Sequence[float]
    """Left, top, right, bottom in pixels of the frame."""
    landmarks: Sequence[Sequence[float]]
    """Five (x, y) in pixels of the frame, as Faces.landmarks."""
    score: float
    """The detector's confidence, 0 to 1."""
    person: PersonName | None
    """None: nobody in the gallery is near enough."""
    distance: float | None
    """Euclidean, to the nearest reference in the gallery; None: empty gallery, or a face not encoded."""
    threshold: float
    """The largest distance that would have been a match."""
    runner_up: RunnerUp | None
    """None: fewer than two people in the gallery."""
    reasons: Sequence[str]
    """Codes of why the face is not fit to decide; often empty."""
    model: str
    """Encoder.model."""
    gallery_revision: int
    """The revision of the gallery that was asked."""


@dataclass(frozen=True, slots=True)
class Started:
    """The daemon is up; its cameras open next."""

    version: str
    """Of visaged."""
    device: str
    """Where the nets really run, in words."""
    model: str
    """Encoder.model."""
    gallery_revision: int
    """Of the gallery at the start."""
    cameras: Sequence[str]
    """Names, in the order of the configuration."""


@dataclass(frozen=True, slots=True)
class CameraPulse:
    """How one camera fares."""

    name: str
    """The camera's name in the configuration."""
    state: str
    """starting (nothing told yet), or the last state that was published."""
    frames_read: int
    """Since the daemon started."""
    frames_processed: int
    """Of those, how many the pipeline saw."""
    frames_replaced: int
    """Of those, how many gave way to a newer one before the pipeline could see them."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The daemon lives."""

    uptime_s: float
    """Since the daemon started."""
    overruns: int
    """Publisher.overruns: how often since the start a subscriber's queue became full, and it lost events."""
    cameras: Sequence[CameraPulse]
    """In the order of the configuration."""


@dataclass(frozen=True, slots=True)
class Stopping:
    """The daemon's last word."""

    reason: str
    """In a few words: a signal's name, or that every camera has ended."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """Where and when an event is made, and the id it gets; tests write their own."""

    id: str
    """Unique for ever."""
    source: str
    """Which daemon."""
    unix_ns: int
    """The wall clock."""
    monotonic_ns: int
    """The same moment on the clock that latencies are measured by."""

    @classmethod
    def now(cls) -> Stamp:
        """This moment, and an id that nobody has."""
        return cls(str(uuid.uuid4()), SOURCE, time.time_ns(), time.monotonic_ns())


@dataclass(frozen=True, slots=True)
class Event:
    """One message to the subscribers, complete."""

    topic: str
    """One of TOPICS, with the camera's name."""
    id: str
    """Unique for ever."""
    source: str
    """Which daemon."""
    type: str
    """visaged.<first part of the topic>.<kind>."""
    subject: str | None
    """The camera's name; None: the event is about the daemon, and the envelope has no subject."""
    time: str
    """RFC 3339, when it was made."""
    data: Mapping[str, Json]
    """What docs/events.md says for this kind."""

    def encode(self) -> tuple[bytes, bytes]:
        """The two parts of the message: topic, and the envelope as compact JSON in UTF-8."""
        envelope: dict[str, Json] = {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.type,
        }
        if self.subject is not None:
            envelope["subject"] = self.subject
        envelope |= {"time": self.time, "data": self.data}
        text = json.dumps(envelope, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        # A path from the command line may hold bytes that are no UTF-8 and stand in a reason: "?" for them.
        return self.topic.encode(), text.encode(errors="replace")


def sighting(face: Sighting, stamp: Stamp | None = None, decided_unix_ns: int | None = None) -> Event:
    """One face in one processed frame; decided_unix_ns where deciding and making are different moments."""
    stamp = stamp or Stamp.now()
    data: dict[str, Json] = {
        "camera": face.camera,
        "frame": {
            "index": int(face.frame_index),
            "width": int(face.frame_width),
            "height": int(face.frame_height),
        },
        "captured": rfc3339(face.captured_unix_ns),
        "decided": rfc3339(stamp.unix_ns if decided_unix_ns is None else decided_unix_ns),
        "latency_ms": round((stamp.monotonic_ns - face.grabbed_monotonic_ns) / 1e6, 3),
        "box": [_rounded(edge, PIXEL_DECIMALS) for edge in face.box],
        "landmarks": [[_rounded(x, PIXEL_DECIMALS), _rounded(y, PIXEL_DECIMALS)] for x, y in face.landmarks],
        "score": _rounded(face.score, SCORE_DECIMALS),
        "person": None if face.person is None else {"id": face.person.id, "name": face.person.name},
        "distance": None if face.distance is None else _rounded(face.distance, DISTANCE_DECIMALS),
        "threshold": _rounded(face.threshold, DISTANCE_DECIMALS),
        "runner_up": _runner_up(face.runner_up),
        "reasons": list(face.reasons),
        "liveness": "not_checked",
        "model": face.model,
        "gallery_revision": int(face.gallery_revision),
    }
    return _event("face", "sighting", face.camera, data, stamp)


def camera(change: CameraChange, stamp: Stamp | None = None) -> Event:
    """A camera began to see, ceased to, or came to its end."""
    data: dict[str, Json] = {"camera": change.camera, "reason": change.reason}
    return _event("camera", change.state, change.camera, data, stamp or Stamp.now())


def daemon(what: Started | Heartbeat | Stopping, stamp: Stamp | None = None) -> Event:
    """The daemon about itself."""
    data = _plain(what)
    assert isinstance(data, dict)
    return _event("daemon", type(what).__name__.lower(), None, data, stamp or Stamp.now())


def rfc3339(unix_ns: int) -> str:
    """UTC with microseconds: 2026-03-01T08:30:00.123456Z."""
    seconds, nanoseconds = divmod(int(unix_ns), 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=nanoseconds // 1000, tzinfo=None)
    return moment.isoformat(timespec="microseconds") + "Z"


def _event(area: str, kind: str, camera: str | None, data: Mapping[str, Json], stamp: Stamp) -> Event:
    if camera is not None and not CAMERA_NAME.fullmatch(camera):
        raise ValueError(f"a camera's name is made of a-z, 0-9, _ and -, which {camera!r} is not")
    pattern = f"{area}/{kind}/" if camera is None else f"{area}/<camera>/{kind}/"
    if pattern not in TOPICS:
        raise ValueError(f"{pattern} is not in the table of topics")
    return Event(
        topic=pattern.replace("<camera>", camera or ""),
        id=stamp.id,
        source=stamp.source,
        type=f"visaged.{area}.{kind}",
        subject=camera,
        time=rfc3339(stamp.unix_ns),
        data=data,
    )


def _runner_up(other: RunnerUp | None) -> Json:
    if other is None:
        return None
    return {"id": other.id, "name": other.name, "distance": _rounded(other.distance, DISTANCE_DECIMALS)}


def _rounded(number: float, decimals: int) -> float:
    # float() first: rounding a numpy float32 gives another one, which JSON does not know.
    return round(float(number), decimals)


def _plain(value: object) -> Json:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{value!r} has no place in an event")
