"""Cuts the faces of one image, or its middle, as the options ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from gallery.faces.aligner import DLIB_SIZE_PX, DLIB_TEMPLATE
from gallery.faces.aligner import cut as cut_chips
from gallery.faces.types import BgrImage, Faces
from gallery.preparing.geometry import centred, chosen, with_margin
from gallery.preparing.options import CropOptions, Size
from gallery.preparing.rows import Face, PixelBox

PIXEL_DECIMALS = 2
SCORE_DECIMALS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A crop that is not written yet."""

    reason: Literal["face", "fallback"]
    """What it shows."""
    face: Face | None
    """None: the middle of an image without a face."""
    pixels: PixelBox
    """What of the image is on it; of an aligned face, where its box is."""
    bgr: BgrImage
    """The crop itself, scaled as it was asked for."""


def cut_faces(bgr: BgrImage, faces: Faces, options: CropOptions) -> list[Cut]:
    """A crop for each face that is wanted, the largest first."""
    return [_cut_face(bgr, faces, row, options) for row in chosen(faces, options.faces)]


def cut_middle(bgr: BgrImage, size_px: tuple[float, float], options: CropOptions) -> Cut:
    """The middle of an image, in this width and height as far as it has them."""
    height, width = bgr.shape[:2]
    pixels = centred(size_px, width, height)
    size = _chip_size(options.size) if options.align else options.size
    return Cut("fallback", None, pixels, _part(bgr, pixels, size))


def _cut_face(bgr: BgrImage, faces: Faces, row: int, options: CropOptions) -> Cut:
    height, width = bgr.shape[:2]
    left, top, right, bottom = (round(float(edge), PIXEL_DECIMALS) for edge in faces.boxes[row])
    landmarks = tuple(
        (round(float(x), PIXEL_DECIMALS), round(float(y), PIXEL_DECIMALS)) for x, y in faces.landmarks[row]
    )
    box = (left, top, right, bottom)
    face = Face(box, round(float(faces.scores[row]), SCORE_DECIMALS), landmarks)
    # From the box as the manifest tells it, so that anybody can cut the same again.
    pixels = with_margin(box, options.margin, width, height)
    if options.align:
        return Cut("face", face, pixels, _upright(bgr, faces, row, options.size))
    return Cut("face", face, pixels, _part(bgr, pixels, options.size))


def _part(bgr: BgrImage, pixels: PixelBox, size: Size | None) -> BgrImage:
    """What the rectangle encloses, scaled to the size if there is one; the ratio of its sides may change."""
    left, top, right, bottom = pixels
    part = bgr[top:bottom, left:right]
    if size is None:
        return part
    smaller = size.width_px * size.height_px < part.shape[0] * part.shape[1]
    method = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(part, (size.width_px, size.height_px), interpolation=method), np.uint8)


def _upright(bgr: BgrImage, faces: Faces, row: int, size: Size | None) -> BgrImage:
    """Eyes, nose and mouth where dlib's encoder expects them; what lies outside the image is black."""
    side = _chip_size(size).width_px
    template = DLIB_TEMPLATE * np.float32(side / DLIB_SIZE_PX)
    (rgb,) = cut_chips(bgr, faces.landmarks[[row]], template, side)
    return np.asarray(rgb[:, :, ::-1], np.uint8)


def _chip_size(size: Size | None) -> Size:
    return size or Size(DLIB_SIZE_PX, DLIB_SIZE_PX)
