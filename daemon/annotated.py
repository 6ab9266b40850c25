"""Pictures with who is on them drawn in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from daemon.drawing import Label, annotate

if TYPE_CHECKING:
    from gallery.identification import IdentifiedFace


def with_faces(
    bgr: NDArray[np.uint8], faces: Sequence[IdentifiedFace]
) -> tuple[NDArray[np.uint8], list[str]]:
    """A copy with boxes, landmarks, names, distances and reasons, and notices of names no font can draw."""
    return annotate(bgr, [_label(face) for face in faces])


def _label(face: IdentifiedFace) -> Label:
    distance = () if face.distance is None else (f"{face.distance:.3f} of {face.threshold:.2f}",)
    return Label(
        box=face.box,
        landmarks=face.landmarks,
        name=None if face.person is None else face.person.name,
        notes=(*distance, *face.reasons),
    )
