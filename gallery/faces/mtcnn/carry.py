"""ONet alone, on squares where faces were a moment ago: a millisecond for each face that is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gallery.faces.mtcnn import boxes as box
from gallery.faces.mtcnn.geometry import ONET_PX
from gallery.faces.types import BgrImage, Faces

CHUNK = 32
"""Crops that ONet takes at a time."""


Numbers = NDArray[np.float32]


class OutputNet(Protocol):
    """The last of the three nets."""

    def decide(self, crops: Tensor) -> tuple[Numbers, Numbers, Numbers]:
        """float32[n, 3, 48, 48] -> scores[n], offsets[n, 4], landmarks[n, 5, 2] in parts of the box."""


def carry(net: OutputNet, images: Sequence[BgrImage], boxes: Sequence[NDArray[np.float32]]) -> list[Faces]:
    """One Faces an image: row i is what ONet makes of boxes[i], with its score, however low."""
    # Squares of just that size: enlarged by 1.1, 1.2 and 1.3, ONet loses 1.4, 3 and 8 times as many faces.
    squares = [box.squared(some) for some in boxes]
    counts = [len(some) for some in squares]
    crops = [_crop(image, square) for image, some in zip(images, squares, strict=True) for square in some]
    if not crops:
        return [Faces.none() for _ in images]
    seen = np.concatenate(squares)
    scores, offsets, shares = _decide(net, np.stack(crops))
    landmarks = shares * box.sizes(seen, added_px=1)[:, None] + seen[:, None, :2] - 1
    found = Faces(box.moved(seen, offsets), scores, landmarks.astype(np.float32))
    ends = np.cumsum(counts)
    return [found.take(np.arange(end - count, end)) for end, count in zip(ends, counts, strict=True)]


def _decide(
    net: OutputNet, crops: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    with torch.inference_mode():
        tensor = torch.from_numpy(crops).permute(0, 3, 1, 2)
        parts = [net.decide(some) for some in torch.split(tensor, CHUNK)]
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
