"""What dlib's face encoder is made of: the layers of its file, checked and simplified for any engine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gallery.faces.dlib_file import Layer, parse
from gallery.faces.models import ModelUnusable

BLOCKS = 14
POOL_2X2, WHOLE_PICTURE = (2, 2, 2, 2, 0, 0), (0, 0, 1, 1, 0, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Filters:
    """A convolution; the affine layer that follows it in the file is multiplied in."""

    weights: NDArray[np.float32]
    """float32[out, in, height, width]."""
    bias: NDArray[np.float32]
    """float32[out]."""
    stride: int
    """1 or 2, in both directions."""
    padding: int
    """Zeros on each side."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Convolution, ReLU, convolution; the input is added; ReLU."""

    first: Filters
    second: Filters
    halves: bool
    """The input is averaged over 2 by 2 pixels before it is added. dlib adds tensors of different sizes from
    the first pixel and channel on, with zeros beyond: an odd picture gives a result that is a row and a
    column short, and the input of a new level has fewer channels."""


@dataclass(frozen=True, slots=True, eq=False)
class Resnet:
    """From uint8 pixels, red, green, blue, to the encoding."""

    stem: Filters
    """Followed by ReLU and the maximum of 3 by 3 pixels in steps of 2."""
    blocks: tuple[Block, ...]
    """Followed by the mean over all pixels."""
    projection: NDArray[np.float32]
    """float32[256, 128]: mean @ projection is the encoding."""


def read(content: bytes) -> Resnet:
    """The network in a .dat file; ModelUnusable where it is anything but dlib's face encoder."""
    net = parse(content)
    layers = _Layers(net.layers)
    stem = layers.filters((7, 7, 2, 2, 0, 0))
    layers.take("relu_")
    layers.take("max_pool_2", (3, 3, 2, 2, 0, 0))
    blocks = tuple(_block(layers) for _ in range(BLOCKS))
    layers.take("avg_pool_2", WHOLE_PICTURE)
    projection = layers.take("fc_2", (128, 256)).weights
    layers.expect(layers.following is None and projection.size == 256 * 128)
    return Resnet(_on_pixels(stem, net.mean_rgb), blocks, projection.reshape(256, 128))


def _on_pixels(stem: Filters, mean_rgb: tuple[float, float, float]) -> Filters:
    """dlib takes the mean off and divides by 256; without padding the weights can do it just as exactly."""
    weights = stem.weights.astype(np.float64) / 256
    bias = stem.bias - (weights.sum(axis=(2, 3)) * np.array(mean_rgb)).sum(axis=1)
    return Filters(weights.astype(np.float32), bias.astype(np.float32), stem.stride, stem.padding)


def _block(layers: _Layers) -> Block:
    following = layers.following
    halves = following is not None and following.shape[3:] == (2, 2, 0, 0)
    first = layers.filters((3, 3, 2, 2, 0, 0) if halves else (3, 3, 1, 1, 1, 1))
    layers.take("relu_")
    second = layers.filters((3, 3, 1, 1, 1, 1))
    if halves:
        layers.take("avg_pool_2", POOL_2X2)
    layers.take("add_prev_")
    layers.take("relu_")
    return Block(first, second, halves)


class _Layers:
    """The layers of a file, taken in order and only as expected."""

    def __init__(self, layers: tuple[Layer, ...]) -> None:
        self._layers = layers
        self._taken = 0

    @property
    def following(self) -> Layer | None:
        """None after the last."""
        return self._layers[self._taken] if self._taken < len(self._layers) else None

    def expect(self, holds: bool) -> None:
        if not holds:
            raise ModelUnusable(f"not dlib's face encoder: layer {self._taken} is not as it should be")

    def take(self, kind: str, shape: tuple[int, ...] = ()) -> Layer:
        layer = self.following
        if layer is None or (layer.kind, layer.shape) != (kind, shape):
            raise ModelUnusable(f"not dlib's face encoder: layer {self._taken} is no {kind}{shape}")
        self._taken += 1
        return layer

    def filters(self, shape: tuple[int, ...]) -> Filters:
        following = self.following
        count = following.shape[0] if following is not None and following.shape else 0
        self.expect(count > 0)
        trained = self.take("con_4", (count, *shape)).weights.astype(np.float64)
        affine = self.take("affine_").weights.astype(np.float64)
        self.expect(affine.size == 2 * count and trained.size > count)
        self.expect((trained.size - count) % (count * shape[0] * shape[1]) == 0)
        scale, shift = affine[:count], affine[count:]
        weights = trained[:-count].reshape(count, -1, shape[0], shape[1]) * scale[:, None, None, None]
        bias = trained[-count:] * scale + shift
        return Filters(weights.astype(np.float32), bias.astype(np.float32), shape[2], shape[4])
