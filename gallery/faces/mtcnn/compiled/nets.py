"""The three nets as compiled functions, with their weights."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gallery.faces.machine_code.loading import Function, Source, Words, load, ready
from gallery.faces.machine_code.processor import ROWS, padded
from gallery.faces.mtcnn.compiled import packing
from gallery.faces.mtcnn.folding import logit, sigmoid
from gallery.faces.mtcnn.geometry import ONET_PX, RNET_PX

if TYPE_CHECKING:
    from gallery.faces.mtcnn.integral import IntegralImage
    from gallery.faces.mtcnn.pyramid import Strip

Numbers = NDArray[np.float32]

SOURCE = Source(
    "mtcnn",
    "gallery.faces.mtcnn.compiled.functions",
    ("small_crops", "large_crops", "pnet", "rnet", "onet"),
    (Path(__file__).parent,),
)
STRIPS_KEPT = 1024
"""Whose arguments are kept ready; there are some 40 a size of frames."""


class CompiledNets:
    """The nets on a CPU, two to three times as fast as with PyTorch or OpenVINO."""

    def __init__(self) -> None:
        """Raises NoMachineCode."""
        functions = _functions()
        self._average = {RNET_PX: functions["small_crops"], ONET_PX: functions["large_crops"]}
        self._propose, self._refine, self._decide = (functions[name] for name in ("pnet", "rnet", "onet"))
        self._pnet, self._rnet, self._onet = (
            ready(pack()) for pack in (packing.pnet, packing.rnet, packing.onet)
        )

    def crops(self, integral: IntegralImage, boxes: NDArray[np.int64], side: int) -> Numbers:
        """As IntegralImage.crops."""
        averages = np.empty(len(boxes) * side * side * 3, np.float32)
        self._average[side](integral.flat, integral.width, np.ascontiguousarray(boxes), averages)
        return averages.reshape(len(boxes), side, side, 3)

    def propose(
        self, integral: IntegralImage, strip: Strip, threshold: float
    ) -> tuple[NDArray[np.int64], Numbers, Numbers]:
        count = strip.cells_down * strip.cells_across
        cells, found = np.empty(count, np.int64), np.empty((count, 5), np.float32)
        least = np.array([logit(threshold)], np.float32)
        passed = self._propose(integral.flat, _windows(strip), self._pnet, least, cells, found)
        found = found[:passed].copy()
        return cells[:passed].copy(), sigmoid(found[:, 0]), found[:, 1:]

    def refine(self, crops: Numbers) -> tuple[Numbers, Numbers]:
        outputs = _judged(self._refine, self._rnet, crops, 5)
        return sigmoid(outputs[:, 0]), outputs[:, 1:]

    def decide(self, crops: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        outputs = _judged(self._decide, self._onet, crops, 15)
        landmarks = outputs[:, 5:].reshape(-1, 2, 5).transpose(0, 2, 1)
        return sigmoid(outputs[:, 0]), outputs[:, 1:5], landmarks


def _judged(net: Function, weights: Words, crops: Numbers, outputs: int) -> Numbers:
    pixels = np.ascontiguousarray(crops, np.float32).reshape(-1)
    results = np.empty((len(crops) + ROWS) * padded(outputs), np.float32)
    net(pixels, len(crops), weights, results)
    return results.reshape(-1, padded(outputs))[: len(crops), :outputs].copy()


@cache
def _functions() -> dict[str, Function]:
    return load(SOURCE)


@lru_cache(STRIPS_KEPT)
def _windows(strip: Strip) -> Words:
    return ready(*strip.windows)
