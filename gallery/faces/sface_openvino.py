"""SFace as a graph of OpenVINO, for hosts with a CPU alone: with all digits, or in whole numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset13 as ops

from gallery.faces.sface_file import Layer, SfaceNet

SIZE_PX = 112

REACH = 8.0
"""Whole numbers cover -8 to 8. The file's normalisation leaves every channel with a standard deviation of 1
and a mean near 0, so what lies beyond is rare; of 6, 8, 10 and 12 it moved the encodings least."""
LARGEST_WEIGHT = 63
"""Seven bits: a processor without VNNI adds two products of 8 by 8 bits in 16, and would run over."""

Node = Any
"""OpenVINO's own types are not exported."""


def graph(net: SfaceNet, whole_numbers: bool = False) -> openvino.Model:
    """From uint8[n, 112, 112, 3], red, green, blue, to float32[n, 128] of length 1.

    whole_numbers: all convolutions but the first, which sees the pixels, in 8 bits.
    """
    chips = ops.parameter([-1, SIZE_PX, SIZE_PX, 3], np.uint8)
    pixels = ops.transpose(ops.convert(chips, "f32"), np.array([0, 3, 1, 2]))
    pixels = ops.divide(ops.subtract(pixels, np.float32(127.5)), np.float32(128))
    for i, layer in enumerate(net.layers):
        pixels = _layer(pixels, layer, whole_numbers and i > 0)
    flat = ops.reshape(ops.transpose(pixels, np.array([0, 2, 3, 1])), np.array([0, -1]), True)
    dense = ops.matmul(flat, net.dense_weights.reshape(128, -1), False, True)
    encodings = ops.normalize_l2(ops.add(dense, net.dense_bias[None]), np.array([1]), 1e-12, "max")
    return openvino.Model([encodings], [chips], "sface")


def _layer(pixels: Node, layer: Layer, whole_numbers: bool) -> Node:
    weights: Node = layer.weights
    if whole_numbers:
        pixels, weights = _rounded(pixels), _rounded_weights(layer.weights)
    stride, padding = [layer.stride] * 2, [layer.padding] * 2
    if layer.groups == 1:
        result = ops.convolution(pixels, weights, stride, padding, padding, [1, 1])
    else:
        grouped = ops.reshape(weights, np.array([layer.groups, -1, 1, *layer.weights.shape[2:]]), False)
        result = ops.group_convolution(pixels, grouped, stride, padding, padding, [1, 1])
    return ops.prelu(ops.add(result, layer.bias.reshape(1, -1, 1, 1)), layer.slopes)


def _rounded(pixels: Node) -> Node:
    """Told as OpenVINO wants it; what it runs are convolutions of 8 bits."""
    low, high = np.float32(-REACH * 128 / 127), np.float32(REACH)
    return ops.fake_quantize(pixels, low, high, low, high, 256)


def _rounded_weights(weights: NDArray[np.float32]) -> Node:
    """Every filter with a scale of its own."""
    scales = np.abs(weights).max(axis=(1, 2, 3), keepdims=True) / LARGEST_WEIGHT
    whole = np.round(weights / np.maximum(scales, np.finfo(np.float32).tiny)).astype(np.int8)
    return ops.multiply(ops.convert(ops.constant(whole), "f32"), scales)
