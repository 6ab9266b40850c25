"""What the daemon tells: vocabulary, table of topics, envelope. docs/events.md is the contract."""

from __future__ import annotations

import json
import platform
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import UTC, datetime
from urllib.parse import quote

from daemon.frame import CameraChange
from daemon.vocabulary import (
    CameraPulse,
    Forgotten,
    GalleryPulse,
    Heartbeat,
    JournalFailed,
    JournalPulse,
    Life,
    LifeKind,
    Mark,
    Named,
    Picture,
    Refused,
    Reopened,
    Sighting,
    Started,
    Stopping,
    Told,
    TrackState,
    Unfit,
)
from gallery.matcher import RunnerUp
from gallery.people import PersonName

__all__ = [
    "TOPICS",
    "CameraPulse",
    "Event",
    "Forgotten",
    "GalleryPulse",
    "Heartbeat",
    "JournalFailed",
    "JournalPulse",
    "Life",
    "LifeKind",
    "Mark",
    "Named",
    "Picture",
    "Refused",
    "Reopened",
    "Sighting",
    "Stamp",
    "Started",
    "Stopping",
    "Told",
    "TrackState",
    "Unfit",
    "camera",
    "crop",
    "daemon",
    "life",
    "named",
    "plain",
    "rfc3339",
    "sighting",
    "stream_of",
]

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]

TOPICS = (
    "face/<camera>/recognized/",
    "face/<camera>/unknown/",
    "face/<camera>/corrected/",
    "face/<camera>/left/",
    "face/<camera>/named/",
    "face/<camera>/sighting/",
    "camera/<camera>/online/",
    "camera/<camera>/stalled/",
    "camera/<camera>/frozen/",
    "camera/<camera>/dark/",
    "camera/<camera>/blurred/",
    "camera/<camera>/lossy/",
    "camera/<camera>/offline/",
    "camera/<camera>/ended/",
    "crop/<camera>/<track>/",
    "daemon/started/",
    "daemon/heartbeat/",
    "daemon/forgotten/",
    "daemon/journal_failed/",
    "daemon/stopping/",
)
"""All there is. The closing slash makes a subscriber's prefix exact: face/a/ takes nothing of face/ab/."""

PASSING = frozenset({"visaged.face.sighting", "visaged.daemon.heartbeat", "visaged.crop.face"})
"""Types of events that the journal does not keep: worth nothing later, or nobody's business then."""

SOURCE = f"visaged/{quote(platform.node() or 'localhost', safe='')}"
"""CloudEvents wants a URI reference, which a host's name need not be."""

