"""Whether two detectors found the same faces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gallery.faces.types import Faces

SAME = 0.95
"""Intersection over union from which two boxes count as one."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of one picture, or of many."""

    expected: int
    """Faces that the reference found."""
    missing: int
    """Of those, not found by ours."""
    added: int
    """Found by ours alone."""
    farthest_px: float
    """The largest difference of any side of a box or any coordinate of a landmark."""

    def __add__(self, other: Agreement) -> Agreement:
        return Agreement(
            self.expected + other.expected,
            self.missing + other.missing,
            self.added + other.added,
            max(self.farthest_px, other.farthest_px),
        )

    @property
    def complete(self) -> bool:
        return not self.missing and not self.added


NOTHING = Agreement(0, 0, 0, 0.0)


def agreement(expected: Faces, found: Faces) -> Agreement:
    """Each expected face is looked for among those found."""
    overlaps = overlap(expected.boxes, found.boxes)
    pairs = np.argwhere(overlaps >= SAME)
    farthest = [
        max(
            np.abs(expected.boxes[i] - found.boxes[j]).max(),
            np.abs(expected.landmarks[i] - found.landmarks[j]).max(),
        )
        for i, j in pairs
    ]
    matched = len(np.unique(pairs[:, 0])), len(np.unique(pairs[:, 1]))
    return Agreement(
        len(expected),
        len(expected) - matched[0],
        len(found) - matched[1],
        float(max(farthest, default=0.0)),
    )


def overlap(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of boxes [n, 4] and [m, 4]: float32[n, m]."""
    first = np.maximum(ours[:, None, :2], theirs[None, :, :2])
    last = np.minimum(ours[:, None, 2:], theirs[None, :, 2:])
    shared = np.clip(last - first, 0, None).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (ours, theirs)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.asarray(shared / np.maximum(union, 1e-9), np.float32)
