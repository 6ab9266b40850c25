"""Follows each face of one camera from its coming to its leaving. All times are the frames'."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from daemon.assignment import is_ambiguous, overlaps, pair
from daemon.config import TrackerConfig
from daemon.evidence import Evidence
from daemon.motion import MotionWatch
from daemon.track import Plan, Seen, Track, boxes_of
from gallery.faces.types import Encodings, Faces

SAME_TWICE = 0.5
"""Overlap of two tracks from which they follow one face: the one that was there keeps it."""
OTHER_FACE = 1.1
"""In thresholds of the encoder: a sample that is farther from those before is of another face. At 1.0 a man
who turns his head is taken for two (short_hamilton_clip, SFace); beyond 1.1 are 97 % of strangers on LFW."""


class Tracker:
    """The tracks of one camera."""

    def __init__(self, settings: TrackerConfig, encoder_threshold: float) -> None:
        """encoder_threshold: the encoder's own distance of one person, the unit of looks."""
        self._settings = settings
        self._threshold = encoder_threshold
        self._motion = MotionWatch()
        self._tracks: list[Track] = []
        self._looked_s = -np.inf
        self._cut: list[Track] = []

    def adjust(self, settings: TrackerConfig) -> None:
        """Goes on with these."""
        self._settings = settings

    @property
    def alive(self) -> tuple[Track, ...]:
        """Every track that has not ended, lost ones too."""
        return tuple(self._tracks)

    def plan(self, bgr: NDArray[np.uint8], time_s: float) -> Plan:
        """Decides how to find the faces of this frame, which comes after all that were seen before."""
        seen = [track for track in self._tracks if not track.lost]
        motion = self._motion.see(bgr, boxes_of(seen))
        if motion.cut:
            self._cut, self._tracks, seen = self._tracks, [], []
        waited_s = time_s - self._looked_s
        settings = self._settings
        somebody_lost = any(track.lost for track in self._tracks)
        busy = bool(self._tracks) and not motion.still
        full = (
            motion.cut
            or waited_s >= settings.idle_detect_s
            or (busy and waited_s >= settings.detect_every_s)
            or ((motion.elsewhere or somebody_lost) and waited_s >= settings.motion_gap_s)
        )
        return Plan(full, motion.still and not full, () if motion.still else tuple(seen))

    def looks(self, time_s: float) -> None:
        """The frame planned last is going to be searched in full, whenever the answer comes."""
        self._motion.looked()
        self._looked_s = time_s

    def carry(self, plan: Plan, faces: Faces, time_s: float) -> Seen:
        """Takes what was found where the tracks were: row i is the plan's track i, however doubtful."""
        for row, track in enumerate(plan.carried):
            track.lost = bool(faces.scores[row] < self._settings.keep_score)
            if not track.lost:
                _place(track, faces, row, time_s)
        self._lose_doubles()
        if plan.carried:
            self._motion.measured()
        else:
            for track in self._tracks:
                track.seen_s = track.seen_s if track.lost else time_s
        return self._finish(time_s)

    def detect(self, faces: Faces, encode: Callable[[NDArray[np.intp]], Encodings], time_s: float) -> Seen:
        """Takes what was found on the whole frame; encode(rows) gives the encodings of faces in doubt."""
        boxes = boxes_of(self._tracks)
        overlap = overlaps(boxes, faces.boxes)
        looks = self._compare(np.flatnonzero(is_ambiguous(overlap)), len(faces), encode)
        pairs = dict(pair(boxes, faces.boxes, looks, overlap))
        for place, track in enumerate(self._tracks):
            track.lost = place not in pairs
            if not track.lost:
                _place(track, faces, pairs[place], time_s)
        taken = set(pairs.values())
        sure = np.flatnonzero(faces.scores >= self._settings.begin_score)
        self._tracks += [
            _begin(faces, row, time_s, OTHER_FACE * self._threshold)
            for row in sure.tolist()
            if row not in taken
        ]
        return self._finish(time_s)

    def part(self, seen: Seen, track: Track, evidence: Evidence) -> Seen:
        """This evidence says that the track shows another face by now: that one has a track of its own."""
        newcomer = replace(track, id=str(uuid.uuid4()), first_s=evidence.first_s, evidence=evidence)
        track.lost, track.seen_s = True, track.evidence.agreed_s
        self._tracks = [newcomer if each is track else each for each in self._tracks]
        tracks = tuple(newcomer if each is track else each for each in seen.tracks)
        return replace(seen, tracks=tracks, left=(*seen.left, track))

    def end(self) -> tuple[Track, ...]:
        """The camera ended or was lost: so are its tracks. What it shows next is all news."""
        ended, self._tracks = [*self._cut, *self._tracks], []
        self._cut = []
        self._motion = MotionWatch()
        return tuple(ended)

    def _finish(self, time_s: float) -> Seen:
        limit_s = time_s - self._settings.lost_s
        gone = [track for track in self._tracks if track.lost and track.seen_s < limit_s]
        self._tracks = [track for track in self._tracks if track not in gone]
        cut, self._cut = self._cut, []
        return Seen(tuple(track for track in self._tracks if not track.lost), tuple(gone), tuple(cut))

    def _compare(
        self, rows: NDArray[np.intp], faces: int, encode: Callable[[NDArray[np.intp]], Encodings]
    ) -> NDArray[np.float32]:
        """float32[tracks, faces]: distances in thresholds for the faces in these rows, NaN elsewhere."""
        looks = np.full((len(self._tracks), faces), np.nan, np.float32)
        known = [place for place, track in enumerate(self._tracks) if track.evidence.count]
        if len(rows) and known:
            encodings = encode(rows)
            for place in known:
                apart = np.linalg.norm(encodings - self._tracks[place].evidence.fused, axis=1)
                looks[place, rows] = apart / self._threshold
        return looks

    def _lose_doubles(self) -> None:
        """Two tracks that slid onto one face: the older one keeps it, and the other waits to be found."""
        seen = [track for track in self._tracks if not track.lost]
        overlap = overlaps(boxes_of(seen), boxes_of(seen))
        for later in range(len(seen)):
            if any(
                overlap[earlier, later] > SAME_TWICE and not seen[earlier].lost for earlier in range(later)
            ):
                seen[later].lost = True


def _place(track: Track, faces: Faces, row: int, time_s: float) -> None:
    track.box, track.landmarks = faces.boxes[row], faces.landmarks[row]
    track.score, track.seen_s = float(faces.scores[row]), time_s


def _begin(faces: Faces, row: int, time_s: float, limit: float) -> Track:
    return Track(
        id=str(uuid.uuid4()),
        box=faces.boxes[row],
        landmarks=faces.landmarks[row],
        score=float(faces.scores[row]),
        first_s=time_s,
        seen_s=time_s,
        evidence=Evidence(limit),
    )
