"""The three nets as compiled functions, with their weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gallery.faces.compiling import stamp
from gallery.faces.mtcnn.compiled import areas, levels, packing
from gallery.faces.mtcnn.compiled import crops as crop_nets
from gallery.faces.mtcnn.compiled.layers import ROWS
from gallery.faces.mtcnn.compiled.vectors import padded
from gallery.faces.mtcnn.geometry import ONET_PX, RNET_PX
from gallery.faces.mtcnn.torch_nets import logit, sigmoid

if TYPE_CHECKING:
    from gallery.faces.mtcnn.integral import IntegralImage
    from gallery.faces.mtcnn.pyramid import Strip

Numbers = NDArray[np.float32]

Function = Callable[..., Any]

FLOATS, INDICES = "f4[::1]", "i8[::1]"
WINDOWS = f"Tuple(({INDICES}, {INDICES}, {FLOATS}))"
CROPS = f"void(i4[::1], i8, i8[:,::1], {FLOATS})"
PNET = f"i8(i4[::1], {WINDOWS}, {WINDOWS}, UniTuple({FLOATS}, 14), f4, {INDICES}, f4[:,::1])"
RNET = f"void(f4[:,:,:,::1], UniTuple({FLOATS}, 15), {FLOATS})"
ONET = f"void(f4[:,:,:,::1], UniTuple({FLOATS}, 18), {FLOATS})"


class CompiledNets:
    """The nets on a CPU, two to three times as fast as with PyTorch or OpenVINO."""

    def __init__(self, compiled: Callable[[Function, str], Function]) -> None:
        """`compiled` has numba compile a function for a signature."""
        made_of = stamp(Path(__file__).parent)
        self._average = {side: compiled(areas.crops(made_of, side), CROPS) for side in (RNET_PX, ONET_PX)}
        self._propose = compiled(levels.pnet(made_of), PNET)
        self._refine = compiled(crop_nets.rnet(made_of), RNET)
        self._decide = compiled(crop_nets.onet(made_of), ONET)
        self._pnet, self._rnet, self._onet = packing.pnet(), packing.rnet(), packing.onet()

    def crops(self, sums: NDArray[np.int32], width: int, boxes: NDArray[np.int64], side: int) -> Numbers:
        """As IntegralImage.crops: float32[n, side, 3 * side]."""
        averages = np.empty(len(boxes) * side * 3 * side, np.float32)
        self._average[side](sums, width, np.ascontiguousarray(boxes), averages)
        return averages.reshape(len(boxes), side, 3 * side)

    def propose(
        self, integral: IntegralImage, strip: Strip, threshold: float
    ) -> tuple[NDArray[np.int64], Numbers, Numbers]:
        count = strip.cells_down * strip.cells_across
        cells, found = np.empty(count, np.int64), np.empty((count, 5), np.float32)
        least = np.float32(logit(threshold))
        passed = self._propose(integral.flat(), *strip.windows, self._pnet, least, cells, found)
        found = found[:passed].copy()
        return cells[:passed].copy(), sigmoid(found[:, 0]), found[:, 1:]

    def refine(self, crops: Tensor) -> tuple[Numbers, Numbers]:
        outputs = self._judged(self._refine, self._rnet, crops, 5)
        return sigmoid(outputs[:, 0]), outputs[:, 1:]

    def decide(self, crops: Tensor) -> tuple[Numbers, Numbers, Numbers]:
        outputs = self._judged(self._decide, self._onet, crops, 15)
        landmarks = outputs[:, 5:].reshape(-1, 2, 5).transpose(0, 2, 1)
        return sigmoid(outputs[:, 0]), outputs[:, 1:5], landmarks

    def _judged(
        self, net: Callable[..., None], weights: packing.Packed, crops: Tensor, outputs: int
    ) -> Numbers:
        pixels = np.ascontiguousarray(crops.permute(0, 2, 3, 1).numpy())
        results = np.empty((len(pixels) + ROWS) * padded(outputs), np.float32)
        net(pixels, weights, results)
        return results.reshape(-1, padded(outputs))[: len(pixels), :outputs].copy()
