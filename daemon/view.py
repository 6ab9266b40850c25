"""One camera's faces as they are tracked, judged, sampled and decided, frame by frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import numpy as np
from numpy.typing import NDArray

from daemon.config import TrackerConfig
from daemon.frame import Frame
from daemon.strangers import Strangers
from daemon.track import Plan, Seen, Track, as_faces
from daemon.tracker import Tracker
from daemon.visits import Change, Visit, Visits
from gallery.decision import Decision, Rules, decide
from gallery.faces.quality import Quality
from gallery.faces.types import Encodings, Faces
from gallery.matcher import Index

SLOW_FRAME_S = 0.4
"""Frames farther apart than this are a slow camera's: two samples must do."""
SLOW_SAMPLES = 2
INTERVALS = 8
"""The rate of frames is the median over so many."""


@dataclass(frozen=True, slots=True, eq=False)
class SeenFace:
    """One track on one frame."""

    track: Track
    """Where it is."""
    visit: Visit
    """Who it is by now."""


class View:
    """What one camera sees."""

    def __init__(
        self, settings: TrackerConfig, strangers: Strangers, encoder_threshold: float, origin_ns: int
    ) -> None:
        """encoder_threshold: the encoder's own distance of one person.

        origin_ns: the start of the run on the monotonic clock; from there on, times are the same each time a
        file is played, to the last bit.
        """
        self._origin_ns = origin_ns
        self._encoder_threshold = encoder_threshold
        self._strangers = strangers
        self._settings = settings
        self._tracker = Tracker(settings, encoder_threshold)
        self._visits = Visits(settings, strangers)
        self._times_s: deque[float] = deque(maxlen=INTERVALS + 1)
        self._seen = Seen((), ())
        self._qualities: Sequence[Quality] = ()
        self._still = False

    def twin(self) -> View:
        """Another camera's, with the same settings and strangers."""
        return View(self._settings, self._strangers, self._encoder_threshold, self._origin_ns)

    def adjust(self, settings: TrackerConfig, threshold: float, forget_after_s: float) -> None:
        """Goes on with these; threshold and forget_after_s: as Strangers'."""
        self._settings = settings
        self._tracker.adjust(settings)
        self._visits.adjust(settings)
        self._strangers.adjust(threshold, forget_after_s)

    def plan(self, frame: Frame) -> Plan:
        """How to find the faces of this frame."""
        time_s = self._seconds(frame)
        self._times_s.append(time_s)
        self._strangers.pass_time(time_s)
        plan = self._tracker.plan(frame.bgr, time_s)
        self._still = plan.still
        return plan

    def looks(self, frame: Frame) -> None:
        """The frame is going to be searched in full, whenever the answer comes."""
        self._tracker.looks(self._seconds(frame))

    def carry(self, plan: Plan, faces: Faces, frame: Frame) -> None:
        """Takes what was found where the plan's tracks were."""
        self._seen = self._tracker.carry(plan, faces, self._seconds(frame))

    def detect(self, faces: Faces, encode: Callable[[NDArray[np.intp]], Encodings], frame: Frame) -> None:
        """Takes what was found on the whole frame."""
        # Others than before may be seen now, which nobody has judged.
        self._still = False
        self._seen = self._tracker.detect(faces, encode, self._seconds(frame))

    def is_seen(self, scores: NDArray[np.float32]) -> NDArray[np.bool_]:
        """bool[n]: which of these faces, looked for where they were before, count as seen."""
        return np.asarray(scores >= self._settings.keep_score)

    @property
    def faces(self) -> Faces:
        """The tracks seen on this frame, as faces."""
        return as_faces(self._seen.tracks)

    @property
    def known_qualities(self) -> Sequence[Quality] | None:
        """Those of `faces`, where nothing moved since they were judged; None: they have to be judged anew."""
        return self._qualities if self._still and len(self._qualities) == len(self._seen.tracks) else None

    def judge(self, qualities: Sequence[Quality], frame: Frame) -> NDArray[np.intp]:
        """Takes the qualities of `faces`; gives the rows that shall be encoded, no more than needed."""
        self._qualities = qualities
        for track, quality in zip(self._seen.tracks, qualities, strict=True):
            track.reasons, track.quality = tuple(quality.reasons), quality.value
        time_s = self._seconds(frame)
        wanted = [
            row
            for row, track in enumerate(self._seen.tracks)
            if not track.reasons and self._is_due(track, time_s)
        ]
        return np.array(wanted, np.intp)

    def learn(self, rows: NDArray[np.intp], encodings: Encodings, frame: Frame) -> None:
        """Takes the encodings of those rows."""
        for row, encoding in zip(rows, encodings, strict=True):
            track = self._seen.tracks[row]
            track.evidence.add(encoding, self._qualities[row].value, self._seconds(frame))
            if (other := track.evidence.of_another_face()) is not None:
                self._seen = self._tracker.part(self._seen, track, other)

    def decide(self, index: Index, rules: Rules, frame: Frame) -> tuple[list[SeenFace], list[Change]]:
        """Who everybody on this frame is, and what changed with it."""
        tracks, time_s, needed = self._seen.tracks, self._seconds(frame), self._needed()
        changes = self._visits.end(self._seen.cut, for_good=True) + self._visits.end(self._seen.left)
        visits = [self._visits.of(track) for track in tracks if track.evidence.count]
        # One person is at most one face, of those whom enough is known of: a glimpse takes nobody's name.
        known = [visit for visit in visits if visit.samples >= needed]
        glimpsed = [visit for visit in visits if visit.samples < needed]
        decisions = _decisions(known, index, rules) | _decisions(glimpsed, index, rules)
        enrolled = {person.id for person in index.people}
        changes += self._visits.decide(decisions, enrolled, needed, time_s)
        changes += self._visits.leave(time_s)
        return [SeenFace(track, self._visits.of(track)) for track in tracks], changes

    def forget(self, people: Container[str]) -> list[Change]:
        """As Visits.forget."""
        return self._visits.forget(people)

    def end(self) -> list[Change]:
        """The camera ended: so has everything on it."""
        self._visits.end(self._tracker.end())
        return self._visits.leave(None)

    def _is_due(self, track: Track, time_s: float) -> bool:
        settings = self._settings
        sure = self._visits.of(track).is_settled and not track.evidence.in_doubt
        if sure and self._still:
            # The same picture again is no further evidence.
            return False
        gap_s = settings.sure_gap_s if sure else settings.sample_gap_s
        # A thousandth of tolerance: frames of 30 a second are not exactly 0.1 s apart.
        return time_s - track.evidence.newest_s >= gap_s - 0.001

    def _needed(self) -> int:
        intervals = [later - sooner for sooner, later in pairwise(self._times_s)]
        slow = bool(intervals) and median(intervals) > SLOW_FRAME_S
        return min(self._settings.min_samples, SLOW_SAMPLES) if slow else self._settings.min_samples

    def _seconds(self, frame: Frame) -> float:
        """The frame's own time, the only one that decisions know."""
        return (frame.captured_monotonic_ns - self._origin_ns) / 1e9


def _decisions(visits: Sequence[Visit], index: Index, rules: Rules) -> dict[str, Decision]:
    """Of several visits at once, by the id of the track that shows each."""
    if not visits:
        return {}
    evidence = [visit.track.evidence for visit in visits]
    held = [visit.person.id if visit.person else None for visit in visits]
    decided = decide(
        index, np.stack([each.fused for each in evidence]), rules, held, [each.spread for each in evidence]
    )
    return {visit.track.id: decision for visit, decision in zip(visits, decided, strict=True)}
