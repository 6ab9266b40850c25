"""Arithmetic on boxes between the nets, as facenet-pytorch does it, in float32 numpy.

A box is (left, top, right, bottom). Some of these formulas add 1 to a width and others don't: that is how the
nets were trained.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from gallery.faces.mtcnn.geometry import CELL_PX, STRIDE_PX

Boxes = NDArray[np.float32]
"""float32[n, 4]"""


def squared(boxes: Boxes) -> Boxes:
    """The square around each box's centre that has its longer side."""
    size = sizes(boxes, added_px=0)
    side = size.max(axis=1, keepdims=True)
    first = boxes[:, :2] + size * np.float32(0.5) - side * np.float32(0.5)
    return np.concatenate([first, first + side], axis=1)


def sizes(boxes: Boxes, added_px: int) -> Boxes:
    """Each box's width and height, float32[n, 2]."""
    return boxes[:, 2:] - boxes[:, :2] + np.float32(added_px)


def moved(boxes: Boxes, offsets: Boxes, added_px: int = 1) -> Boxes:
    """Each side moved by its offset, a share of the box's own width or height."""
    return boxes + offsets * np.tile(sizes(boxes, added_px), 2)


def of_cells(rows: NDArray[np.int64], columns: NDArray[np.int64], scale: float) -> Boxes:
    """What PNet's cells see of the picture at this level's scale."""
    first = (STRIDE_PX * np.stack([columns, rows], axis=1) + 1).astype(np.float32)
    return np.floor(np.concatenate([first, first + (CELL_PX - 1)], axis=1) / np.float32(scale))


def pixels(boxes: Boxes, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """What of each box lies on its picture of int64[n, 2] height and width: int64[n, 4], the ends exclusive.

    Where a box lies outside, right <= left or bottom <= top.
    """
    whole = np.trunc(boxes).astype(np.int64)
    first = np.maximum(whole[:, :2], 1) - 1
    return np.concatenate([first, np.minimum(whole[:, 2:], sizes[:, ::-1])], axis=1)


def suppressed(
    boxes: Boxes, scores: NDArray[np.float32], owners: NDArray[np.int32], overlap: float
) -> NDArray[np.intp]:
    """The rows that stay, the best first: of two of one owner that overlap more, only the better."""
    if not len(boxes):
        return np.zeros(0, np.intp)
    rectangles = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    # OpenCV's stubs ask for lists; arrays are ten times faster.
    kept = cv2.dnn.NMSBoxesBatched(rectangles, scores, owners, 0.0, overlap)  # type: ignore[arg-type]
    return np.asarray(kept, np.intp)


def suppressed_by_smaller(boxes: Boxes, scores: NDArray[np.float32], overlap: float) -> list[int]:
    """Like suppressed, for one owner, but the overlap is a share of the smaller of the two boxes."""
    left, top, right, bottom = boxes.T
    areas = (right - left + 1) * (bottom - top + 1)
    order = np.argsort(scores)[::-1]
    kept = []
    while len(order):
        best, others = order[0], order[1:]
        kept.append(int(best))
        width = np.minimum(right[best], right[others]) - np.maximum(left[best], left[others]) + 1
        height = np.minimum(bottom[best], bottom[others]) - np.maximum(top[best], top[others]) + 1
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        order = others[shared / np.minimum(areas[best], areas[others]) <= overlap]
    return kept
