"""The weights of dlib's face encoder in the order in which the compiled functions read them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gallery.faces.dlib_compiled.level import A, B, C, D, E, Level
from gallery.faces.dlib_structure import Filters, Resnet
from gallery.faces.machine_code.processor import block
from gallery.faces.models import ModelUnusable
from gallery.faces.mtcnn.compiled import winograd

Floats = NDArray[np.float32]

LEVELS = (A, A, A, B, B, B, B, C, C, C, D, D, D, E)
"""Of each block."""
HALVING = (3, 7, 10, 13)
"""Blocks that begin a level; their first convolution goes in steps of 2, product by product."""
DIRECT = {10: slice(None), 13: slice(1, 2)}
"""Blocks whose second convolution is product by product too: the picture has 3 by 3 pixels, or one, which
sees the middle weights alone."""


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
    expected = tuple((level.channels, index in HALVING) for index, level in enumerate(LEVELS))
    if shapes != expected or resnet.stem.weights.shape != (32, 3, 7, 7):
        raise ModelUnusable("not dlib's face encoder: its blocks have other sizes")
    weights, biases = [_in_blocks(resnet.stem.weights)], [resnet.stem.bias]
    for index, (each, level) in enumerate(zip(resnet.blocks, LEVELS, strict=True)):
        weights.append(_in_blocks(each.first.weights) if each.halves else _tiles(each.first, level))
        taps = DIRECT.get(index)
        weights.append(
            _tiles(each.second, level) if taps is None else _in_blocks(each.second.weights[:, :, taps, taps])
        )
        biases += [each.first.bias, each.second.bias]
    return Packed(tuple(weights), tuple(biases), np.ascontiguousarray(resnet.projection).ravel())


def _tiles(filters: Filters, level: Level) -> Floats:
    places = winograd.transformed(filters.weights, level.results)
    return np.concatenate([_in_blocks(place[:, :, None, None]) for place in places])


def _in_blocks(weights: NDArray[np.floating]) -> Floats:
    """[outputs, inputs, rows, columns] -> blocks of outputs; in each by row, column and input."""
    outputs, size = len(weights), block(len(weights))
    by_place = weights.transpose(2, 3, 1, 0).reshape(-1, outputs // size, size)
    return np.ascontiguousarray(by_place.transpose(1, 0, 2), np.float32).ravel()
