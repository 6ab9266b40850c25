"""Pairs the faces of a frame with the tracks that they continue."""

from __future__ import annotations

import lap
import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]

SAME_PLACE = 0.3
"""Overlap (intersection over union) from which a face may continue a track by its place alone."""
SAME_FACE = 0.75
"""Share of the encoder's threshold up to which a face may continue a track by its looks alone: 0.45 for dlib,
where two pictures of one person on one clip are 0.1 to 0.4 apart and two people 0.5 at least."""
REACH = 3.0
"""A face continues a track by its looks only within so many face widths of it."""


def overlaps(first: Boxes, second: Boxes) -> NDArray[np.float32]:
    """float32[n, m]: intersection over union of every box with every other."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    union = _areas(first)[:, None] + _areas(second)[None, :] - shared
    return np.asarray(shared / np.maximum(union, 1e-6), np.float32)


def is_ambiguous(overlap: NDArray[np.float32]) -> NDArray[np.bool_]:
    """bool[m]: faces whose place does not say which track they continue. overlap: float32[tracks, m]."""
    if not len(overlap):
        return np.zeros(overlap.shape[1], np.bool_)
    partners = overlap >= SAME_PLACE
    # A face is clear if it has one partner that has no other; what nobody claims may be somebody who moved.
    lone_track = partners.sum(axis=1) == 1
    clear = (partners.sum(axis=0) == 1) & (partners & lone_track[:, None]).any(axis=0)
    touching = (overlap >= SAME_PLACE / 3).sum(axis=0) > 1
    return np.asarray(~clear | touching)


def pair(
    tracks: Boxes, faces: Boxes, looks: NDArray[np.float32], overlap: NDArray[np.float32]
) -> list[tuple[int, int]]:
    """The best pairs (track, face), each in one pair at most.

    looks: float32[tracks, faces], distance of the encodings in thresholds, NaN where it is not known.
    """
    if not overlap.size:
        return []
    known = ~np.isnan(looks)
    looks = np.where(known, looks, SAME_FACE)
    by_place = (overlap >= SAME_PLACE) & (~known | (looks <= 2 * SAME_FACE))
    by_looks = known & (looks <= SAME_FACE) & (_gaps(tracks, faces) <= REACH)
    allowed = by_place | by_looks
    gain = np.where(allowed, 1 + overlap.astype(np.float64) + SAME_FACE - looks, 0.0)
    # Of each track its face, or -1.
    _, chosen, _ = lap.lapjv(-gain, extend_cost=True)
    return [(track, int(face)) for track, face in enumerate(chosen) if face >= 0 and allowed[track, face]]


def _areas(boxes: Boxes) -> NDArray[np.float32]:
    return np.asarray(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1), np.float32)


def _gaps(first: Boxes, second: Boxes) -> NDArray[np.float32]:
    """float32[n, m]: distance between centres in widths of the larger face."""
    centres = [(boxes[:, :2] + boxes[:, 2:]) / 2 for boxes in (first, second)]
    apart = np.linalg.norm(centres[0][:, None] - centres[1][None], axis=2)
    widths = np.maximum((first[:, 2] - first[:, 0])[:, None], (second[:, 2] - second[:, 0])[None])
    return np.asarray(apart / np.maximum(widths, 1.0), np.float32)
