"""What is multiplied into MTCNN's weights, exactly but for the last bits of float32.

- Inputs are BGR from 0 to 255; RGB and (x - 127.5) / 128 are folded into the first convolution.
- The two outputs of each softmax become their difference: softmax(a, b)[1] = sigmoid(b - a).
"""

from __future__ import annotations

from math import inf, log
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from gallery.faces.mtcnn import weights
from gallery.faces.mtcnn.weights import NetName, Weights

Floats = NDArray[np.float32]
Floating = TypeVar("Floating", np.float32, np.float64)

FACE: dict[NetName, str] = {"pnet": "conv4_1", "rnet": "dense5_1", "onet": "dense6_1"}
"""Each net's layer of two outputs, no face and face."""

PIXEL_MEAN = 127.5
PIXEL_RANGE = 128.0


def load(net: NetName) -> Weights:
    """A net's tensors with both folded in; the layer of two outputs has one."""
    tensors = weights.load(net)
    first = on_pixels(tensors["conv1.weight"], tensors["conv1.bias"])
    tensors["conv1.weight"], tensors["conv1.bias"] = first
    for part in ("weight", "bias"):
        tensors[f"{FACE[net]}.{part}"] = difference(tensors[f"{FACE[net]}.{part}"])
    return tensors


def on_pixels(weight: Floats, bias: Floats) -> tuple[Floats, Floats]:
    """The first convolution for BGR pixels from 0 to 255 instead of RGB from -1 to 1."""
    scaled = weight[:, ::-1].astype(np.float64) / PIXEL_RANGE
    shifted = bias - PIXEL_MEAN * scaled.sum(axis=(1, 2, 3))
    return np.ascontiguousarray(scaled, np.float32), shifted.astype(np.float32)


def difference(values: NDArray[Floating]) -> NDArray[Floating]:
    """Of a softmax over (no face, face), what its second output's sigmoid needs."""
    return np.asarray(values[1:] - values[:1])


def sigmoid(logits: NDArray[np.floating]) -> Floats:
    return np.asarray(1 / (1 + np.exp(-logits)), np.float32)


def logit(score: float) -> float:
    """What the sigmoid turns into this score."""
    if score <= 0:
        return -inf
    return log(score / (1 - score)) if score < 1 else inf
