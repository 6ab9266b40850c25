"""Reads OpenCV's SFace network from its ONNX file, whole numbers or float32, into plain arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import, unused-ignore]
from numpy.typing import NDArray
from onnx import numpy_helper

from gallery.faces.models import ModelUnusable

Node = Any
"""onnx.NodeProto, which has no types."""

Constants = dict[str, NDArray[Any]]
"""What the file holds or what can be computed from it alone, by name."""


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A convolution with its batch normalisation multiplied in, and the PReLU behind it."""

    weights: NDArray[np.float32]
    """float32[out, in / groups, height, width]."""
    bias: NDArray[np.float32]
    """float32[out]."""
    slopes: NDArray[np.float32]
    """float32[out]: what negative values are multiplied by."""
    stride: int
    padding: int
    groups: int


@dataclass(frozen=True, slots=True, eq=False)
class SfaceNet:
    """From pixels 0 to 255, red, green, blue, to the encoding before it is brought to length 1."""

    layers: tuple[Layer, ...]
    """Follow each other; the first takes (pixel - 127.5) / 128."""
    dense_weights: NDArray[np.float32]
    """float32[128, 7, 7, 1024], over height, width and channels of the last layer."""
    dense_bias: NDArray[np.float32]
    """float32[128]."""


def read(content: bytes) -> SfaceNet:
    """The network in the file; ModelUnusable where it is another one."""
    try:
        graph = onnx.load_model_from_string(content).graph
        constants: Constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
        nodes = iter(list(_computing(graph.node, constants)))
        return _net(nodes, constants)
    except (DecodeError, KeyError, IndexError, StopIteration, ValueError) as error:
        raise ModelUnusable(f"not OpenCV's SFace network: {error!r}") from None


def _computing(nodes: list[Node], constants: Constants) -> Iterator[Node]:
    """The nodes that see the picture; whatever depends on the file alone is computed on the way."""
    for node in nodes:
        if node.op_type == "DequantizeLinear":
            constants[node.output[0]] = _dequantised(node, constants)
        elif node.op_type == "Reshape" and node.input[0] in constants:
            constants[node.output[0]] = constants[node.input[0]].reshape(constants[node.input[1]])
        elif node.op_type not in ("Constant", "Dropout", "Flatten"):
            yield node


def _dequantised(node: Node, constants: Constants) -> NDArray[np.float32]:
    whole, scale, zero = (constants[name] for name in node.input)
    settings = _settings(node)
    axis, block = settings["axis"], settings["block_size"]
    places = np.arange(whole.shape[axis]) // block
    spread = zero.take(places, axis).astype(np.float32), scale.take(places, axis)
    return np.asarray((whole.astype(np.float32) - spread[0]) * spread[1], np.float32)


def _net(nodes: Iterator[Node], constants: Constants) -> SfaceNet:
    _expect_constant(next(nodes), "Sub", constants, 127.5)
    _expect_constant(next(nodes), "Mul", constants, 1 / 128)
    layers: list[Layer] = []
    node = next(nodes)
    while node.op_type == "Conv":
        layers.append(_layer(node, next(nodes), next(nodes), constants))
        node = next(nodes)
    # Normalisation, dense layer, normalisation: one dense layer.
    scale, shift = _normalisation(node, constants)
    dense = _expect(next(nodes), "Gemm")
    rows = constants[dense.input[1]].astype(np.float64).reshape(128, len(scale), -1)
    bias = constants[dense.input[2]] + (rows.sum(axis=2) * shift).sum(axis=1)
    last_scale, last_shift = _normalisation(next(nodes), constants)
    rows = rows * scale[None, :, None] * last_scale[:, None, None]
    if next(nodes, None) is not None:
        raise ValueError("more layers than it should have")
    side = round(rows.shape[2] ** 0.5)
    by_pixel = rows.reshape(128, -1, side, side).transpose(0, 2, 3, 1)
    return SfaceNet(
        tuple(layers), by_pixel.astype(np.float32), (bias * last_scale + last_shift).astype(np.float32)
    )


def _layer(convolution: Node, normalisation: Node, activation: Node, constants: Constants) -> Layer:
    settings = _settings(convolution)
    scale, shift = _normalisation(normalisation, constants)
    weights = constants[convolution.input[1]].astype(np.float64) * scale[:, None, None, None]
    slopes = constants[_expect(activation, "PRelu").input[1]].reshape(-1)
    return Layer(
        weights.astype(np.float32),
        shift.astype(np.float32),
        slopes.astype(np.float32),
        stride=settings["strides"][0],
        padding=settings["pads"][0],
        groups=settings["group"],
    )


def _normalisation(node: Node, constants: Constants) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What a batch normalisation multiplies by and then adds."""
    _expect(node, "BatchNormalization")
    gamma, beta, mean, variance = (constants[name].astype(np.float64) for name in node.input[1:])
    scale = gamma / np.sqrt(variance + _settings(node)["epsilon"])
    return scale, beta - mean * scale


def _expect(node: Node, kind: str) -> Node:
    if node.op_type != kind:
        raise ValueError(f"a {node.op_type} where a {kind} should be")
    return node


def _expect_constant(node: Node, kind: str, constants: Constants, value: float) -> None:
    if float(constants[_expect(node, kind).input[1]].reshape(-1)[0]) != value:
        raise ValueError("another scale of the pixels")


def _settings(node: Node) -> dict[str, Any]:
    return {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
