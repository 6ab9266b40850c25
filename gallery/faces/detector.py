"""Finds faces in pictures with MTCNN."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gallery.faces.device import resolve
from gallery.faces.types import BgrImage, Faces

SMALLEST_SIDE_PX = 12
"""PNet's window: nothing can be found in a picture that is smaller."""


class MtcnnDetector:
    """The three nets of MTCNN with facenet-pytorch's weights."""

    def __init__(
        self,
        device: str = "cpu",
        min_face_px: int = 20,
        thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7),
        engine: str = "auto",
    ) -> None:
        from facenet_pytorch import MTCNN

        self.device = resolve(device)
        self.min_face_px = min_face_px
        self._mtcnn = MTCNN(
            keep_all=True, min_face_size=min_face_px, thresholds=list(thresholds), device=self.device
        )

    def detect(self, images: Sequence[BgrImage]) -> list[Faces]:
        """One Faces an image, the largest face first; sizes may differ."""
        return [self._detect_one(image) for image in images]

    def _detect_one(self, bgr: BgrImage) -> Faces:
        height, width = bgr.shape[:2]
        if min(height, width) < max(SMALLEST_SIDE_PX, self.min_face_px):
            return Faces.none()
        rgb = np.ascontiguousarray(bgr[:, :, ::-1])
        boxes, scores, landmarks = self._mtcnn.detect(rgb, landmarks=True)
        if boxes is None:
            return Faces.none()
        # MTCNN does not clip boxes to the image.
        clipped = np.clip(boxes, 0, [width, height, width, height])
        return Faces(clipped.astype(np.float32), scores.astype(np.float32), landmarks.astype(np.float32))
