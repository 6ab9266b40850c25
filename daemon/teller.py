"""What is told of a face: tracks, visits and decisions as the events' plain data."""

from __future__ import annotations

from daemon import events
from daemon.frame import Frame
from daemon.visits import Change, Visit
from gallery.matcher import Index, RunnerUp


class Teller:
    """Makes events of what a frame brought."""

    def __init__(self, threshold: float, origin_ns: int) -> None:
        """threshold: told where no decision was made. origin_ns: as View's."""
        self._threshold = threshold
        self._origin_ns = origin_ns

    def sighting(self, frame: Frame, visit: Visit, index: Index) -> events.Sighting:
        """One face on this frame, with what is decided about it by now."""
        track, decision = visit.track, visit.decision
        height, width = frame.bgr.shape[:2]
        return events.Sighting(
            camera=frame.camera,
            frame_index=frame.index,
            frame_width=width,
            frame_height=height,
            captured_unix_ns=frame.captured_unix_ns,
            grabbed_monotonic_ns=frame.grabbed_monotonic_ns,
            box=track.box.tolist(),
            landmarks=track.landmarks.tolist(),
            score=track.score,
            person=visit.person,
            distance=None if decision is None else decision.distance,
            threshold=self._threshold if decision is None else decision.threshold,
            runner_up=None if decision is None else decision.runner_up,
            reasons=track.reasons,
            model=index.model,
            gallery_revision=index.revision,
            track=visit.id,
            revision=visit.revision,
            state=visit.state,
            samples=visit.samples,
            stranger=None if visit.stranger is None else visit.stranger.id,
        )

    def life(self, frame: Frame, change: Change, index: Index) -> events.Life:
        """A change, decided on this frame."""
        visit = change.visit
        return events.Life(
            kind=change.kind,
            face=self.sighting(frame, visit, index),
            previous=change.previous,
            candidates=_candidates(visit),
            first_unix_ns=self._unix_ns(frame, visit.first_s),
            last_unix_ns=self._unix_ns(frame, visit.track.seen_s),
            best_distance=visit.best_distance if change.kind == "left" else None,
        )

    def _unix_ns(self, frame: Frame, time_s: float) -> int:
        """A moment of the frames' time on the wall clock that this frame came with."""
        now_ns = frame.captured_monotonic_ns - self._origin_ns
        return frame.captured_unix_ns - (now_ns - round(time_s * 1e9))


def _candidates(visit: Visit) -> tuple[RunnerUp, ...]:
    """The nearest two people, the nearest first."""
    decision = visit.decision
    if decision is None or decision.nearest is None or decision.distance is None:
        return ()
    nearest = RunnerUp(decision.nearest.id, decision.nearest.name, decision.distance)
    return (nearest,) if decision.runner_up is None else (nearest, decision.runner_up)
