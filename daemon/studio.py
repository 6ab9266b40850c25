"""Where the daemon's loop and the control socket meet: who sits to be enrolled, and who is a stranger.

The loop shows it each frame; the control socket's thread begins sittings and takes what came of them.
"""

from __future__ import annotations

import queue
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.errors import UsageError
from daemon.events import Event
from daemon.samples import ALIKE, Sample
from daemon.sitting import Progress, Sitting, limit_of
from daemon.strangers import Strangers
from daemon.tally import Tally
from daemon.track import Track, as_faces
from gallery import face_crop

if TYPE_CHECKING:
    from daemon.journal_reader import JournalReader
    from daemon.pipeline import Outcome
    from gallery.faces.types import BgrImage, Encoder

UNASKED_S = 8.0
"""Whoever began a sitting and does not ask for it has gone; what was taken is dropped. A command on a machine
that is very busy may not get its turn for some seconds."""
SILENT_S = 5.0
"""A camera that shows no frame for so long is away."""
SEEING = ("online", "dark", "blurred", "lossy")
"""In these states a camera gives frames that are worth looking at."""
GONE = ("offline", "ended")
"""In these a sitting that was begun is over at once; from others a camera may be back in time."""


@dataclass(slots=True)
class _Place:
    camera: str
    sitting: Sitting
    asked_s: float
    """When it was asked for last, on the monotonic clock."""
    seen_s: float
    """When a frame came last, on the same."""


class Studio:
    """All sittings, one a camera, and all strangers; in memory alone."""

    def __init__(
        self,
        encoder: Encoder,
        strangers: Strangers,
        tallies: Mapping[str, Tally],
        threshold: float,
        journal: Callable[[], JournalReader],
        *,
        keep_crops: bool,
    ) -> None:
        """tallies: the daemon's cameras as they are now. threshold: of naming. journal: opens the journal.

        keep_crops: whether who sits is enrolled with pictures.
        """
        self.strangers = strangers
        """Who was seen and is nobody of the gallery."""
        self.journal = journal
        """To be called, used and closed within one thread; raises what JournalReader does."""
        self.since_unix_us = time.time_ns() // 1000
        """When it began to remember."""
        self._encoder = encoder
        self._keep_crops = keep_crops
        self._tallies = tallies
        self._alike = ALIKE * threshold
        self._places: dict[str, _Place] = {}
        """By the sitting's id."""
        self._news: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._lock = threading.Lock()

    # The loop's side.

    def see(self, outcome: Outcome) -> None:
        """Takes what it needs of a frame that was processed."""
        frame = outcome.frame
        for face in outcome.faces:
            visit = face.visit
            if visit.stranger is not None and visit.state != "undecided":
                sample = Sample(*visit.track.evidence.newest) if visit.track.evidence.count else None
                self.strangers.seen(visit.stranger, frame.camera, visit.id, frame.captured_unix_ns, sample)
        if not self._places:
            return
        tracks = [face.track for face in outcome.faces]
        with self._lock:
            now_s = time.monotonic()
            self._places = {
                key: place for key, place in self._places.items() if now_s - place.asked_s < UNASKED_S
            }
            for place in self._places.values():
                if place.camera == frame.camera:
                    place.seen_s = now_s
                    taker = _Taker(self._encoder, frame.bgr, self._keep_crops)
                    place.sitting.see(tracks, taker, frame.captured_monotonic_ns / 1e9)

    def news(self) -> list[Event]:
        """What the control socket has to tell the subscribers, once."""
        found = []
        while not self._news.empty():
            found.append(self._news.get())
        return found

    # The control socket's side.

    def begin(self, camera: str) -> str:
        """Somebody sits before this camera from now on; the sitting's id. UsageError where that can't be."""
        self._check(camera)
        sitting = Sitting(limit_of(self._encoder.threshold), self._alike)
        now_s = time.monotonic()
        with self._lock:
            others = [place for place in self._places.values() if place.camera == camera]
            if any(now_s - place.asked_s < UNASKED_S for place in others):
                raise UsageError(
                    f"somebody else is being enrolled before camera {camera}; try again after that"
                )
            key = str(uuid.uuid4())
            self._places[key] = _Place(camera, sitting, now_s, now_s)
        return key

    def look(self, key: str) -> Progress:
        """How far a sitting is; UsageError where there is none of this id, or its camera went away."""
        with self._lock:
            place = self._place(key)
            place.asked_s = time.monotonic()
            progress, silent_s = place.sitting.progress, place.asked_s - place.seen_s
        if progress.state == "posing":
            tally = self._tallies.get(place.camera)
            if tally is None or tally.state in GONE:
                self._check(place.camera)
            if silent_s > SILENT_S:
                raise UsageError(f"camera {place.camera} has shown no frame for {silent_s:.0f} s")
        return progress

    def taken(self, key: str) -> tuple[str, Sitting]:
        """Camera and sitting, which stays until it is left: enrolling by it may fail, and be tried again."""
        with self._lock:
            place = self._place(key)
            return place.camera, place.sitting

    def leave(self, key: str) -> None:
        """The sitting is over, and nothing of it is kept; of no sitting too."""
        with self._lock:
            self._places.pop(key, None)

    def tell(self, event: Event) -> None:
        """To be sent by the loop."""
        self._news.put(event)

    def _place(self, key: str) -> _Place:
        if key not in self._places:
            raise UsageError("the sitting is over: nobody asked for it for a while")
        return self._places[key]

    def _check(self, camera: str) -> None:
        tally = self._tallies.get(camera)
        if tally is None:
            raise UsageError(f"{camera}: the daemon has no such camera; it has {', '.join(self._tallies)}")
        if tally.state not in SEEING:
            reason = "" if tally.reason is None else f": {tally.reason}"
            raise UsageError(f"camera {camera} is {tally.state}{reason}")


@dataclass(frozen=True, slots=True, eq=False)
class _Taker:
    encoder: Encoder
    bgr: BgrImage
    keeps_crop: bool

    def __call__(self, track: Track, pose: str) -> Sample:
        faces = as_faces([track])
        (encoding,) = self.encoder.encode(self.bgr, faces)
        crop = face_crop.cut(self.bgr, faces, 0) if self.keeps_crop else None
        return Sample(encoding, track.quality, pose, crop)
