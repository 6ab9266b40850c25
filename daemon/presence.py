"""Who is in view on each camera, and how the daemon fares, kept up with the events as they are published."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping

from daemon.events import Event, Json

FIELDS = ("track", "person", "state", "stranger", "revision")
"""Of an event's data, as they are told of somebody who is present; and since, its `first`."""


STATUS = ("started", "heartbeat")
"""Kinds of what the daemon says of itself; the newest of each is its status."""


class Presence:
    """Written by the thread that publishes, read by the one that answers."""

    def __init__(self, cameras: Iterable[str], head: int | None) -> None:
        """cameras: names. head: the number that was given last before this run; None: not known."""
        self._lock = threading.Lock()
        self._head = head
        self._cameras: dict[str, dict[str, Mapping[str, Json]]] = {name: {} for name in cameras}
        self._said: dict[str, Mapping[str, Json]] = {}
        self._heard_s: float | None = None

    def follow(self, cameras: Iterable[str]) -> None:
        """These are the cameras from now on."""
        with self._lock:
            self._cameras = {name: self._cameras.get(name, {}) for name in cameras}

    def note(self, event: Event, seq: int | None) -> None:
        """An event that is published now; seq: its number, None if it has none."""
        area, _, rest = event.topic.partition("/")
        camera, _, kind = rest.rstrip("/").partition("/")
        with self._lock:
            if seq is not None:
                self._head = seq
            if area == "daemon" and camera in STATUS:
                self._said[camera] = event.data
                self._heard_s = time.monotonic()
            if area != "face" or event.passing:
                return
            track = str(event.data.get("track"))
            if kind == "left":
                # Not a new list: the camera may be no more.
                self._cameras.get(camera, {}).pop(track, None)
            elif kind in ("recognized", "unknown", "corrected"):
                faces = self._cameras.setdefault(camera, {})
                faces[track] = {field: event.data[field] for field in FIELDS} | {"since": event.data["first"]}

    def now(self) -> tuple[int | None, dict[str, list[Mapping[str, Json]]]]:
        """The number of the last event that is taken into account, and who is present, by camera."""
        with self._lock:
            return self._head, {name: list(faces.values()) for name, faces in self._cameras.items()}

    def status(self) -> dict[str, Json]:
        """What the daemon said of itself last, null where it did not yet; silent_s: how long ago that was."""
        with self._lock:
            silent_s = None if self._heard_s is None else round(time.monotonic() - self._heard_s, 3)
            return {kind: self._said.get(kind) for kind in STATUS} | {"silent_s": silent_s}
