"""dlib itself, for its landmarks and as the reference of our own encoder; the one file that imports it."""

from __future__ import annotations

import cv2
import dlib
import numpy as np

from gallery.faces.aligner import DLIB_SIZE_PX, Chips
from gallery.faces.chip_encoder import Batch
from gallery.faces.models import DLIB_FIVE_POINTS, DLIB_RESNET
from gallery.faces.types import BgrImage, Encodings, Faces

PADDING = 0.25
"""What dlib's compute_face_descriptor leaves around a face."""


class PredictorAligner:
    """Cuts chips as face_recognition does: dlib's five landmarks inside the box, then its own cropping."""

    def __init__(self) -> None:
        self._predictor = dlib.shape_predictor(str(DLIB_FIVE_POINTS.checked()))

    def cut(self, bgr: BgrImage, faces: Faces) -> Chips:
        """One chip a face; what lies outside the image is black."""
        chips = np.empty((len(faces), DLIB_SIZE_PX, DLIB_SIZE_PX, 3), np.uint8)
        if not len(faces):
            return chips
        rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        for chip, box in zip(chips, faces.boxes, strict=True):
            left, top, right, bottom = (round(float(side)) for side in box)
            shape = self._predictor(rgb, dlib.rectangle(left, top, right, bottom))
            chip[:] = dlib.get_face_chip(rgb, shape, size=DLIB_SIZE_PX, padding=PADDING)
        return chips


class DlibNet:
    """dlib's own run of its encoder; holds the interpreter lock while it computes."""

    def __init__(self) -> None:
        self._net = dlib.face_recognition_model_v1(str(DLIB_RESNET.checked()))

    def __call__(self, chips: Batch) -> Encodings:
        """float32[n, 128] of n chips."""
        return np.array(self._net.compute_face_descriptor(list(np.asarray(chips))), np.float32)
