"""Somebody sits before a camera to be enrolled: which poses are asked for, and which samples are kept.

Without camera, clock and net: who drives it brings frames' times, faces and encodings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from daemon.samples import Sample, with_sample
from daemon.track import Track
from daemon.tracker import OTHER_FACE
from gallery.audit_limits import LOWEST_QUALITY
from gallery.enrolment import SMALLEST_FACE_PX
from gallery.faces.pose import Pose, pose

Asked = Literal["straight", "left", "right", "up", "down"]
POSES: tuple[Asked, ...] = ("straight", "left", "right", "up", "down")
"""In the order in which they are asked for; left and right are the person's own."""

POSING_S = 10.0
"""Of one face alone, all poses together."""
WAITING_S = 10.0
"""Without a face, or with several, all such moments together; then it is given up."""
ALONE_S = 1.5
"""After several faces were in view: a second one that is not found for a moment is there all the same."""
POSE_S = 2.0
"""Somebody who does not do what is asked is asked for the next pose."""
SAMPLE_GAP_S = 0.12
"""Between samples: five poses of three samples are then taken in 2 s, and a core is busy for a fifth."""
ENOUGH = 3
"""Fit samples of a pose: of so many the best is sharp."""
FEWEST = 3
"""Fit samples that a sitting must give at all."""
MOST_KEPT = 8
"""References of one sitting."""

STRAIGHT_YAW, STRAIGHT_PITCH = 15.0, 25.0
"""Degrees. The pitch is measured by an average head's, of which half lie within 11 degrees."""
TURNED_YAW, MOST_YAW = 18.0, 50.0
"""Degrees; from 55 on a face is unfit (gallery/faces/quality.py)."""
TURNED_PITCH, MOST_PITCH = 9.0, 35.0
"""Degrees from the same head's when it looks straight."""

Hint = Literal[
    "no_face",
    "several_faces",
    "another_face",
    "face_too_small",
    "low_quality",
    "turn",
    "too_small",
    "blurred",
    "dark",
    "profile",
    "clipped",
    "low_confidence",
]
"""Why the newest frame gave no sample of what was asked; those from too_small on are Quality.reasons."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sitting is."""

    state: Literal["posing", "done", "failed"]
    """done: there is enough to enrol by."""
    asked: Asked | None
    """The pose that is wanted now; None: no more."""
    taken: Mapping[Asked, int]
    """Fit samples so far, of ENOUGH, by pose."""
    hint: Hint | None
    """Why the newest frame was of no use; None: it was."""
    quality: float
    """Of the newest face, 0 to 1; 0: there is none."""
    yaw: float
    """Degrees, positive to the right as seen."""
    pitch: float
    """Degrees, positive is up; from the same head's when it looks straight, once that is known."""
    left_s: float
    """Seconds until it is done, of those with one face alone."""
    waiting_s: float
    """Seconds until it is given up, of those without."""


