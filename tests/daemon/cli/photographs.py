"""Makes a tree of photographs: four people, each plain and masked; a crowd; a wall; what is broken."""

from __future__ import annotations

import csv
import functools
import shutil
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gallery.faces.detector import MtcnnDetector
from tests.conftest import REPOSITORY

SAMPLES = sorted((REPOSITORY / "samples").glob("*.jpg"))


def read(path: Path) -> NDArray[np.uint8]:
    """Blue, green, red."""
    found = cv2.imread(str(path))
    assert found is not None, path
    return np.asarray(found, np.uint8)


@functools.cache
def detector() -> MtcnnDetector:
    """The one that crops, too."""
    return MtcnnDetector("cpu", 40)


def masked(bgr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The face covered from the brows to below the chin."""
    (faces,) = detector().detect([bgr])
    left, _, right, bottom = faces.boxes[0]
    width, height = right - left, bottom - faces.boxes[0, 1]
    brows = faces.landmarks[0, :2, 1].mean() - 0.15 * height
    corners = (int(left - 0.1 * width), int(brows)), (int(right + 0.1 * width), int(bottom + 0.15 * height))
    return np.asarray(cv2.rectangle(bgr.copy(), *corners, (200, 180, 120), -1), np.uint8)


def make_tree(folder: Path) -> Path:
    """13 files: 5 with a face (one with four), 5 without, 3 that are no images or half of one."""
    for photo in SAMPLES:
        person = folder / photo.stem
        person.mkdir(parents=True)
        shutil.copy(photo, person / "plain.jpg")
        cv2.imwrite(str(person / "mask.jpg"), masked(read(photo)))
    crowd = [cv2.resize(read(photo), (288, 360)) for photo in SAMPLES]
    cv2.imwrite(str(folder / "crowd.png"), np.concatenate(crowd, axis=1))
    cv2.imwrite(str(folder / "wall.jpg"), np.full((300, 400, 3), 180, np.uint8))
    (folder / "empty.jpg").touch()
    data = SAMPLES[0].read_bytes()
    (folder / "half.jpg").write_bytes(data[: len(data) // 2])
    (folder / "notes.txt").write_text("who is who")
    return folder


def manifest(crops: Path) -> list[dict[str, str]]:
    """Its rows."""
    with (crops / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
