"""What travels between the stages that turn pixels into encodings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

BgrImage = NDArray[np.uint8]
"""uint8[height, width, 3], blue, green, red, as OpenCV reads it."""

Encodings = NDArray[np.float32]
"""float32[n, d], row i belongs to face i; comparable only within one model."""


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """The faces of one image; row i of each array is one face, and there may be none."""

    boxes: NDArray[np.float32]
    """float32[n, 4]: left, top, right, bottom in pixels, inside the image."""
    scores: NDArray[np.float32]
    """float32[n]: the detector's confidence, 0 to 1."""
    landmarks: NDArray[np.float32]
    """float32[n, 5, 2]: left eye, right eye, nose, left and right mouth corner in pixels, left as seen."""

    def __len__(self) -> int:
        return len(self.boxes)

    @classmethod
    def none(cls) -> Faces:
        """What a detector finds where there is no face."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32))

    def take(self, rows: Sequence[int] | NDArray[np.intp] | NDArray[np.bool_]) -> Faces:
        """The faces of these rows, in this order."""
        rows = np.asarray(rows) if len(rows) else np.zeros(0, np.intp)
        return Faces(self.boxes[rows], self.scores[rows], self.landmarks[rows])


class Detector(Protocol):
    """Finds faces."""

    def detect(self, images: Sequence[BgrImage]) -> list[Faces]:
        """One Faces an image; sizes may differ."""

    def refine(self, images: Sequence[BgrImage], boxes: Sequence[NDArray[np.float32]]) -> list[Faces]:
        """Looks where faces were (float32[n, 4] an image): row i is what is there, with its score."""


class Encoder(Protocol):
    """Turns faces into vectors whose Euclidean distance tells people apart."""

    @property
    def model(self) -> str:
        """Digest of detector, alignment and encoder; only encodings of one model are comparable."""

    @property
    def threshold(self) -> float:
        """The encoder's own Euclidean distance up to which two encodings count as one person."""

    def encode(self, bgr: BgrImage, faces: Faces) -> Encodings:
        """One row a face of this image."""

    def encode_many(self, images: Sequence[BgrImage], faces: Sequence[Faces]) -> list[Encodings]:
        """What encode gives for each image, in as few runs of the net as possible."""