CAMERA_NAME = re.compile(r"[a-z0-9_-]+")
PIXEL_DECIMALS = 2
SCORE_DECIMALS = 4
DISTANCE_DECIMALS = 6
"""float32 holds about seven digits; rounding more would blur a distance against its threshold."""


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
    picture: bytes | None = None
    """A JPEG, sent as the message's third part; None: there is no such part."""

    @property
    def passing(self) -> bool:
        """Whether the journal leaves it out."""
        return self.type in PASSING

    @property
    def stream(self) -> str:
        """The first two parts of the topic, which `prev` links."""
        return stream_of(self.topic)

    def telling(self, more: Mapping[str, Json]) -> Event:
        """The same event with more in its data."""
        return replace(self, data={**self.data, **more})

    def encode(self, mark: Mark | None = None) -> tuple[bytes, bytes]:
        """The first two parts of the message: topic, and the envelope as compact JSON in UTF-8.

        mark: its place in the journal, which every event carries that the daemon sends.
        """
        envelope: dict[str, Json] = {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.type,
        }
        if self.subject is not None:
            envelope["subject"] = self.subject
        place = {} if mark is None else plain(mark)
        envelope |= {"time": self.time, "data": {**self.data, **place}}
        text = json.dumps(envelope, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        # A path from the command line may hold bytes that are no UTF-8 and stand in a reason: "?" for them.
        return self.topic.encode(), text.encode(errors="replace")


def sighting(
    face: Sighting,
    stamp: Stamp | None = None,
    decided_unix_ns: int | None = None,
    deadline_ms: float | None = None,
) -> Event:
    """One face on one processed frame.

    decided_unix_ns where deciding and making are different moments. deadline_ms: an event made later than
    this after the grab is stale; None: none is.
    """
    stamp = stamp or Stamp.now()
    data = _face(face, stamp, decided_unix_ns, deadline_ms)
    return _event("face", "sighting", face.camera, data, stamp)


def life(
    what: Life,
    stamp: Stamp | None = None,
    decided_unix_ns: int | None = None,
    deadline_ms: float | None = None,
) -> Event:
    """Somebody was recognized, stays unknown, is somebody else, or has left; numbers as for sighting."""
    stamp = stamp or Stamp.now()
    # From the microseconds that are told, so that duration_s is exactly last - first.
    duration_us = int(what.last_unix_ns) // 1000 - int(what.first_unix_ns) // 1000
    data = _face(what.face, stamp, decided_unix_ns, deadline_ms) | {
        "state": what.kind,
        "previous": _person(what.previous) if what.kind == "corrected" else None,
        "candidates": [_runner_up(candidate) for candidate in what.candidates],
        "first": rfc3339(what.first_unix_ns),
        "last": rfc3339(what.last_unix_ns),
        "duration_s": duration_us / 1e6,
        "best_distance": _distance(what.best_distance) if what.kind == "left" else None,
    }
    return _event("face", what.kind, what.face.camera, data, stamp)


def crop(told: Event, picture: Picture, stamp: Stamp | None = None) -> Event:
    """The face that a life event told of."""
    data: dict[str, Json] = {
        key: told.data[key] for key in ("camera", "track", "revision", "state", "person", "stranger")
    }
    data |= {
        "event": told.id,
        "frame": {
            "index": picture.frame_index,
            "width": picture.frame_width,
            "height": picture.frame_height,
        },
        "captured": rfc3339(picture.captured_unix_ns),
        "box": [_rounded(edge, PIXEL_DECIMALS) for edge in picture.box],
        "cut": list(picture.cut),
        "format": "image/jpeg",
        "width": picture.width,
        "height": picture.height,
        "bytes": len(picture.jpeg),
    }
    made = _event("crop", "face", str(told.subject), data, stamp or Stamp.now())
    return replace(made, picture=picture.jpeg)


def named(what: Named, stamp: Stamp | None = None) -> Event:
    """A stranger was given a name; about what was told before, and no frame."""
    data: dict[str, Json] = {
        "camera": what.camera,
        "person": _person(what.person),
        "stranger": what.stranger,
        "tracks": list(what.tracks),
        "events": [plain(told) for told in what.events],
        "first": rfc3339(what.first_unix_ns),
        "last": rfc3339(what.last_unix_ns),
        "references": what.references,
        "liveness": "not_checked",
    }
    return _event("face", "named", what.camera, data, stamp or Stamp.now())


def camera(change: CameraChange, stamp: Stamp | None = None) -> Event:
    """A camera began to see, ceased to, or came to its end."""
    data: dict[str, Json] = {"camera": change.camera, "reason": change.reason}
    return _event("camera", change.state, change.camera, data, stamp or Stamp.now())


def daemon(
    what: Started | Heartbeat | Forgotten | JournalFailed | Stopping, stamp: Stamp | None = None
) -> Event:
    """The daemon about itself."""
    kind = re.sub(r"(?<!^)(?=[A-Z])", "_", type(what).__name__).lower()
    return _event("daemon", kind, None, plain(what), stamp or Stamp.now())


def plain(value: object) -> dict[str, Json]:
    """A dataclass as part of an event's data."""
    data = _plain(value)
    assert isinstance(data, dict)
    return data


def stream_of(topic: str) -> str:
    """The first two parts of a topic: face/door, camera/door, daemon/started."""
    return "/".join(topic.split("/", 2)[:2])


def rfc3339(unix_ns: int) -> str:
    """UTC with microseconds: 2026-03-01T08:30:00.123456Z."""
    seconds, nanoseconds = divmod(int(unix_ns), 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=nanoseconds // 1000, tzinfo=None)
    return moment.isoformat(timespec="microseconds") + "Z"


def _event(area: str, kind: str, camera: str | None, data: Mapping[str, Json], stamp: Stamp) -> Event:
    if camera is not None and not CAMERA_NAME.fullmatch(camera):
        raise ValueError(f"a camera's name is made of a-z, 0-9, _ and -, which {camera!r} is not")
    # A crop has one kind, and its track in the topic, so that one may be asked for alone.
    last = "<track>" if area == "crop" else kind
    pattern = f"{area}/{last}/" if camera is None else f"{area}/<camera>/{last}/"
    if pattern not in TOPICS:
        raise ValueError(f"{pattern} is not in the table of topics")
    return Event(
        topic=pattern.replace("<camera>", camera or "").replace("<track>", str(data.get("track"))),
        id=stamp.id,
        source=stamp.source,
        type=f"visaged.{area}.{kind}",
        subject=camera,
        time=rfc3339(stamp.unix_ns),
        data=data,
    )


def _face(
    face: Sighting, stamp: Stamp, decided_unix_ns: int | None, deadline_ms: float | None
) -> dict[str, Json]:
    latency_ms = round((stamp.monotonic_ns - face.grabbed_monotonic_ns) / 1e6, 3)
    return {
        "camera": face.camera,
        "frame": {
            "index": int(face.frame_index),
            "width": int(face.frame_width),
            "height": int(face.frame_height),
        },
        "captured": rfc3339(face.captured_unix_ns),
        "decided": rfc3339(stamp.unix_ns if decided_unix_ns is None else decided_unix_ns),
        "latency_ms": latency_ms,
        "stale": deadline_ms is not None and latency_ms > deadline_ms,
        "track": face.track,
        "revision": int(face.revision),
        "state": face.state,
        "samples": int(face.samples),
        "person": _person(face.person),
        "previous": None,
        "stranger": face.stranger,
        "distance": _distance(face.distance),
        "threshold": _rounded(face.threshold, DISTANCE_DECIMALS),
        "runner_up": None if face.runner_up is None else _runner_up(face.runner_up),
        "box": [_rounded(edge, PIXEL_DECIMALS) for edge in face.box],
        "landmarks": [[_rounded(x, PIXEL_DECIMALS), _rounded(y, PIXEL_DECIMALS)] for x, y in face.landmarks],
        "score": _rounded(face.score, SCORE_DECIMALS),
        "reasons": list(face.reasons),
        "liveness": "not_checked",
        "model": face.model,
        "gallery_revision": int(face.gallery_revision),
    }


def _person(person: PersonName | None) -> Json:
    return None if person is None else {"id": person.id, "name": person.name}


def _runner_up(other: RunnerUp) -> Json:
    return {"id": other.id, "name": other.name, "distance": _distance(other.distance)}


def _distance(distance: float | None) -> float | None:
    return None if distance is None else _rounded(distance, DISTANCE_DECIMALS)


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
