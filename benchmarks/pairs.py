"""Photographs of LFW's kind: pairs to verify, and the one face of each that is meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from gallery.faces.detector import MtcnnDetector
from gallery.faces.types import BgrImage, Faces

LFW_VIEW_1 = Path(__file__).parent.parent.parent / "shared" / "data" / "lfw-view1"
BATCH = 16


@dataclass(frozen=True, slots=True)
class Pair:
    """Two photographs and whether they show one person."""

    first: Path
    second: Path
    same: bool


def read_pairs(folder: Path) -> list[Pair]:
    """pairs.txt in LFW's format, photographs in images/."""
    lines = (folder / "pairs.txt").read_text().splitlines()[1:]
    return [_pair(folder / "images", line.split("\t")) for line in lines if line]


def _pair(images: Path, words: Sequence[str]) -> Pair:
    def photograph(person: str, number: str) -> Path:
        return images / person / f"{person}_{int(number):04d}.jpg"

    if len(words) == 3:
        return Pair(photograph(words[0], words[1]), photograph(words[0], words[2]), same=True)
    return Pair(photograph(words[0], words[1]), photograph(words[2], words[3]), same=False)


def photographs(folder: Path) -> list[Path]:
    """All photographs below a folder, in the order of their names."""
    return sorted(file for file in folder.rglob("*") if file.suffix in (".jpg", ".png"))


def main_faces(files: Sequence[Path], device: str) -> Iterator[tuple[BgrImage, Faces]]:
    """Each photograph with its one face, or with none where nothing was found."""
    detector = MtcnnDetector(device=device)
    for start in range(0, len(files), BATCH):
        images = [np.asarray(cv2.imread(str(file)), np.uint8) for file in files[start : start + BATCH]]
        for bgr, faces in zip(images, detector.detect(images), strict=True):
            yield bgr, main_face(bgr, faces)


def main_face(bgr: BgrImage, faces: Faces) -> Faces:
    """The largest and most central face, as facenet-pytorch weighs them."""
    if not len(faces):
        return faces
    middle = np.array([bgr.shape[1], bgr.shape[0]]) / 2
    offsets = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2 - middle
    areas = np.prod(faces.boxes[:, 2:] - faces.boxes[:, :2], axis=1)
    return faces.take([int(np.argmax(areas - 2 * (offsets**2).sum(axis=1)))])
