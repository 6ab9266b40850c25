"""Finds out at the start whether colours reach the detector in the right order: red as red, not as blue.

The picture is samples/eileen-collins.jpg (NASA, in the public domain), cropped to the face and with stronger
colours: MTCNN finds a face in it with a confidence of 1, and none when red and blue are exchanged.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gallery.faces.types import BgrImage, Detector

PICTURE = Path(__file__).parent / "colour_test.png"
FACE_PX = 40
"""How wide the face in it is, a little less."""


class ColoursExchanged(Exception):
    """Red is taken for blue between the camera and the detector: no decision could be relied on."""


def check_colours(detector: Detector, min_face_px: int) -> bool:
    """Whether it could be told that colours are right; raises ColoursExchanged if they are not.

    It can't be told where the face is not found either way, as with very strict thresholds.
    """
    bgr = _picture(min_face_px)
    right, exchanged = detector.detect([bgr, bgr[:, :, ::-1].copy()])
    if len(exchanged) and not len(right):
        raise ColoursExchanged("the test picture's face is found only with red and blue exchanged")
    return bool(len(right) and not len(exchanged))


def _picture(min_face_px: int) -> BgrImage:
    """Decoded as the pictures of cameras are, and large enough for this detector."""
    import cv2
    import numpy as np

    bgr = cv2.imread(str(PICTURE), cv2.IMREAD_COLOR)
    assert bgr is not None, f"{PICTURE} is missing: the installation is not whole"
    times = max(1.0, min_face_px / FACE_PX)
    return np.asarray(cv2.resize(bgr, None, fx=times, fy=times, interpolation=cv2.INTER_LINEAR), np.uint8)
