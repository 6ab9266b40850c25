"""Detector, encoder and quality in one: pictures to faces, encodings, and how fit they are to decide by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gallery.faces.quality import Quality, assess
from gallery.faces.types import BgrImage, Detector, Encoder, Encodings, Faces


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """What was found in one image; row i of each is the same face."""

    faces: Faces
    """Boxes, scores and landmarks of n faces."""
    encodings: Encodings
    """float32[n, d]."""
    qualities: tuple[Quality, ...]
    """n of them."""


class FaceEngine:
    """Finds, encodes and judges the faces of pictures."""

    def __init__(self, detector: Detector, encoder: Encoder) -> None:
        self.detector = detector
        self.encoder = encoder

    @property
    def model(self) -> str:
        """Only encodings of one model are comparable."""
        return self.encoder.model

    def analyse(self, images: Sequence[BgrImage]) -> list[Analysis]:
        """One Analysis an image; sizes may differ, and the detector sees them as one batch."""
        found = self.detector.detect(images)
        encoded = self.encoder.encode_many(images, found)
        return [
            Analysis(faces, encodings, tuple(assess(bgr, faces)))
            for bgr, faces, encodings in zip(images, found, encoded, strict=True)
        ]
