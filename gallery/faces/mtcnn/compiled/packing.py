"""The nets' weights in the order in which the compiled functions read them: flat float32 arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gallery.faces.machine_code.processor import TOGETHER, block, padded
from gallery.faces.mtcnn import folding
from gallery.faces.mtcnn.compiled import winograd
from gallery.faces.mtcnn.weights import Weights

Floats = NDArray[np.float32]
Packed = tuple[Floats, ...]


def pnet() -> Packed:
    """As levels.pnet takes them."""
    tensors = folding.load("pnet")
    logit, offsets = _outputs(tensors, "conv4_1", ["conv4_2"])
    return (
        _in_groups(tensors["conv1.weight"]),
        tensors["conv1.bias"],
        tensors["prelu1.weight"],
        *_layer(tensors, "2"),
        *_layer(tensors, "3"),
        _in_blocks(logit),
        *_filled(offsets),
        _tiled(tensors, "3", 4),
        _filled_to(logit[0].ravel()),
    )


def rnet() -> Packed:
    """As crops.rnet takes them."""
    tensors = folding.load("rnet")
    weight, bias = _outputs(tensors, "dense5_1", ["dense5_2"])
    return (
        *_layer(tensors, "1"),
        _tiled(tensors, "2", 3),
        *_rest(tensors, "2"),
        *_layer(tensors, "3"),
        *_dense(tensors, "4", side=3),
        _in_blocks(weight),
        *_filled(bias),
    )


def onet() -> Packed:
    """As crops.onet takes them."""
    tensors = folding.load("onet")
    weight, bias = _outputs(tensors, "dense6_1", ["dense6_2", "dense6_3"])
    return (
        *_layer(tensors, "1"),
        _tiled(tensors, "2", 3),
        *_rest(tensors, "2"),
        _tiled(tensors, "3", 4),
        *_rest(tensors, "3"),
        *_layer(tensors, "4"),
        *_dense(tensors, "5", side=3),
        _in_blocks(weight),
        *_filled(bias),
    )


def _in_groups(weight: Floats) -> Floats:
    """[outputs, inputs, rows, columns] -> groups of outputs; in each by row, input and column."""
    groups = weight.reshape(-1, TOGETHER, *weight.shape[1:])
    return np.ascontiguousarray(groups.transpose(0, 3, 2, 4, 1)).ravel()


def _layer(tensors: Weights, layer: str) -> Packed:
    """Weights, bias and slopes of a convolution."""
    return _in_blocks(tensors[f"conv{layer}.weight"]), *_rest(tensors, layer)


def _rest(tensors: Weights, layer: str) -> Packed:
    return tuple(_filled_to(tensors[name]) for name in (f"conv{layer}.bias", f"prelu{layer}.weight"))


def _tiled(tensors: Weights, layer: str, results: int) -> Floats:
    places = winograd.transformed(tensors[f"conv{layer}.weight"], results)
    return np.concatenate([_in_blocks(place[:, :, None, None]) for place in places])


def _dense(tensors: Weights, layer: str, side: int) -> Packed:
    """Trained on (channels, width, height), taken as (height, width, channels)."""
    weight = tensors[f"dense{layer}.weight"]
    in_order = weight.reshape(len(weight), side, side, -1).transpose(0, 2, 1, 3)
    return (
        _in_blocks(in_order.reshape(*weight.shape, 1, 1)),
        _filled_to(tensors[f"dense{layer}.bias"]),
        _filled_to(tensors[f"prelu{layer}.weight"]),
    )


def _outputs(tensors: Weights, face: str, others: list[str]) -> tuple[Floats, Floats]:
    """All of a net's outputs as one layer, the logit first: weights [outputs, inputs, 1, 1] and bias."""
    weight, bias = (
        np.concatenate([tensors[f"{name}.{part}"] for name in (face, *others)]) for part in ("weight", "bias")
    )
    return weight.reshape(*weight.shape[:2], 1, 1), bias


def _filled(bias: Floats) -> Packed:
    """A bias, and slopes that change nothing."""
    return _filled_to(bias), _filled_to(np.ones_like(bias))


def _filled_to(values: Floats) -> Floats:
    """Filled up with zeros to whole blocks."""
    return np.pad(values, (0, padded(len(values)) - len(values))).astype(np.float32)


def _in_blocks(weight: NDArray[np.floating]) -> Floats:
    """[outputs, inputs, rows, columns] -> blocks of outputs; in each by row, column and input."""
    filled = np.pad(weight, ((0, padded(len(weight)) - len(weight)), (0, 0), (0, 0), (0, 0)))
    by_place = filled.transpose(2, 3, 1, 0).reshape(-1, len(filled) // block(len(weight)), block(len(weight)))
    return np.ascontiguousarray(by_place.transpose(1, 0, 2), np.float32).ravel()
