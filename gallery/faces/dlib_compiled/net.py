"""dlib's face encoder as machine code, and PyTorch in its place until it is ready."""

from __future__ import annotations

import logging
import threading
from functools import cache
from pathlib import Path

import numpy as np

from gallery.faces.aligner import Chips
from gallery.faces.chip_encoder import Batch, Net
from gallery.faces.compiling import Function, compiled, stamp
from gallery.faces.dlib_structure import Resnet
from gallery.faces.mtcnn import compiled as vector_code
from gallery.faces.mtcnn import workers
from gallery.faces.types import Encodings

logger = logging.getLogger(__name__)

CHUNK = 8
"""Faces a run at most: the last levels have 30 MB of weights, which are read once for all of them."""
LOAD_AFTER = 64
"""Faces. Loading takes a second, and compiling ten: who encodes a few shall not have to wait for it."""
LAYERS = "UniTuple(f4[::1], 29)"
SIGNATURE = f"void(u1[:,:,:,::1], {LAYERS}, {LAYERS}, f4[::1], f4[:,::1])"


class CompiledResnet:
    """More than twice as fast as with PyTorch, and lets go of the interpreter lock for a whole run."""

    def __init__(self, resnet: Resnet) -> None:
        from gallery.faces.dlib_compiled.packing import pack

        self._packed = pack(resnet)
        self._encode = _function()

    def __call__(self, chips: Batch) -> Encodings:
        """float32[n, 128] of n chips; one run a core at a time."""
        pixels = np.ascontiguousarray(chips)
        size = min(CHUNK, -(-len(pixels) // workers.count()))
        tasks = [(pixels[first : first + size],) for first in range(0, len(pixels), size)]
        return np.concatenate(workers.each(self._run, tasks))

    def _run(self, pixels: Chips) -> Encodings:
        encodings = np.empty((len(pixels), 128), np.float32)
        packed = self._packed
        self._encode(pixels, packed.weights, packed.biases, packed.projection, encodings)
        return encodings


class SoonCompiled:
    """Another net at first; the compiled one once it was loaded, beside the work."""

    def __init__(self, resnet: Resnet, until_then: Net) -> None:
        self._resnet, self._net = resnet, until_then
        self._faces = 0
        self._lock = threading.Lock()
        self.loading: threading.Thread | None = None
        """Where it is loaded beside the work."""
        self._tried = False

    def __call__(self, chips: Batch) -> Encodings:
        """float32[n, 128] of n chips; the two nets' differ by less than 1e-6."""
        encodings = self._net(chips)
        self._faces += len(chips)
        if self._faces >= LOAD_AFTER and self.loading is None and not self._tried:
            self.loading = threading.Thread(target=self.prepare, name="dlib-compiler")
            self.loading.start()
        return encodings

    def prepare(self) -> None:
        """Loads the compiled net now; from then on equal chips give equal encodings, to the last bit."""
        with self._lock:
            if self._tried:
                return
            self._tried = True
            try:
                self._net = CompiledResnet(self._resnet)
            except ImportError as error:
                logger.warning("numba is not usable, so that encoding takes twice as long: %s", error)


@cache
def _function() -> Function:
    from gallery.faces.dlib_compiled import network

    folders = Path(__file__).parent, Path(vector_code.__file__).parent
    return compiled(network.encode(stamp(*folders)), SIGNATURE)
