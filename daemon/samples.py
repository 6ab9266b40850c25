"""Keeps the few samples of a face that show most of it: good ones that differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ALIKE = 0.4
"""In thresholds of naming: nearer to one another, two samples show the same. What an audit takes for one
picture twice is 0.20 of dlib's 0.52 and 0.38 of SFace's 1.05 (gallery/audit_limits.py)."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One face of one frame."""

    encoding: NDArray[np.float32]
    """float32[d]."""
    quality: float
    """0 to 1."""
    what: str = ""
    """What it shows, in a word for people; '': nothing special."""
    crop: bytes | None = None
    """A picture of it, as gallery.face_crop cuts one; None: none is kept."""


def with_sample(kept: Sequence[Sample], new: Sample, most: int, alike: float) -> tuple[Sample, ...]:
    """Those kept and the new one, at most `most` of them; of two up to `alike` apart only the better one.

    Of too many one goes that is nearest to another: the poorer of the two.
    """
    near = [each for each in kept if _apart(each, new) <= alike]
    if any(each.quality >= new.quality for each in near):
        return tuple(kept)
    found = [*(each for each in kept if each not in near), new]
    while len(found) > most:
        pairs = [(_apart(one, two), i, j) for i, one in enumerate(found) for j, two in enumerate(found[:i])]
        _, i, j = min(pairs)
        found.pop(i if found[i].quality <= found[j].quality else j)
    return tuple(found)


def _apart(one: Sample, two: Sample) -> float:
    return float(np.linalg.norm(one.encoding - two.encoding))
