"""Runs a net of OpenVINO on chips, on the CPU; lets go of the interpreter lock meanwhile."""

from __future__ import annotations

import numpy as np
import openvino

from gallery.faces.chip_encoder import Batch
from gallery.faces.types import Encodings


class OpenvinoRunner:
    """A graph of uint8[n, size, size, 3] to float32[n, d], compiled for this CPU."""

    def __init__(self, graph: openvino.Model, threads: int, precision: str = "f32", chunk: int = 8) -> None:
        """precision: f32 or bf16, of what the graph does not compute in whole numbers. chunk: chips a run."""
        if precision == "bf16" and not has_bfloat16():
            raise ValueError('encoder.engine "openvino-bf16" needs a CPU with bfloat16: use "openvino"')
        settings = {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
        }
        self._net = openvino.Core().compile_model(graph, "CPU", settings)
        self._chunk = chunk

    def __call__(self, chips: Batch) -> Encodings:
        """float32[n, d] of n chips, n at least 1."""
        chips = np.asarray(chips)
        starts = range(0, len(chips), self._chunk)
        # The result is the net's own memory, which the next run overwrites.
        parts = [np.array(self._net(chips[start : start + self._chunk])[0], np.float32) for start in starts]
        return np.concatenate(parts)


def has_bfloat16() -> bool:
    """Whether this CPU computes in bfloat16 by itself."""
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
