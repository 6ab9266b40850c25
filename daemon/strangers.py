"""Remembers who was seen and is nobody of the gallery, in memory alone and not for ever."""

from __future__ import annotations

import threading
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from daemon.errors import UsageError
from daemon.samples import ALIKE, Sample, with_sample

MOST_STRANGERS = 1_000
"""Whoever was seen longest ago is forgotten first: a camera over a street sees more than anybody needs."""
MOST_SAMPLES = 6
"""Kept of each stranger: as many references as a person needs. A thousand strangers are 4 MB with dlib."""
MOST_TRACKS = 200
"""Remembered of a stranger before one camera, the newest."""
FORGET_EVERY_S = 1.0
FEWEST_CHARACTERS = 4
"""Of an id, where only its beginning is given."""


@dataclass(slots=True, eq=False)
class Stranger:
    """Somebody who is not enrolled."""

    id: str
    """Unique for ever, and of no meaning."""
    encoding: NDArray[np.float32]
    """float32[d], of the last visit."""
    seen_s: float
    """Time of the frame where they were seen last."""
    number: int = 0
    """For people to type; of this run of the daemon alone."""
    first_unix_ns: int = 0
    """When they were seen first; 0: not yet told."""
    last_unix_ns: int = 0
    """When they were seen last."""
    camera: str = ""
    """Before which camera that was."""
    stays: int = 0
    """How many tracks showed them."""
    best_quality: float = 0.0
    """Of a sample, 0 to 1."""
    samples: tuple[Sample, ...] = ()
    """What they may be enrolled by."""
    tracks: dict[str, deque[str]] = field(default_factory=dict)
    """Camera to ids as in events, the newest last."""
    is_forgotten: bool = False
    """They stay so; who comes again is another stranger."""


@dataclass(frozen=True, slots=True, eq=False)
class Acquaintance:
    """What is known of a stranger at one moment."""

    number: int
    """As Stranger.number."""
    id: str
    """As in events."""
    first_unix_ns: int
    """When they were seen first, by the frames' time."""
    last_unix_ns: int
    """When they were seen last."""
    camera: str
    """Where they were seen last."""
    stays: int
    """How many tracks showed them, over all cameras."""
    best_quality: float
    """Of a sample, 0 to 1."""
    samples: tuple[Sample, ...]
    """What they may be enrolled by."""
    tracks: dict[str, tuple[str, ...]]
    """Camera to ids as in events, the newest last."""


