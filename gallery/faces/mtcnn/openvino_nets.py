"""The three nets on OpenVINO, for CPUs.

With `screened`, PNet runs in bfloat16, at five thirds of the speed, with a threshold that lets more pass, and
again in float32 on the few windows that did: the boxes are those of float32.
"""

from __future__ import annotations

import threading
from itertools import product

import numpy as np
import openvino as ov
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from gallery.faces.mtcnn import openvino_models as models
from gallery.faces.mtcnn import workers
from gallery.faces.mtcnn.folding import logit, sigmoid
from gallery.faces.mtcnn.geometry import CELL_PX, STRIDE_PX
from gallery.faces.mtcnn.integral import IntegralImage
from gallery.faces.mtcnn.pyramid import Strip

Numbers = NDArray[np.float32]

SHAPES_KEPT = 64
"""Of each net and thread; OpenVINO's own 5,000 take a gigabyte where frames come in all sizes."""
LEAST_PICTURES = 8
"""That RNet, ONet and the second look take at a time; more are twice, four times as many and so on."""
SCREEN_MARGIN = 1.0
"""How far below the threshold a bfloat16 logit may lie. Over 2.5 million windows of 40 scenes its error had a
standard deviation of 0.06 and never reached 0.6."""


class OpenVinoNets:
    """One model a net and number of threads; each Python thread has requests of its own."""

    def __init__(self, screened: bool) -> None:
        self._pnet = _Net(models.pnet(), "f32")
        self._screen = _Net(models.pnet(), "bf16") if screened else None
        self._rnet = _Net(models.rnet(), "f32")
        self._onet = _Net(models.onet(), "f32")

    def propose(
        self, integral: IntegralImage, strip: Strip, threshold: float
    ) -> tuple[NDArray[np.int64], Numbers, Numbers]:
        pixels = integral.strip(strip)
        least = logit(threshold)
        if self._screen:
            cells, found = self._screened(self._screen, pixels, least)
        else:
            outputs = self._pnet(pixels)[0].reshape(5, -1)
            cells = np.flatnonzero(outputs[0] >= least)
            found = outputs[:, cells].T
        return cells, sigmoid(found[:, 0]), found[:, 1:]

    def crops(self, integral: IntegralImage, boxes: NDArray[np.int64], side: int) -> Numbers:
        return integral.crops(boxes, side)

    def refine(self, crops: Numbers) -> tuple[Numbers, Numbers]:
        outputs = self._rnet.on_some(crops)
        return sigmoid(outputs[:, 0]), outputs[:, 1:].copy()

    def decide(self, crops: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        outputs = self._onet.on_some(crops)
        landmarks = outputs[:, 5:].reshape(-1, 2, 5).transpose(0, 2, 1)
        return sigmoid(outputs[:, 0]), outputs[:, 1:5].copy(), landmarks.copy()

    def _screened(self, screen: _Net, pixels: Numbers, least: float) -> tuple[NDArray[np.int64], Numbers]:
        """The cells that pass in float32, and their logits and offsets [k, 5]."""
        likely = screen(pixels)[0, 0] >= least - SCREEN_MARGIN
        rows, columns = np.nonzero(likely)
        found = np.empty((len(rows), 5), np.float32)
        # The last windows of a level may be cut by a row or a column of pixels.
        height, width = pixels.shape[1:3]
        lows, rights = STRIDE_PX * rows + CELL_PX > height, STRIDE_PX * columns + CELL_PX > width
        for low, right in product((False, True), repeat=2):
            chosen = np.flatnonzero((lows == low) & (rights == right))
            if len(chosen):
                windows = sliding_window_view(
                    pixels[0].reshape(height, -1), (CELL_PX - low, 3 * (CELL_PX - right))
                )
                seen = windows[STRIDE_PX * rows[chosen], 3 * STRIDE_PX * columns[chosen]]
                seen = seen.reshape(len(chosen), CELL_PX - low, CELL_PX - right, 3)
                found[chosen] = self._pnet.on_some(seen)[:, :, 0, 0]
        passed = found[:, 0] >= least
        cells: NDArray[np.int64] = (rows * likely.shape[1] + columns)[passed]
        return cells, found[passed]


def has_bfloat16() -> bool:
    """Whether this CPU computes in bfloat16 by itself."""
    return "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class _Net:
    """A model, compiled for as many threads as work side by side; each of them has its own request."""

    def __init__(self, model: ov.Model, precision: str) -> None:
        self._model = model
        self._precision = precision
        self._lock = threading.Lock()
        self._compiled: dict[int, ov.CompiledModel] = {}
        self._own = threading.local()

    def __call__(self, pixels: Numbers) -> Numbers:
        """The model's one output, which this thread's next call overwrites."""
        threads = workers.count()
        requests: dict[int, ov.InferRequest] = self._own.__dict__.setdefault("requests", {})
        if threads not in requests:
            requests[threads] = self._compile(threads).create_infer_request()
        outputs = requests[threads].infer([pixels], share_inputs=True, share_outputs=True)
        return np.asarray(outputs[0])

    def on_some(self, pixels: Numbers) -> Numbers:
        """On any number of pictures. A new shape costs milliseconds, so they are filled up to few numbers."""
        count = len(pixels)
        whole = max(LEAST_PICTURES, 1 << (count - 1).bit_length())
        padded = np.concatenate([pixels, np.zeros((whole - count, *pixels.shape[1:]), np.float32)])
        return self(padded)[:count]

    def _compile(self, threads: int) -> ov.CompiledModel:
        with self._lock:
            if threads not in self._compiled:
                settings = {
                    "INFERENCE_PRECISION_HINT": self._precision,
                    "INFERENCE_NUM_THREADS": threads,
                    "NUM_STREAMS": threads,
                    "ENABLE_CPU_PINNING": False,
                    "CPU_RUNTIME_CACHE_CAPACITY": SHAPES_KEPT,
                }
                self._compiled[threads] = ov.Core().compile_model(self._model, "CPU", settings)
            return self._compiled[threads]
