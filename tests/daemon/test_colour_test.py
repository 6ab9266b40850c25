"""The self-test of colours sees what it is there to see, with the real nets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from daemon.colour_test import ColoursExchanged, check_colours
from gallery.faces.detector import MtcnnDetector
from gallery.faces.types import BgrImage, Detector, Faces


class Exchanging:
    """A detector that was given red for blue."""

    def __init__(self, inner: Detector) -> None:
        self._inner = inner

    def detect(self, images: Sequence[BgrImage]) -> list[Faces]:
        return self._inner.detect([np.ascontiguousarray(image[:, :, ::-1]) for image in images])

    def refine(self, images: Sequence[BgrImage], boxes: Sequence[NDArray[np.float32]]) -> list[Faces]:
        raise NotImplementedError


@pytest.mark.parametrize("min_face_px", [20, 40, 120])
def test_right_colours_pass_and_exchanged_ones_do_not(min_face_px: int) -> None:
    detector = MtcnnDetector("cpu", min_face_px, (0.6, 0.7, 0.7), "torch")
    assert check_colours(detector, min_face_px)
    with pytest.raises(ColoursExchanged, match="red and blue exchanged"):
        check_colours(Exchanging(detector), min_face_px)


def test_a_detector_that_finds_nothing_tells_nothing() -> None:
    assert not check_colours(MtcnnDetector("cpu", 40, (1.0, 1.0, 1.0), "torch"), 40)
