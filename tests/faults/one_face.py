"""The daemon with all its parts but the nets: it sees one face in the middle of every frame, at no cost.

`python -m tests.faults.one_face CONFIG`: so that faults are measured and not how fast the nets are here.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daemon.config_file import load
from daemon.service import Service
from gallery.faces.engine import FaceEngine
from gallery.faces.types import BgrImage, Encodings, Faces
from gallery.store import Gallery

FACE_PX = 60


class OneFace:
    """Finds it wherever it is asked to look."""

    def detect(self, images: Sequence[BgrImage]) -> list[Faces]:
        return [_faces([_middle(bgr)]) for bgr in images]

    def refine(self, images: Sequence[BgrImage], boxes: Sequence[NDArray[np.float32]]) -> list[Faces]:
        return [
            _faces([_middle(bgr)] * len(some)) if len(some) else Faces.none()
            for bgr, some in zip(images, boxes, strict=True)
        ]


class OnePerson:
    """Encodes everybody alike."""

    model = "one-face-0123456789abcdef"
    threshold = 0.5

    def encode(self, bgr: BgrImage, faces: Faces) -> Encodings:
        return np.tile(np.eye(1, 128, dtype=np.float32), (len(faces), 1))

    def encode_many(self, images: Sequence[BgrImage], faces: Sequence[Faces]) -> list[Encodings]:
        return [self.encode(bgr, some) for bgr, some in zip(images, faces, strict=True)]


def _middle(bgr: BgrImage) -> list[float]:
    height, width = bgr.shape[:2]
    left, top = (width - FACE_PX) / 2, (height - FACE_PX) / 2
    return [left, top, left + FACE_PX, top + FACE_PX]


def _faces(boxes: list[list[float]]) -> Faces:
    corners = np.array(boxes, np.float32)
    places = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]], np.float32)
    landmarks = corners[:, None, :2] + places * (corners[:, None, 2:] - corners[:, None, :2])
    return Faces(corners, np.full(len(boxes), 0.99, np.float32), landmarks)


def main(path: Path) -> None:
    """Runs until SIGTERM; its cameras start when somebody subscribes."""
    config = load(path)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with Gallery.open(config.gallery_path) as gallery:
        service = Service(config, FaceEngine(OneFace(), OnePerson()), gallery, stop)
        service.run("no device", 1, insecure=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
