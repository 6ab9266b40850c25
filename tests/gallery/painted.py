"""An engine for painted pictures: each rectangle of one colour on black is a face, its colour the person."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gallery.faces.engine import FaceEngine
from gallery.faces.types import BgrImage, Encodings, Faces
from tests.gallery.builders import MODEL

RED, GREEN, YELLOW = (200, 10, 10), (10, 200, 10), (180, 180, 10)
DOUBTFUL = (30, 30, 30)
"""A colour that the detector takes for a face with little confidence."""

Box = tuple[int, int, int, int]
"""left, top, right, bottom; right and bottom are the first that are outside."""


def paint(path: Path, *faces: tuple[Box, tuple[int, int, int]], size: tuple[int, int] = (200, 160)) -> Path:
    """Saves a picture with these faces as a PNG, whatever the name's ending."""
    picture = Image.new("RGB", size)
    for box, rgb in faces:
        picture.paste(rgb, box)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, "PNG")
    return path


class PaintedDetector:
    """Finds the rectangles, and notes how many pictures came at once."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def detect(self, images: Sequence[BgrImage]) -> list[Faces]:
        self.batches.append(len(images))
        return [self._detect_one(bgr) for bgr in images]

    def refine(self, images: Sequence[BgrImage], boxes: Sequence[NDArray[np.float32]]) -> list[Faces]:
        raise NotImplementedError("stills are not tracked")

    def _detect_one(self, bgr: BgrImage) -> Faces:
        boxes = []
        scores = []
        colours = bgr @ np.array([1 << 16, 1 << 8, 1])
        for colour in np.unique(colours)[1:]:
            rows, columns = np.nonzero(colours == colour)
            boxes.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
            scores.append(0.5 if colour == DOUBTFUL[0] * 0x010101 else 0.99)
        if not boxes:
            return Faces.none()
        corners = np.array(boxes, np.float32)
        places = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]], np.float32)
        landmarks = corners[:, None, :2] + places * (corners[:, None, 2:] - corners[:, None, :2])
        return Faces(corners, np.array(scores, np.float32), landmarks)


class PaintedEncoder:
    """Red, green and blue of the middle of the face, 0 to 1."""

    threshold = 0.1

    def __init__(self, model: str = MODEL) -> None:
        self.model = model

    def encode(self, bgr: BgrImage, faces: Faces) -> Encodings:
        middles = ((faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2).astype(int)
        return (bgr[middles[:, 1], middles[:, 0], ::-1] / 255).astype(np.float32)

    def encode_many(self, images: Sequence[BgrImage], faces: Sequence[Faces]) -> list[Encodings]:
        return [self.encode(bgr, some) for bgr, some in zip(images, faces, strict=True)]


def painted_engine(model: str = MODEL) -> FaceEngine:
    """An engine for pictures made by `paint`."""
    return FaceEngine(PaintedDetector(), PaintedEncoder(model))
