"""dlib's face encoder as machine code."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from gallery.faces.aligner import Chips
from gallery.faces.chip_encoder import Batch
from gallery.faces.dlib_compiled.packing import pack
from gallery.faces.dlib_structure import Resnet
from gallery.faces.machine_code.loading import Function, Source, load, ready
from gallery.faces.mtcnn import compiled as vector_code
from gallery.faces.mtcnn import workers
from gallery.faces.types import Encodings

CHUNK = 8
"""Faces a run at most: the last levels have 30 MB of weights, which are read once for all of them."""

SOURCE = Source(
    "dlib",
    "gallery.faces.dlib_compiled.functions",
    ("encode",),
    (Path(__file__).parent, Path(vector_code.__file__).parent),
)


class CompiledResnet:
    """More than twice as fast as with PyTorch, and lets go of the interpreter lock for a whole run."""

    def __init__(self, resnet: Resnet) -> None:
        """Raises NoMachineCode."""
        self._encode = _function()
        packed = pack(resnet)
        self._packed = ready(packed.weights, packed.biases, packed.projection)

    def __call__(self, chips: Batch) -> Encodings:
        """float32[n, 128] of n chips; one run a core at a time."""
        pixels = np.ascontiguousarray(chips)
        size = min(CHUNK, -(-len(pixels) // workers.count()))
        tasks = [(pixels[first : first + size],) for first in range(0, len(pixels), size)]
        return np.concatenate(workers.each(self._run, tasks))

    def _run(self, pixels: Chips) -> Encodings:
        encodings = np.empty((len(pixels), 128), np.float32)
        self._encode(pixels.reshape(-1), len(pixels), self._packed, encodings)
        return encodings


@cache
def _function() -> Function:
    return load(SOURCE)["encode"]
