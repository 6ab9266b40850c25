"""facenet-pytorch's own MTCNN, with its answer as ours: what the detector is held against."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gallery.faces.types import BgrImage, Faces


class FacenetMtcnn:
    """`MTCNN(keep_all=True)`, as its users call it."""

    def __init__(self, device: str = "cpu", min_face_px: int = 20) -> None:
        from facenet_pytorch import MTCNN

        self._mtcnn = MTCNN(keep_all=True, min_face_size=min_face_px, device=device)

    def run(self, rgb: Sequence[BgrImage]) -> None:
        """What is timed: `detect` on frames of one size, colours in its order."""
        self._mtcnn.detect(rgb[0] if len(rgb) == 1 else np.stack(rgb))

    def detect(self, bgr: BgrImage) -> Faces:
        """The faces, boxes clipped to the picture as ours are."""
        boxes, scores, landmarks = self._mtcnn.detect(np.ascontiguousarray(bgr[:, :, ::-1]), landmarks=True)
        if boxes is None:
            return Faces.none()
        height, width = bgr.shape[:2]
        clipped = np.clip(boxes, 0, [width, height, width, height])
        return Faces(clipped.astype(np.float32), scores.astype(np.float32), landmarks.astype(np.float32))
