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

SAMPLE_SQUARES = {
    "barack-obama": (53, 0, 520),
    "barack-obama-2": (0, 0, 576),
    "eileen-collins": (109, 0, 230),
    "joe-biden": (59, 4, 517),
}
"""Left, top and side of the part of each sample that has its face in the middle, as LFW's pictures have."""
BORDER_SHARE = 0.22
"""Of a portrait's height, at its top and bottom, where LFW's centred faces do not reach."""
TILE_PX = 120


def portraits(folder: Path | None = None, limit: int = 200) -> list[BgrImage]:
    """Squares with one face in the middle: LFW's beside the repository, else from the shipped samples."""
    folder = folder or (LFW_IMAGES if LFW_IMAGES.is_dir() else SAMPLES)
    paths = sorted(folder.rglob("*.jpg"))
    step = max(1, len(paths) // limit)
    return [_portrait(path) for path in paths[::step][:limit]]


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


def _portrait(path: Path) -> BgrImage:
    picture = np.asarray(cv2.imread(str(path)), np.uint8)
    height, width = picture.shape[:2]
    left, top, side = SAMPLE_SQUARES.get(path.stem, (0, 0, min(height, width)))
    return np.ascontiguousarray(picture[top : top + side, left : left + side])


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
