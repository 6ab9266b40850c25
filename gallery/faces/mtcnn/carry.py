"""ONet alone, on squares where faces were a moment ago: a millisecond for each face that is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from gallery.faces.mtcnn import boxes as box
from gallery.faces.mtcnn.geometry import ONET_PX
from gallery.faces.types import BgrImage, Faces

CHUNK = 32
"""Crops that ONet takes at a time."""
DOUBTFUL = 0.6
"""A face with a lower score is looked at once more, …"""
NEARER = 0.85
"""… in a square of this size. From frame to frame a box may grow until its face is too small for ONet, most
of all a turned head's; docs/decisions/0072 has the figures."""


Numbers = NDArray[np.float32]


class OutputNet(Protocol):
    """The last of the three nets."""

    def decide(self, crops: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """float32[n, 48, 48, 3] -> scores[n], offsets[n, 4], landmarks[n, 5, 2] in parts of the box."""


def carry(net: OutputNet, images: Sequence[BgrImage], boxes: Sequence[NDArray[np.float32]]) -> list[Faces]:
    """One Faces an image: row i is what ONet makes of boxes[i], with its score, however low."""
    owners = np.repeat(np.arange(len(images)), [len(some) for some in boxes])
    if not len(owners):
        return [Faces.none() for _ in images]
    # Squares of just that size: enlarged by 1.1, 1.2 and 1.3, ONet loses 1.4, 3 and 8 times as many faces.
    squares = np.concatenate([box.squared(some) for some in boxes])
    found = _look(net, images, owners, squares)
    doubtful = np.flatnonzero(found.scores < DOUBTFUL)
    if len(doubtful):
        again = _look(net, images, owners[doubtful], _shrunk(squares[doubtful], NEARER))
        found = _better(found, doubtful, again)
    return [found.take(owners == image) for image in range(len(images))]


def _look(
    net: OutputNet, images: Sequence[BgrImage], owners: NDArray[np.intp], squares: NDArray[np.float32]
) -> Faces:
    """One face a square, on the image that owns it."""
    crops = [_crop(images[owner], square) for owner, square in zip(owners, squares, strict=True)]
    scores, offsets, shares = _decide(net, np.stack(crops))
    landmarks = shares * box.sizes(squares, added_px=1)[:, None] + squares[:, None, :2] - 1
    return Faces(box.moved(squares, offsets), scores, landmarks.astype(np.float32))


def _better(found: Faces, rows: NDArray[np.intp], again: Faces) -> Faces:
    """With the second look at these rows wherever that is surer."""
    chosen = np.arange(len(found))
    surer = again.scores > found.scores[rows]
    chosen[rows[surer]] = len(found) + np.flatnonzero(surer)
    return Faces(
        np.concatenate([found.boxes, again.boxes]),
        np.concatenate([found.scores, again.scores]),
        np.concatenate([found.landmarks, again.landmarks]),
    ).take(chosen)


def _shrunk(squares: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """Around the same centres."""
    edge = box.sizes(squares, added_px=0) * np.float32((1 - share) / 2)
    return np.concatenate([squares[:, :2] + edge, squares[:, 2:] - edge], axis=1)


def _decide(
    net: OutputNet, crops: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    parts = [net.decide(crops[first : first + CHUNK]) for first in range(0, len(crops), CHUNK)]
    scores, offsets, shares = (np.concatenate(outputs) for outputs in zip(*parts, strict=True))
    return scores, offsets, shares


def _crop(image: BgrImage, square: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32[48, 48, 3]: the square; what lies outside the image is black, as MTCNN was trained."""
    height, width = image.shape[:2]
    left, top, right, bottom = np.round(square).astype(int)
    inside = image[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
    padding = [(max(0, -top), max(0, bottom - height)), (max(0, -left), max(0, right - width)), (0, 0)]
    if not inside.size:
        return np.zeros((ONET_PX, ONET_PX, 3), np.float32)
    whole = np.pad(inside, padding) if any(max(sides) for sides in padding) else inside
    return cv2.resize(whole, (ONET_PX, ONET_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
