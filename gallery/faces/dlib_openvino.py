"""dlib's face encoder as a graph of OpenVINO, for hosts with a CPU alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino
from openvino import opset13 as ops

from gallery.faces.aligner import DLIB_SIZE_PX
from gallery.faces.dlib_structure import Block, Filters, Resnet

Node = Any
"""OpenVINO's own types are not exported."""


def graph(resnet: Resnet) -> openvino.Model:
    """From uint8[n, 150, 150, 3], red, green, blue, to float32[n, 128]."""
    chips = ops.parameter([-1, DLIB_SIZE_PX, DLIB_SIZE_PX, 3], np.uint8)
    pixels = ops.transpose(ops.convert(chips, "f32"), np.array([0, 3, 1, 2]))
    pixels = ops.relu(_convolution(pixels, resnet.stem))
    pixels = ops.max_pool(pixels, [2, 2], [1, 1], [0, 0], [0, 0], [3, 3], "floor").output(0)
    for block in resnet.blocks:
        pixels = _block(pixels, block)
    means = ops.reduce_mean(pixels, np.array([2, 3]), keep_dims=False)
    return openvino.Model([ops.matmul(means, resnet.projection, False, False)], [chips], "dlib")


def _convolution(pixels: Node, filters: Filters) -> Node:
    padding = [filters.padding] * 2
    result = ops.convolution(pixels, filters.weights, [filters.stride] * 2, padding, padding, [1, 1])
    return ops.add(result, filters.bias.reshape(1, -1, 1, 1))


def _block(pixels: Node, block: Block) -> Node:
    result = _convolution(ops.relu(_convolution(pixels, block.first)), block.second)
    if not block.halves:
        return ops.relu(ops.add(result, pixels))
    shortcut = ops.avg_pool(pixels, [2, 2], [0, 0], [0, 0], [2, 2], True, "floor")
    _, channels, height, _ = _shape(result)
    _, fewer, higher, _ = _shape(shortcut)
    missing = higher - height
    result = ops.pad(result, [0, 0, 0, 0], [0, 0, missing, missing], "constant", np.float32(0))
    shortcut = ops.pad(shortcut, [0, 0, 0, 0], [0, channels - fewer, 0, 0], "constant", np.float32(0))
    return ops.relu(ops.add(result, shortcut))


def _shape(node: Node) -> list[int]:
    shape = node.get_output_partial_shape(0)
    return [-1] + [side.get_length() for side in list(shape)[1:]]
