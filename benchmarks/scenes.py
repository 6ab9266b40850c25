"""Scenes with a known number of faces, composed from portraits, for the benchmarks and the tests.

A scene's background is made of the pictures' own borders, where no face is, so that the first net sees the
textures of real photographs and not a flat colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from gallery.faces.types import BgrImage

REPOSITORY = Path(__file__).parent.parent
LFW_IMAGES = REPOSITORY.parent / "shared" / "data" / "lfw-view1" / "images"
SAMPLES = REPOSITORY / "samples"

SIZES = {"480p": (480, 854), "720p": (720, 1280), "1080p": (1080, 1920)}
"""Height and width of the frames that are compared."""
FACE_COUNTS = (0, 1, 5, 15)

BORDER_SHARE = 0.22
"""Of a portrait's height, at its top and bottom, where LFW's centred faces do not reach."""
TILE_PX = 120


def portraits(limit: int = 200) -> list[BgrImage]:
    """Pictures of one centred face each: LFW's beside the repository, else the shipped samples."""
    folder = LFW_IMAGES if LFW_IMAGES.is_dir() else SAMPLES
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    step = max(1, len(paths) // limit)
    return [_square(np.asarray(cv2.imread(str(path)), np.uint8)) for path in paths[::step][:limit]]


def compose(
    pictures: Sequence[BgrImage], height: int, width: int, faces: int, random: np.random.Generator
) -> BgrImage:
    """A frame with this many portraits on it, which do not overlap, at sizes as they fit."""
    scene = _background(pictures, height, width, random)
    columns = max(1, int(np.ceil(np.sqrt(faces * width / height))))
    rows = max(1, -(-faces // columns))
    cell_px = min(height // rows, width // columns)
    cells = random.permutation(rows * columns)[:faces]
    for cell in cells:
        side = int(cell_px * random.uniform(0.55, 0.95))
        picture = pictures[int(random.integers(len(pictures)))]
        top = (cell // columns) * (height // rows) + int(random.integers(cell_px - side + 1))
        left = (cell % columns) * (width // columns) + int(random.integers(cell_px - side + 1))
        scene[top : top + side, left : left + side] = cv2.resize(
            picture, (side, side), interpolation=cv2.INTER_AREA if side < len(picture) else cv2.INTER_LINEAR
        )
    return scene


def _square(picture: BgrImage) -> BgrImage:
    side = min(picture.shape[:2])
    left = (picture.shape[1] - side) // 2
    return np.ascontiguousarray(picture[:side, left : left + side])


def _background(
    pictures: Sequence[BgrImage], height: int, width: int, random: np.random.Generator
) -> BgrImage:
    scene = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, TILE_PX):
        for left in range(0, width, TILE_PX):
            picture = pictures[int(random.integers(len(pictures)))]
            border = picture[: int(len(picture) * BORDER_SHARE)]
            tile = cv2.resize(border, (TILE_PX, TILE_PX))
            part = scene[top : top + TILE_PX, left : left + TILE_PX]
            part[:] = tile[: part.shape[0], : part.shape[1]]
    return scene
