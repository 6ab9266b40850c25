"""The compiled PNet before the other two nets of a library."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gallery.faces.mtcnn.cascade import Nets, Numbers
from gallery.faces.mtcnn.integral import IntegralImage
from gallery.faces.mtcnn.pyramid import Strip


class FirstCompiled:
    """PNet and the crops by compiled functions, RNet and ONet by others."""

    def __init__(self, first: Nets, others: Nets) -> None:
        self._first = first
        self._others = others

    def propose(
        self, integral: IntegralImage, strip: Strip, threshold: float
    ) -> tuple[NDArray[np.int64], Numbers, Numbers]:
        return self._first.propose(integral, strip, threshold)

    def crops(self, integral: IntegralImage, boxes: NDArray[np.int64], side: int) -> Numbers:
        return self._first.crops(integral, boxes, side)

    def refine(self, crops: Numbers) -> tuple[Numbers, Numbers]:
        return self._others.refine(crops)

    def decide(self, crops: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        return self._others.decide(crops)