@dataclass(slots=True)
class Sitting:
    """One person before one camera."""

    limit: float
    """Euclidean distance in which samples of one face are from their mean."""
    alike: float
    """Euclidean distance up to which two samples show the same."""
    samples: dict[Asked, tuple[Sample, ...]] = field(default_factory=dict)
    """The best of each pose."""
    taken: dict[Asked, int] = field(default_factory=lambda: dict.fromkeys(POSES, 0))
    """Fit samples of each, also those that are not kept."""
    hint: Hint | None = "no_face"
    """As Progress.hint."""
    posed_s: float = 0.0
    """Seconds with one face alone."""
    waited_s: float = 0.0
    """Seconds without."""
    _seen_s: float | None = None
    _several_s: float = -np.inf
    """When several faces were in view last."""
    _crowded_s: float = 0.0
    """Seconds in which they were."""
    _sampled_s: float = -np.inf
    _asked: Asked | None = "straight"
    _asked_s: float = 0.0
    _pitches: list[float] = field(default_factory=list)
    _quality: float = 0.0
    _pose: Pose = field(default_factory=lambda: Pose(0.0, 0.0))

    def see(self, tracks: Sequence[Track], take: Callable[[Track, Asked], Sample], time_s: float) -> None:
        """What a frame shows, in order of time; take(track, pose) encodes one of these."""
        passed_s = 0.0 if self._seen_s is None else max(0.0, time_s - self._seen_s)
        self._seen_s = time_s
        if self.is_over:
            return
        # What the detector itself doubts, such as a print on a shirt, keeps nobody from being alone.
        sure = [track for track in tracks if "low_confidence" not in track.reasons]
        if len(sure) > 1:
            self._several_s = time_s
        crowded = bool(sure) and time_s - self._several_s < ALONE_S
        if crowded or not sure:
            self.waited_s += passed_s
            self._crowded_s += passed_s if crowded else 0.0
            self.hint = "several_faces" if crowded else "no_face"
            self._quality = 0.0
            return
        self.posed_s += passed_s
        self._look(sure[0], take, time_s)
        self._ask()

    @property
    def is_over(self) -> bool:
        """Nothing more is looked at."""
        return self._asked is None or self.posed_s >= POSING_S or self.waited_s >= WAITING_S

    @property
    def progress(self) -> Progress:
        """How far it is."""
        # Where somebody else was there for most of the time, nobody knows whose face the rest shows.
        crowded = self._crowded_s > self.posed_s
        enough = sum(self.taken.values()) >= FEWEST and not crowded
        return Progress(
            state="posing" if not self.is_over else "done" if enough else "failed",
            asked=None if self.is_over else self._asked,
            taken=dict(self.taken),
            hint="several_faces" if self.is_over and crowded else self.hint,
            quality=self._quality,
            yaw=self._pose.yaw,
            pitch=self._pose.pitch - self._straight_pitch,
            left_s=max(0.0, POSING_S - self.posed_s),
            waiting_s=max(0.0, WAITING_S - self.waited_s),
        )

    @property
    def kept(self) -> list[Sample]:
        """What to enrol, straight first: the best of each pose, then whatever else differs from these."""
        best = [max(self.samples[each], key=_quality) for each in POSES if each in self.samples]
        others = [sample for some in self.samples.values() for sample in some if sample not in best]
        found: list[Sample] = []
        for sample in [*best, *sorted(others, key=_quality, reverse=True)]:
            apart = [float(np.linalg.norm(sample.encoding - each.encoding)) for each in found]
            if len(found) < MOST_KEPT and all(distance > self.alike for distance in apart):
                found.append(sample)
        return found

    @property
    def missing(self) -> list[Asked]:
        """Poses that nobody took."""
        return [each for each in POSES if not self.taken[each]]

    def _look(self, track: Track, take: Callable[[Track, Asked], Sample], time_s: float) -> None:
        self._quality, self._pose = track.quality, pose(track.landmarks)
        self.hint = _unfit(track)
        if self.hint is not None:
            return
        shown = self._shown()
        if shown != self._asked:
            self.hint = "turn"
        if shown is None or self.taken[shown] >= ENOUGH or time_s - self._sampled_s < SAMPLE_GAP_S:
            return
        self._sampled_s = time_s
        sample = take(track, shown)
        known = [sample.encoding for some in self.samples.values() for sample in some]
        if known and float(np.linalg.norm(sample.encoding - np.mean(known, axis=0))) > self.limit:
            self.hint = "another_face"
            return
        if shown == "straight":
            self._pitches.append(self._pose.pitch)
        self.taken[shown] += 1
        self.samples[shown] = with_sample(self.samples.get(shown, ()), sample, ENOUGH, 0.0)

    def _shown(self) -> Asked | None:
        """The pose that the newest face has; None: between two of them."""
        yaw, pitch = self._pose.yaw, self._pose.pitch - self._straight_pitch
        if TURNED_YAW <= abs(yaw) <= MOST_YAW:
            return "left" if yaw > 0 else "right"
        if abs(yaw) > STRAIGHT_YAW:
            return None
        if self._pitches and TURNED_PITCH <= abs(pitch) <= MOST_PITCH:
            return "up" if pitch > 0 else "down"
        limit = TURNED_PITCH if self._pitches else STRAIGHT_PITCH
        return "straight" if abs(pitch) < limit else None

    def _ask(self) -> None:
        """Goes on to the next pose that is wanted, where this one is there or does not come."""
        wanted = [each for each in POSES if self.taken[each] < ENOUGH]
        if self._asked in wanted and self.posed_s - self._asked_s < POSE_S:
            return
        place = POSES.index(self._asked) if self._asked is not None else 0
        following = sorted(wanted, key=lambda each: (POSES.index(each) - place - 1) % len(POSES))
        self._asked = following[0] if following else None
        self._asked_s = self.posed_s

    @property
    def _straight_pitch(self) -> float:
        return float(np.median(self._pitches)) if self._pitches else 0.0


def limit_of(encoder_threshold: float) -> float:
    """Sitting.limit, from the encoder's own distance of one person."""
    return OTHER_FACE * encoder_threshold


def _unfit(track: Track) -> Hint | None:
    """Why the face is no reference, whichever way it looks."""
    left, top, right, bottom = track.box
    if min(right - left, bottom - top) < SMALLEST_FACE_PX:
        return "face_too_small"
    if track.reasons:
        return track.reasons[0]  # type: ignore[return-value]
    return "low_quality" if track.quality < LOWEST_QUALITY else None


def _quality(sample: Sample) -> float:
    return sample.quality
