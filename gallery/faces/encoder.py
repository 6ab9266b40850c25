"""Turns faces into the vectors that tell people apart: dlib's 128-d encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from gallery.faces import aligner, models
from gallery.faces.types import BgrImage, Encodings, Faces

Alignment = Literal["mtcnn", "dlib"]
Engine = Literal["torch", "dlib"]

DLIB_THRESHOLD = 0.6
"""Euclidean distance up to which dlib's author counts two encodings as one person."""


class DlibEncoder:
    """dlib's ResNet of 128 dimensions, in the space of face_recognition's encodings."""

    name = "dlib"

    def __init__(self, device: str = "cpu", alignment: Alignment = "mtcnn", engine: Engine = "dlib") -> None:
        """alignment: mtcnn uses the landmarks that come with a face, dlib predicts its own inside the box."""
        if alignment not in ("mtcnn", "dlib"):
            raise ValueError(f'encoder.alignment must be "mtcnn" or "dlib", not "{alignment}"')
        self.alignment = alignment
        self.threshold = DLIB_THRESHOLD
        self._cut = _predicted() if alignment == "dlib" else _from_landmarks
        self._net = _dlib_net()
        files = [*models.DETECTOR, models.DLIB_RESNET]
        if alignment == "dlib":
            files.append(models.DLIB_FIVE_POINTS)
        self.model = models.model_text(self.name, alignment, [file.sha256 for file in files])

    def encode(self, bgr: BgrImage, faces: Faces) -> Encodings:
        """float32[n, 128], row i for face i of this image."""
        return self.encode_many([bgr], [faces])[0]

    def encode_many(self, images: Sequence[BgrImage], faces: Sequence[Faces]) -> list[Encodings]:
        """What encode gives for each image, in as few runs of the net as possible."""
        chips = [self._cut(bgr, found) for bgr, found in zip(images, faces, strict=True)]
        if not chips:
            return []
        encodings = self._net(np.concatenate(chips))
        return np.split(encodings, np.cumsum([len(some) for some in chips])[:-1])


def _from_landmarks(bgr: BgrImage, faces: Faces) -> aligner.Chips:
    return aligner.cut(bgr, faces.landmarks, aligner.DLIB_TEMPLATE, aligner.DLIB_SIZE_PX)


def _predicted() -> Callable[[BgrImage, Faces], aligner.Chips]:
    from gallery.faces.dlib_reference import PredictorAligner

    return PredictorAligner().cut


def _dlib_net() -> Callable[[aligner.Chips], Encodings]:
    from gallery.faces.dlib_reference import DlibNet

    return DlibNet()