class Strangers:
    """All of them, over all cameras. The daemon's loop writes, the control socket reads and forgets."""

    def __init__(self, threshold: float, forget_after_s: float) -> None:
        """threshold: Euclidean distance up to which two visits are one stranger's."""
        self._threshold = threshold
        self._forget_after_s = forget_after_s
        self._known: list[Stranger] = []
        self._number = 0
        self._forgot_s = -np.inf
        self._lock = threading.RLock()

    def adjust(self, threshold: float, forget_after_s: float) -> None:
        """Goes on with these."""
        self._threshold, self._forget_after_s = threshold, forget_after_s

    def recall(self, encoding: NDArray[np.float32], time_s: float, present: set[str]) -> Stranger:
        """The stranger of this encoding, a new one if nobody is like it. present: who is in view already."""
        with self._lock:
            self._forget_old(time_s)
            absent = [stranger for stranger in self._known if stranger.id not in present]
            if absent:
                known = np.stack([stranger.encoding for stranger in absent])
                distances = np.linalg.norm(known - encoding, axis=1)
                nearest = int(np.argmin(distances))
                if distances[nearest] <= self._threshold:
                    return self.note(absent[nearest], encoding, time_s)
            self._number += 1
            stranger = Stranger(str(uuid.uuid4()), encoding, time_s, self._number)
            self._known.append(stranger)
            return stranger

    def note(self, stranger: Stranger, encoding: NDArray[np.float32], time_s: float) -> Stranger:
        """The stranger is seen again, or still."""
        with self._lock:
            stranger.encoding, stranger.seen_s = encoding, time_s
        return stranger

    def seen(
        self, stranger: Stranger, camera: str, track: str, unix_ns: int, sample: Sample | None = None
    ) -> None:
        """A frame shows the stranger. sample: the newest; None: there is none."""
        with self._lock:
            if stranger.is_forgotten:
                return
            stranger.first_unix_ns = stranger.first_unix_ns or unix_ns
            stranger.last_unix_ns, stranger.camera = unix_ns, camera
            tracks = stranger.tracks.setdefault(camera, deque(maxlen=MOST_TRACKS))
            if track not in tracks:
                tracks.append(track)
                stranger.stays += 1
            if sample is not None:
                stranger.best_quality = max(stranger.best_quality, sample.quality)
                alike = ALIKE * self._threshold
                stranger.samples = with_sample(stranger.samples, sample, MOST_SAMPLES, alike)

    def drop(self, stranger: Stranger) -> None:
        """They turned out to be somebody of the gallery."""
        with self._lock:
            self._part([each for each in self._known if each is not stranger])

    def pass_time(self, time_s: float) -> None:
        """Forgets who was seen too long ago, also where nobody comes any more."""
        if time_s - self._forgot_s >= FORGET_EVERY_S:
            with self._lock:
                self._forget_old(time_s)

    def all(self) -> list[Acquaintance]:
        """Everybody who is remembered, who was seen last at the end."""
        with self._lock:
            told = [stranger for stranger in self._known if stranger.stays]
            return [_acquaintance(each) for each in sorted(told, key=lambda each: each.last_unix_ns)]

    def find(self, wanted: str) -> Acquaintance:
        """The one of this number, or whose id begins so; UsageError where that is nobody, or several."""
        with self._lock:
            return _acquaintance(self._found(wanted))

    def forget(self, wanted: str | None = None) -> list[str]:
        """One, as for `find`, or everybody; their ids."""
        with self._lock:
            gone = list(self._known) if wanted is None else [self._found(wanted)]
            self._part([each for each in self._known if each not in gone])
            return [each.id for each in gone if each.stays]

    def _found(self, wanted: str) -> Stranger:
        told = [stranger for stranger in self._known if stranger.stays]
        found = [each for each in told if str(each.number) == wanted]
        if not found and len(wanted) >= FEWEST_CHARACTERS:
            found = [each for each in told if each.id.startswith(wanted)]
        if len(found) != 1:
            what = "several strangers' ids begin so" if found else "no such stranger is remembered"
            raise UsageError(f"{wanted}: {what}; visaged strangers lists them, by number and id")
        return found[0]

    def _forget_old(self, time_s: float) -> None:
        limit_s = time_s - self._forget_after_s
        kept = [stranger for stranger in self._known if stranger.seen_s >= limit_s]
        self._part(sorted(kept, key=lambda stranger: stranger.seen_s)[-MOST_STRANGERS + 1 :])
        self._forgot_s = time_s

    def _part(self, kept: Sequence[Stranger]) -> None:
        """With all others; what a visit still holds of them is not enough to enrol."""
        stay = {stranger.id for stranger in kept}
        for stranger in self._known:
            if stranger.id not in stay:
                stranger.is_forgotten, stranger.samples = True, ()
                stranger.tracks.clear()
        self._known = list(kept)


def _acquaintance(stranger: Stranger) -> Acquaintance:
    return Acquaintance(
        number=stranger.number,
        id=stranger.id,
        first_unix_ns=stranger.first_unix_ns,
        last_unix_ns=stranger.last_unix_ns,
        camera=stranger.camera,
        stays=stranger.stays,
        best_quality=stranger.best_quality,
        samples=stranger.samples,
        tracks={camera: tuple(tracks) for camera, tracks in stranger.tracks.items()},
    )
