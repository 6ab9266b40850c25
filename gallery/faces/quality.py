"""Says how fit a face is to be recognised, and why it is not."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gallery.faces.aligner import DLIB_SIZE_PX, DLIB_TEMPLATE, cut, similarities
from gallery.faces.pose import yaw_degrees
from gallery.faces.types import BgrImage, Faces

# The limits stand where recognition begins to fail. Measured with dlib's encoder at its threshold of 0.6
# on the first 300 genuine pairs of LFW view 1, one picture of each made worse step by step: untouched, 2 % of
# the pairs are not recognised. docs/decisions/0021 has the table.

SMALLEST_PX = 24
"""Shrunk to 26 px 5 % of the pairs fail, to 21 px 11 %, to 16 px 34 %."""

LOWEST_SHARPNESS = 0.08
"""The median of pictures blurred until 8 % of the pairs fail (Gauss 2.7 px, or 10 px of motion, at 106 px);
untouched ones have 0.16 at the fifth percentile and 0.27 at the median."""

LOWEST_BRIGHTNESS = 0.10
"""Darkened to this, with a camera's noise of 3 grey levels, 5 % of the pairs fail; at 0.06 9 %, at 0.04
24 %."""

HIGHEST_YAW_DEGREES = 55.0
"""Up to 50 degrees LFW shows no loss; on the clips the heads that are seen from the side have 54 to 69, and
their distances to their own portrait are 0.58 to 0.66."""

HIGHEST_CLIPPED = 0.20
"""With a sixth of its square cut off at the top 5 % of the pairs fail, with a quarter 17 %; cut off at the
left or the bottom harm begins at 0.4."""

LOWEST_SCORE = 0.90
"""The skull printed on a pullover (asl_again) scores 0.73 to 0.89, the darkness of short_hamilton_clip up to
0.91; the lowest of 1,549 faces of LFW has 0.98."""

GOOD_PX, GOOD_SHARPNESS, GOOD_BRIGHTNESS, GOOD_YAW_DEGREES = 80, 0.20, 0.30, 20.0
"""From here on the same measurements show no further gain."""

CHIP_PX = 64
"""Sharpness and brightness are measured on an upright square of this side: the detail that encoders need."""


@dataclass(frozen=True, slots=True)
class Quality:
    """What can be told of one face before it is encoded."""

    size_px: float
    """Side of a square as large as the box."""
    sharpness: float
    """Root of the energy of second differences, in the direction that has least, over that of the greys."""
    brightness: float
    """Mean grey level, 0 to 1."""
    yaw: float
    """Degrees, about: 0 looks into the camera, positive to the right as seen."""
    score: float
    """The detector's confidence, 0 to 1."""
    clipped: float
    """Share of the square that an encoder looks at which lies outside the image, 0 to 1."""
    value: float
    """0 to 1, the weight that this face deserves: the worst of its measures decides."""
    reasons: tuple[str, ...]
    """Why it is not fit to decide: too_small, blurred, dark, profile, clipped, low_confidence. Or empty."""


def assess(bgr: BgrImage, faces: Faces) -> list[Quality]:
    """One Quality a face of this image."""
    if not len(faces):
        return []
    scale = CHIP_PX / DLIB_SIZE_PX
    chips = cut(bgr, faces.landmarks, DLIB_TEMPLATE * np.float32(scale), CHIP_PX)
    sizes_px = np.sqrt(np.prod(np.maximum(faces.boxes[:, 2:] - faces.boxes[:, :2], 0), axis=1))
    outside = _outside(faces.landmarks, bgr.shape[1], bgr.shape[0])
    return [
        _judge(float(size_px), *_light(chip), yaw_degrees(points), float(score), float(clipped))
        for size_px, chip, points, score, clipped in zip(
            sizes_px, chips, faces.landmarks.astype(np.float64), faces.scores, outside, strict=True
        )
    ]


def _judge(
    size_px: float, sharpness: float, brightness: float, yaw: float, score: float, clipped: float
) -> Quality:
    verdicts = {
        "too_small": size_px < SMALLEST_PX,
        "blurred": sharpness < LOWEST_SHARPNESS,
        "dark": brightness < LOWEST_BRIGHTNESS,
        "profile": abs(yaw) > HIGHEST_YAW_DEGREES,
        "clipped": clipped > HIGHEST_CLIPPED,
        "low_confidence": score < LOWEST_SCORE,
    }
    value = min(
        size_px / GOOD_PX,
        sharpness / GOOD_SHARPNESS,
        brightness / GOOD_BRIGHTNESS,
        (90 - abs(yaw)) / (90 - GOOD_YAW_DEGREES),
        1 - clipped,
        score,
    )
    reasons = tuple(reason for reason, holds in verdicts.items() if holds)
    return Quality(size_px, sharpness, brightness, yaw, score, clipped, min(max(value, 0.0), 1.0), reasons)


def _light(chip: NDArray[np.uint8]) -> tuple[float, float]:
    """Sharpness and brightness of an upright face."""
    edge = CHIP_PX // 8
    grey = cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY)[edge:-edge, edge:-edge].astype(np.float32)
    # A face without any contrast would be infinitely sharp; 5 grey levels are noise.
    contrast = max(float(grey.var()), 25.0)
    middle = 2 * grey[1:-1, 1:-1]
    # Motion takes the detail of one direction and leaves the others: the poorest counts. Upright faces have
    # more detail up and down (eyes, mouth) than across, and a diagonal step is longer.
    energies = (
        _power(grey[1:-1, :-2] + grey[1:-1, 2:] - middle),
        _power(grey[:-2, 1:-1] + grey[2:, 1:-1] - middle) / 1.6,
        _power(grey[:-2, :-2] + grey[2:, 2:] - middle) / 4,
        _power(grey[:-2, 2:] + grey[2:, :-2] - middle) / 4,
    )
    return float(np.sqrt(min(energies) / contrast)), float(grey.mean()) / 255


def _power(values: NDArray[np.float32]) -> float:
    flat = values.ravel()
    return float(flat @ flat) / flat.size


def _outside(landmarks: NDArray[np.float32], width: int, height: int) -> NDArray[np.float64]:
    """float64[n]: share of each face's square that lies outside the image, on a grid of 8 by 8 points."""
    steps = (np.arange(8) + 0.5) * DLIB_SIZE_PX / 8
    grid = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    matrices = similarities(landmarks, DLIB_TEMPLATE)
    places = (grid - matrices[:, None, :, 2]) @ np.linalg.inv(matrices[:, :, :2]).transpose(0, 2, 1)
    inside = (places >= -0.5).all(axis=2) & (places <= np.array([width, height]) - 0.5).all(axis=2)
    return np.asarray(1.0 - inside.mean(axis=1), np.float64)
