"""What a manifest tells of each crop and of each image that gave none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gallery.errors import ImageReason

CropReason = Literal["face", "fallback", "no_face", "exists", ImageReason]
"""face, fallback: there is a crop. Else why there is none; docs/pictures.md says what helps."""

Box = tuple[float, float, float, float]
"""left, top, right, bottom in pixels of the upright image."""

PixelBox = tuple[int, int, int, int]
"""The same in whole pixels; right and bottom are the first that are outside."""


@dataclass(frozen=True, slots=True)
class Face:
    """A face as the detector found it."""

    box: Box
    """Without margin."""
    score: float
    """The detector's confidence, 0 to 1."""
    landmarks: tuple[tuple[float, float], ...]
    """x, y: left eye, right eye, nose, left and right mouth corner, left as seen."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the manifest."""

    source: str
    """The image, as a path below the tree, with slashes."""
    crop: str | None
    """The crop, as a path below the crops' folder; None: there is none."""
    reason: CropReason
    """Why there is this crop, or none."""
    face: Face | None = None
    """None: no face was found, or it was not looked for."""
    pixels: PixelBox | None = None
    """What of the image is on the crop, before it is scaled; None: no crop."""
