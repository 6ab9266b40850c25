"""Tells from a small grey copy of the picture what moved, where, and whether the scene was cut."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

STEP_PX = 4
"""Every fourth pixel of every fourth row is looked at …"""
CELL_PX = 16
"""… and averaged over cells of this side: noise of 8 grey levels in a pixel is 2 in a cell of 16 looks."""
CHANGED_LEVELS = 10
"""A cell changed if its grey differs by more."""
MOVED_CELLS = 3
"""Fewer cells than this are flicker: a face of 40 px covers six."""
STILL_LEVELS = 6
"""Nothing moves while no two cells differ by more from where the faces were measured."""
NOISES = 5.0
"""Both limits are at least so many times the noise between one frame and the next, which none of 8,100 cells
of a picture of 1080p reaches by itself, …"""
MOST_LEVELS = 20.0
"""… and no higher than this: where everything moves, that is no noise."""
CUT_SHARE = 0.35
"""More of the picture than this changed from one frame to the next: another scene, or the light went on …"""
CUT_CORRELATION = 0.6
"""… but light keeps the pattern. The cuts of short_hamilton_clip change 0.53 to 0.56 of it and correlate by
0.03 to 0.25; within its scenes and the other clips it is 0.26 at most, and 0.83 at least."""


@dataclass(frozen=True, slots=True)
class Motion:
    """What changed."""

    still: bool
    """Nothing moved since the faces were measured."""
    elsewhere: bool
    """Something outside the given boxes since the last full look."""
    cut: bool
    """The scene is another than on the frame before."""


class MotionWatch:
    """Compares the frames of one camera."""

    def __init__(self) -> None:
        self._now: NDArray[np.float32] | None = None
        self._measured: NDArray[np.float32] | None = None
        self._looked_at: NDArray[np.float32] | None = None

    def see(self, bgr: NDArray[np.uint8], known_boxes: NDArray[np.float32]) -> Motion:
        """known_boxes: float32[n, 4], the faces whose surroundings may move without being news."""
        before, now = self._now, small_grey(bgr)
        self._now = now
        if before is None or before.shape != now.shape:
            return Motion(still=False, elsewhere=True, cut=before is not None)
        changed = _changed(now, before, CHANGED_LEVELS)
        cut = bool(changed.mean() > CUT_SHARE) and _correlation(now, before) < CUT_CORRELATION
        noise = min(MOST_LEVELS, NOISES * _noise(now, before))
        news = _changed(now, self._looked_at, max(CHANGED_LEVELS, noise)) & ~_bodies(known_boxes, now.shape)
        moved = _changed(now, self._measured, max(STILL_LEVELS, noise))
        return Motion(
            still=int(np.count_nonzero(moved)) < 2,
            elsewhere=cut or int(np.count_nonzero(news)) >= MOVED_CELLS,
            cut=cut,
        )

    def measured(self) -> None:
        """The faces of the frame seen last were measured: until it changes they are where they were."""
        self._measured = self._now

    def looked(self) -> None:
        """The frame seen last was searched for faces in full: what differs from it is news."""
        self._looked_at = self._measured = self._now


def _changed(now: NDArray[np.float32], then: NDArray[np.float32] | None, levels: float) -> NDArray[np.bool_]:
    """bool[rows, columns]; all of it where there is nothing to compare with."""
    if then is None or then.shape != now.shape:
        return np.ones(now.shape, np.bool_)
    return np.asarray(np.abs(now - then) > levels)


def small_grey(bgr: NDArray[np.uint8]) -> NDArray[np.float32]:
    """float32[height // 16, width // 16] at least 1x1: the mean green of each cell."""
    height, width = bgr.shape[:2]
    looks = np.ascontiguousarray(bgr[::STEP_PX, ::STEP_PX, 1])
    size = (max(1, width // CELL_PX), max(1, height // CELL_PX))
    return np.asarray(cv2.resize(looks, size, interpolation=cv2.INTER_AREA), np.float32)


def _noise(now: NDArray[np.float32], before: NDArray[np.float32]) -> float:
    """Grey levels: the standard deviation of most cells' differences, whatever moves in the others.

    What is the same in all of them is light, and no noise.
    """
    differences = now - before
    # Of a normal distribution half lies within 0.6745 deviations.
    return float(np.median(np.abs(differences - np.median(differences)))) / 0.6745


def _bodies(boxes: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The cells of the given faces and of the people below them, who move with them."""
    mask = np.zeros(shape, np.bool_)
    for left, top, right, bottom in boxes:
        width, height = right - left, bottom - top
        first = np.floor(np.array([left - width, top - height]) / CELL_PX).astype(int)
        last = np.ceil(np.array([right + width, bottom + 4 * height]) / CELL_PX).astype(int)
        mask[max(0, first[1]) : max(0, last[1]), max(0, first[0]) : max(0, last[0])] = True
    return mask


def _correlation(now: NDArray[np.float32], before: NDArray[np.float32]) -> float:
    """Pearson's; 1 for two even pictures, which differ in brightness alone."""
    a, b = now - now.mean(), before - before.mean()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / scale if scale > 0 else 1.0
