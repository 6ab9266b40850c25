"""Finds faces in pictures with MTCNN."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

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


def _finished(faces: Faces, image: BgrImage) -> Faces:
    """The largest face first, and boxes clipped to the image: MTCNN's may reach beyond it."""
    height, width = image.shape[:2]
    left, top, right, bottom = faces.boxes.T
    order = np.argsort((right - left) * (bottom - top))[::-1]
    limits = np.array([width, height, width, height], np.float32)
    return Faces(np.clip(faces.boxes, 0, limits), faces.scores, faces.landmarks).take(order)
