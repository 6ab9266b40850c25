"""Finds faces in pictures with MTCNN."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gallery.faces.device import resolve
from gallery.faces.types import BgrImage, Faces


class MtcnnDetector:
    """MTCNN with facenet-pytorch's weights: the boxes of its `MTCNN(keep_all=True).detect`, clipped."""

    def __init__(
        self,
        device: str = "cpu",
        min_face_px: int = 20,
        thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7),
        engine: str = "auto",
    ) -> None:
        from gallery.faces.mtcnn.cascade import Cascade
        from gallery.faces.mtcnn.torch_nets import TorchNets

        self.device = resolve(device)
        self.engine = "torch"
        self._cascade = Cascade(TorchNets(), min_face_px, thresholds)

    def detect(self, images: Sequence[BgrImage]) -> list[Faces]:
        """One Faces an image, the largest face first; sizes may differ."""
        found = self._cascade.detect(images)
        return [_finished(faces, image) for faces, image in zip(found, images, strict=True)]

    def refine(self, images: Sequence[BgrImage], boxes: Sequence[NDArray[np.float32]]) -> list[Faces]:
        """Looks where faces were: row i is what is at boxes[i] now, with its score, however low.

        boxes: float32[n, 4] an image. About a millisecond a face; scores below 0.9 are mostly no face.
        """
        from gallery.faces.mtcnn.carry import carry

        found = carry(self._cascade.nets, images, boxes)
        return [_clipped(faces, image) for faces, image in zip(found, images, strict=True)]


def _finished(faces: Faces, image: BgrImage) -> Faces:
    """The largest face first, inside the image."""
    left, top, right, bottom = faces.boxes.T
    order = np.argsort((right - left) * (bottom - top))[::-1]
    return _clipped(faces, image).take(order)


def _clipped(faces: Faces, image: BgrImage) -> Faces:
    """MTCNN's boxes may reach beyond the image."""
    height, width = image.shape[:2]
    limits = np.array([width, height, width, height], np.float32)
    return Faces(np.clip(faces.boxes, 0, limits), faces.scores, faces.landmarks)
