"""Frames to sightings: who is on each, decided against the gallery of that moment."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.events import Sighting
from daemon.frame import Frame
from gallery.faces.engine import Analysis, FaceEngine
from gallery.matcher import Index, Match, match


class Pipeline:
    """Computes and returns; sends nothing, and takes its time from the frames."""

    def __init__(self, engine: FaceEngine, index: Index, threshold: float) -> None:
        """threshold: Euclidean distance up to which, inclusive, a face is the enrolled person."""
        self.engine = engine
        self.index = index
        """Who is enrolled; replaced when the gallery changes."""
        self.threshold = threshold

    def process(self, frames: Sequence[Frame]) -> list[Sighting]:
        """One sighting a face, frame by frame in the order given."""
        analyses = self.engine.analyse([frame.bgr for frame in frames])
        return [
            sighting
            for frame, analysis in zip(frames, analyses, strict=True)
            for sighting in self._decide(frame, analysis)
        ]

    def _decide(self, frame: Frame, analysis: Analysis) -> list[Sighting]:
        matches = match(self.index, analysis.encodings, self.threshold)
        return [self._sighting(frame, analysis, row, found) for row, found in enumerate(matches)]

    def _sighting(self, frame: Frame, analysis: Analysis, row: int, found: Match) -> Sighting:
        height, width = frame.bgr.shape[:2]
        return Sighting(
            camera=frame.camera,
            frame_index=frame.index,
            frame_width=width,
            frame_height=height,
            captured_unix_ns=frame.captured_unix_ns,
            grabbed_monotonic_ns=frame.grabbed_monotonic_ns,
            box=analysis.faces.boxes[row].tolist(),
            landmarks=analysis.faces.landmarks[row].tolist(),
            score=float(analysis.faces.scores[row]),
            person=found.person,
            distance=found.distance,
            threshold=self.threshold,
            runner_up=found.runner_up,
            reasons=analysis.qualities[row].reasons,
            model=self.index.model,
            gallery_revision=self.index.revision,
        )
