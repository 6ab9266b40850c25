"""The boxes that may be faces, on their way from net to net."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gallery.faces.mtcnn.boxes import Boxes, suppressed


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Boxes over all pictures of a batch."""

    boxes: Boxes
    """float32[n, 4], in their picture's pixels; may reach beyond it."""
    scores: NDArray[np.float32]
    """float32[n], of the last net that saw them."""
    offsets: Boxes
    """float32[n, 4]: how that net would move each side, in parts of width and height."""
    pictures: NDArray[np.int32]
    """int32[n]: the index of the picture that each is on."""

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def joined(cls, parts: Sequence[Candidates]) -> Candidates:
        parts = [part for part in parts if len(part)]
        if len(parts) == 1:
            return parts[0]
        if not parts:
            nothing = np.zeros((0, 4), np.float32)
            return cls(nothing, nothing[:, 0], nothing, np.zeros(0, np.int32))
        return cls(
            np.concatenate([part.boxes for part in parts]),
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.offsets for part in parts]),
            np.concatenate([part.pictures for part in parts]),
        )

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Candidates:
        return Candidates(self.boxes[rows], self.scores[rows], self.offsets[rows], self.pictures[rows])

    def best(self, overlap: float) -> Candidates:
        """Without those that overlap a better one of their picture, ordered."""
        if len(self) < 2:
            return self
        return self.take(suppressed(self.boxes, self.scores, self.pictures, overlap)).ordered()

    def ordered(self) -> Candidates:
        """Picture by picture, the best first.

        A sure face has many boxes with a score of exactly 1, and of two equal ones the first suppresses the
        other: so their order is part of facenet-pytorch's answer.
        """
        return self.take(np.lexsort((-self.scores, self.pictures)))

    def at(self, boxes: Boxes) -> Candidates:
        """The same with other boxes."""
        return replace(self, boxes=boxes)
