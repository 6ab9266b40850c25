"""One face over time, and what a frame shows of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from daemon.evidence import Evidence
from gallery.faces.types import Faces

Boxes = NDArray[np.float32]
"""float32[n, 4]: left, top, right, bottom in pixels of the frame."""


@dataclass(slots=True, eq=False)
class Track:
    """One face over time."""

    id: str
    """Unique for ever."""
    box: Boxes
    """float32[4]: left, top, right, bottom where it was seen last."""
    landmarks: NDArray[np.float32]
    """float32[5, 2] where it was seen last."""
    score: float
    """The detector's confidence then, 0 to 1."""
    first_s: float
    """Time of its first frame."""
    seen_s: float
    """Time of the frame where it was seen last."""
    reasons: tuple[str, ...] = ()
    """Codes of why it was not fit to decide by then."""
    quality: float = 0.0
    """How much it showed then, 0 to 1."""
    lost: bool = False
    """Not seen on the last frame; it may come back."""
    evidence: Evidence = field(default_factory=Evidence)
    """What is known of the face."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to find the faces of one frame."""

    full: bool
    """Search the whole frame, at once or as soon as that can be."""
    still: bool
    """Nothing moved since the faces were measured, and the frame is not to be searched."""
    carried: tuple[Track, ...]
    """The tracks to look for where they were, if the frame is not searched at once; none where nothing moved,
    because there they are still."""

    @property
    def boxes(self) -> Boxes:
        """float32[n, 4]: where those tracks were."""
        return boxes_of(self.carried)


@dataclass(frozen=True, slots=True)
class Seen:
    """Where the tracks of one frame are."""

    tracks: tuple[Track, ...]
    """Those that are seen on it."""
    left: tuple[Track, ...]
    """Those whose face was not found for too long."""
    cut: tuple[Track, ...] = ()
    """Those that ended because the scene did."""


def boxes_of(tracks: Sequence[Track]) -> Boxes:
    """Where they were seen last."""
    return np.stack([track.box for track in tracks]) if tracks else np.zeros((0, 4), np.float32)


def as_faces(tracks: Sequence[Track]) -> Faces:
    """Tracks where they were seen last."""
    if not tracks:
        return Faces.none()
    return Faces(
        np.stack([track.box for track in tracks]),
        np.array([track.score for track in tracks], np.float32),
        np.stack([track.landmarks for track in tracks]),
    )
