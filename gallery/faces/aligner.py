"""Cuts faces out of an image, upright and scaled, with their landmarks where an encoder expects them."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from gallery.faces.types import BgrImage

Chips = NDArray[np.uint8]
"""uint8[n, size, size, 3], red, green, blue: one upright face each."""

Template = NDArray[np.float32]
"""float32[5, 2]: where the landmarks belong in a chip."""

DLIB_SIZE_PX = 150
"""dlib's encoder looks at squares of this side."""

DLIB_TEMPLATE: Template = np.array(
    [[48.70, 46.78], [102.40, 46.58], [75.24, 78.46], [51.76, 105.34], [99.12, 105.30]], np.float32
)
"""float32[5, 2]: where MTCNN's landmarks lie in dlib's chip, measured on 791 faces of LFW that dlib's own
predictor aligned (benchmarks/alignment_template.py does it again)."""

HALVE_BELOW = 0.5
"""Below this scale bilinear sampling skips pixels, so the image is halved first."""

SMALLEST_SCALE = 1e-3
"""A face that fills 150,000 pixels is none."""


def cut(bgr: BgrImage, landmarks: NDArray[np.float32], template: Template, size_px: int) -> Chips:
    """One chip a row of landmarks float32[n, 5, 2]; what lies outside the image is black."""
    chips = np.empty((len(landmarks), size_px, size_px, 3), np.uint8)
    for chip, matrix in zip(chips, similarities(landmarks, template), strict=True):
        cv2.cvtColor(_warp(bgr, matrix, size_px), cv2.COLOR_BGR2RGB, dst=chip)
    return chips


def similarities(landmarks: NDArray[np.float32], template: Template) -> NDArray[np.float64]:
    """float64[n, 2, 3]: turn, scale and shift of each face that bring its landmarks nearest to the template.

    Umeyama (1991), equations 40 to 42, in the closed form that two dimensions allow: there the best turn and
    scale without a reflection are one complex number, the regression of the template on the landmarks.
    """
    points = landmarks.astype(np.float64)
    centres = points.mean(axis=1, keepdims=True)
    sources = points - centres
    goal = template.astype(np.float64).mean(axis=0)
    targets = template.astype(np.float64) - goal
    spread = np.maximum((sources**2).sum(axis=(1, 2)), 1e-6)
    cosine = (sources * targets).sum(axis=(1, 2)) / spread
    sine = (sources[:, :, 0] * targets[:, 1] - sources[:, :, 1] * targets[:, 0]).sum(axis=1) / spread
    # Landmarks that all lie on one point have neither turn nor scale: they are cut out as they are.
    cosine = np.where(np.hypot(cosine, sine) < SMALLEST_SCALE, 1.0, cosine)
    matrices = np.empty((len(points), 2, 3))
    matrices[:, 0, 0] = matrices[:, 1, 1] = cosine
    matrices[:, 0, 1], matrices[:, 1, 0] = -sine, sine
    matrices[:, :, 2] = goal - (matrices[:, :, :2] @ centres.transpose(0, 2, 1))[:, :, 0]
    return matrices


def halvings(matrix: NDArray[np.float64]) -> int:
    """How often to halve the image before this transform samples it."""
    scale = math.hypot(matrix[0, 0], matrix[1, 0])
    return max(0, math.ceil(math.log2(HALVE_BELOW / scale)))


def _warp(bgr: BgrImage, matrix: NDArray[np.float64], size_px: int) -> BgrImage:
    times = halvings(matrix)
    if times == 0:
        return _sample(bgr, matrix, size_px)
    step = 2**times
    left, top, right, bottom = _reach(matrix, size_px, step, bgr.shape)
    if left >= right or top >= bottom:
        return np.zeros((size_px, size_px, 3), np.uint8)
    area = bgr[top:bottom, left:right]
    small = cv2.resize(area, (area.shape[1] // step, area.shape[0] // step), interpolation=cv2.INTER_AREA)
    # A pixel centre x of the image lies at (x - left + 0.5) / step - 0.5 of the small one; inverted here.
    shrunk = matrix.copy()
    shrunk[:, 2] += matrix[:, :2] @ (np.array([left, top]) + (step - 1) / 2)
    shrunk[:, :2] *= step
    return _sample(np.asarray(small, np.uint8), shrunk, size_px)


def _sample(bgr: BgrImage, matrix: NDArray[np.float64], size_px: int) -> BgrImage:
    chip = cv2.warpAffine(
        bgr, matrix, (size_px, size_px), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )
    return np.asarray(chip, np.uint8)


def _reach(
    matrix: NDArray[np.float64], size_px: int, step: int, shape: tuple[int, ...]
) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what a chip needs of an image, on a grid of step pixels and inside it."""
    corners = np.array([[0, 0], [size_px, 0], [0, size_px], [size_px, size_px]], np.float64) - 0.5
    places = (corners - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    limits = np.array([shape[1], shape[0]]) // step
    low = np.clip(np.floor(places.min(axis=0) / step) - 1, 0, limits).astype(int) * step
    high = np.clip(np.ceil(places.max(axis=0) / step) + 1, 0, limits).astype(int) * step
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])
