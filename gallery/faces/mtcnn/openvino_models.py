"""MTCNN's three nets as OpenVINO's graphs; pixels are float32[n, h, w, 3], BGR from 0 to 255."""

from __future__ import annotations

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as ops

from gallery.faces.mtcnn import folding
from gallery.faces.mtcnn.geometry import ONET_PX, RNET_PX
from gallery.faces.mtcnn.weights import Weights

ANY = -1
"""A side that each call chooses."""
PARTS = ("weight", "bias")

Floats = NDArray[np.float32]


def pnet() -> ov.Model:
    """[n, h, w, 3] -> [n, 5, rows, columns]: logit, four offsets."""
    tensors = folding.load("pnet")
    pixels, hidden = _input(ANY, ANY)
    hidden = _pooled(_activated(hidden, tensors, "1"), 2)
    hidden = _activated(_activated(hidden, tensors, "2"), tensors, "3")
    outputs = _convolved(hidden, *_joined(tensors, ["conv4_1", "conv4_2"]))
    return ov.Model([outputs], [pixels], "pnet")


def rnet() -> ov.Model:
    """[n, 24, 24, 3] -> [n, 5]: logit, four offsets."""
    tensors = folding.load("rnet")
    pixels, hidden = _input(RNET_PX, RNET_PX)
    hidden = _pooled(_activated(hidden, tensors, "1"), 3)
    hidden = _pooled(_activated(hidden, tensors, "2"), 3)
    hidden = _flat(_activated(hidden, tensors, "3"))
    outputs = _dense(hidden, tensors, "4", ["dense5_1", "dense5_2"])
    return ov.Model([outputs], [pixels], "rnet")


def onet() -> ov.Model:
    """[n, 48, 48, 3] -> [n, 15]: logit, four offsets, five x, five y."""
    tensors = folding.load("onet")
    pixels, hidden = _input(ONET_PX, ONET_PX)
    hidden = _pooled(_activated(hidden, tensors, "1"), 3)
    hidden = _pooled(_activated(hidden, tensors, "2"), 3)
    hidden = _pooled(_activated(hidden, tensors, "3"), 2)
    hidden = _flat(_activated(hidden, tensors, "4"))
    outputs = _dense(hidden, tensors, "5", ["dense6_1", "dense6_2", "dense6_3"])
    return ov.Model([outputs], [pixels], "onet")


def _input(height: int, width: int) -> tuple[ov.op.Parameter, ov.Node]:
    pixels = ops.parameter([ANY, height, width, 3], dtype=np.float32)
    return pixels, ops.transpose(pixels, ops.constant([0, 3, 1, 2]))


def _activated(hidden: ov.Node, tensors: Weights, layer: str) -> ov.Node:
    """Convolution and PReLU."""
    convolved = _convolved(hidden, tensors[f"conv{layer}.weight"], tensors[f"conv{layer}.bias"])
    return ops.prelu(convolved, ops.constant(tensors[f"prelu{layer}.weight"]))


def _convolved(hidden: ov.Node, weight: Floats, bias: Floats) -> ov.Node:
    convolved = ops.convolution(hidden, ops.constant(weight), [1, 1], [0, 0], [0, 0], [1, 1])
    return ops.add(convolved, ops.constant(bias.reshape(1, -1, 1, 1)))


def _pooled(hidden: ov.Node, size: int) -> ov.Output:
    pooled = ops.max_pool(hidden, [2, 2], [1, 1], [0, 0], [0, 0], [size, size], rounding_type="ceil")
    return pooled.output(0)


def _flat(hidden: ov.Node) -> ov.Node:
    """The nets were trained on (width, height, channels)."""
    return ops.reshape(
        ops.transpose(hidden, ops.constant([0, 3, 2, 1])), ops.constant([0, -1]), special_zero=True
    )


def _dense(hidden: ov.Node, tensors: Weights, layer: str, outputs: list[str]) -> ov.Node:
    """A dense layer, its PReLU, and all outputs as one."""
    hidden = _multiplied(hidden, tensors[f"dense{layer}.weight"], tensors[f"dense{layer}.bias"])
    hidden = ops.prelu(hidden, ops.constant(tensors[f"prelu{layer}.weight"]))
    return _multiplied(hidden, *_joined(tensors, outputs))


def _joined(tensors: Weights, layers: list[str]) -> tuple[Floats, Floats]:
    """Weights and bias of several layers as one."""
    weight, bias = (np.concatenate([tensors[f"{layer}.{part}"] for layer in layers]) for part in PARTS)
    return weight, bias


def _multiplied(hidden: ov.Node, weight: Floats, bias: Floats) -> ov.Node:
    product = ops.matmul(hidden, ops.constant(weight), transpose_a=False, transpose_b=True)
    return ops.add(product, ops.constant(bias.reshape(1, -1)))
