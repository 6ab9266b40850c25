"""Nets of a library until the compiled ones are ready."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gallery.faces.mtcnn import compiler
from gallery.faces.mtcnn.cascade import Nets, Numbers
from gallery.faces.mtcnn.integral import IntegralImage
from gallery.faces.mtcnn.pyramid import Strip


class SoonCompiled:
    """The compiled nets once they are ready; with `first_only`, of them PNet alone."""

    def __init__(self, until_then: Nets, first_only: bool = False) -> None:
        self._until_then = until_then
        self._first_only = first_only

    def propose(
        self, integral: IntegralImage, strip: Strip, threshold: float
    ) -> tuple[NDArray[np.int64], Numbers, Numbers]:
        return self._nets(first=True).propose(integral, strip, threshold)

    def refine(self, crops: Tensor) -> tuple[Numbers, Numbers]:
        return self._nets().refine(crops)

    def decide(self, crops: Tensor) -> tuple[Numbers, Numbers, Numbers]:
        return self._nets().decide(crops)

    def _nets(self, first: bool = False) -> Nets:
        compiled = compiler.ready()
        return compiled if compiled and (first or not self._first_only) else self._until_then
