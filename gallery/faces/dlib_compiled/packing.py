"""The weights of dlib's face encoder in the order in which the compiled functions read them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gallery.faces.dlib_structure import Filters, Resnet
from gallery.faces.models import ModelUnusable
from gallery.faces.mtcnn.compiled import winograd
from gallery.faces.mtcnn.compiled.vectors import block

Floats = NDArray[np.float32]

BLOCKS = (*[(32, 4)] * 3, *[(64, 4)] * 4, *[(128, 4)] * 3, *[(256, 2)] * 3, (256, 0))
"""Channels of each block, and the side of Winograd's tiles there; 0: its picture is one pixel, of which a 3x3
convolution sees the middle weight alone."""
HALVING = (3, 7, 10, 13)
"""Blocks that halve the picture; their first convolution goes in steps of 2, product by product."""
BORDER = 10
"""This block's second convolution has a picture of 3 by 3, for which tiles are too large."""


@dataclass(frozen=True, slots=True)
class Packed:
    """The stem, then two convolutions a block; flat float32 arrays."""

    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]
    projection: Floats
    """float32[256 * 128]."""


def pack(resnet: Resnet) -> Packed:
    """ModelUnusable where the layers are not those that the functions are made for."""
    shapes = tuple((len(block.first.bias), block.halves) for block in resnet.blocks)
    expected = tuple((channels, index in HALVING) for index, (channels, _) in enumerate(BLOCKS))
    if shapes != expected or resnet.stem.weights.shape != (32, 3, 7, 7):
        raise ModelUnusable("not dlib's face encoder: its blocks have other sizes")
    weights, biases = [_in_blocks(resnet.stem.weights)], [resnet.stem.bias]
    for index, (each, (_, results)) in enumerate(zip(resnet.blocks, BLOCKS, strict=True)):
        weights.append(_in_blocks(each.first.weights) if each.halves else _tiles(each.first, results))
        weights.append(_second(each.second, 0 if index == BORDER else results, index))
        biases += [each.first.bias, each.second.bias]
    return Packed(tuple(weights), tuple(biases), np.ascontiguousarray(resnet.projection).ravel())


def _second(filters: Filters, results: int, index: int) -> Floats:
    if results:
        return _tiles(filters, results)
    return _in_blocks(filters.weights if index == BORDER else filters.weights[:, :, 1:2, 1:2])


def _tiles(filters: Filters, results: int) -> Floats:
    places = winograd.transformed(filters.weights, results)
    return np.concatenate([_in_blocks(place[:, :, None, None]) for place in places])


def _in_blocks(weights: NDArray[np.floating]) -> Floats:
    """[outputs, inputs, rows, columns] -> blocks of outputs; in each by row, column and input."""
    outputs, size = len(weights), block(len(weights))
    by_place = weights.transpose(2, 3, 1, 0).reshape(-1, outputs // size, size)
    return np.ascontiguousarray(by_place.transpose(1, 0, 2), np.float32).ravel()
