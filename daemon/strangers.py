"""Remembers who was seen and is nobody of the gallery, in memory alone and not for ever."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_STRANGERS = 1_000
"""Whoever was seen longest ago is forgotten first: a camera over a street sees more than anybody needs."""


@dataclass(slots=True, eq=False)
class Stranger:
    """Somebody who is not enrolled."""

    id: str
    """Unique for ever, and of no meaning."""
    encoding: NDArray[np.float32]
    """float32[d], of the last visit."""
    seen_s: float
    """Time of the frame where they were seen last."""


class Strangers:
    """All of them, over all cameras."""

    def __init__(self, threshold: float, forget_after_s: float) -> None:
        """threshold: Euclidean distance up to which two visits are one stranger's."""
        self._threshold = threshold
        self._forget_after_s = forget_after_s
        self._known: list[Stranger] = []

    def adjust(self, threshold: float, forget_after_s: float) -> None:
        """Goes on with these."""
        self._threshold, self._forget_after_s = threshold, forget_after_s

    def recall(self, encoding: NDArray[np.float32], time_s: float, present: set[str]) -> Stranger:
        """The stranger of this encoding, a new one if nobody is like it. present: who is in view already."""
        self._forget(time_s)
        absent = [stranger for stranger in self._known if stranger.id not in present]
        if absent:
            known = np.stack([stranger.encoding for stranger in absent])
            distances = np.linalg.norm(known - encoding, axis=1)
            nearest = int(np.argmin(distances))
            if distances[nearest] <= self._threshold:
                return self.note(absent[nearest], encoding, time_s)
        stranger = Stranger(str(uuid.uuid4()), encoding, time_s)
        self._known.append(stranger)
        return stranger

    def note(self, stranger: Stranger, encoding: NDArray[np.float32], time_s: float) -> Stranger:
        """The stranger is seen again, or still."""
        stranger.encoding, stranger.seen_s = encoding, time_s
        return stranger

    def drop(self, stranger: Stranger) -> None:
        """They turned out to be somebody of the gallery."""
        self._known = [known for known in self._known if known is not stranger]

    def _forget(self, time_s: float) -> None:
        limit_s = time_s - self._forget_after_s
        kept = [stranger for stranger in self._known if stranger.seen_s >= limit_s]
        self._known = sorted(kept, key=lambda stranger: stranger.seen_s)[-MOST_STRANGERS + 1 :]
