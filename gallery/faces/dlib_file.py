"""Reads dlib's serialisation of a trained network: its layers, from the picture to the encoding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gallery.faces.models import ModelUnusable


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One layer that computes; tags and skips of the network leave no trace in the file."""

    kind: str
    """dlib's own name of it: con_4, affine_, relu_, max_pool_2, avg_pool_2, add_prev_, fc_2."""
    shape: tuple[int, ...]
    """con_4: filters, height, width, two strides, two paddings. Pools: height, width, two strides, two
    paddings, where height 0 means the whole picture. fc_2: outputs, inputs. Else empty."""
    weights: NDArray[np.float32]
    """float32[m], everything that was trained, as dlib lays it out; m may be 0."""


@dataclass(frozen=True, slots=True)
class SerialisedNet:
    """A whole file."""

    mean_rgb: tuple[float, float, float]
    """Taken off the picture, which is then divided by 256."""
    size_px: tuple[int, int]
    """Height and width of the pictures it was trained on."""
    layers: tuple[Layer, ...]
    """From the picture to the encoding."""


def parse(content: bytes) -> SerialisedNet:
    """The network in a .dat of dlib's metric learning; ModelUnusable if it is anything else."""
    reader = _Reader(content)
    reader.expect(reader.integer() == 1 and reader.text() == "loss_metric_2", "no network of dlib's")
    reader.number(), reader.number()  # the margin and the threshold of the training
    # A layer writes the version of its format, then the layer below it, then itself: so all versions come
    # first, outermost to innermost, and the layers follow in the order in which a picture passes them.
    while not reader.comes(b"\x01\x15input"):
        reader.expect(reader.integer() in (1, 2, 3), "a layer of an unknown format")
    reader.expect(reader.text() == "input_rgb_image_sized", "an unknown input")
    mean_rgb = (reader.number(), reader.number(), reader.number())
    size_px = (reader.integer(), reader.integer())
    layers = [_layer(reader)]
    reader.expect(reader.integer() == 1, "several pictures a sample")
    while not reader.ended:
        layers.append(_layer(reader))
    return SerialisedNet(mean_rgb, size_px, tuple(layers))


def _layer(reader: _Reader) -> Layer:
    kind = reader.text()
    reader.expect(kind in _BODIES, f"an unknown layer {kind!r}")
    shape, weights = _BODIES[kind](reader)
    reader.flags(3)  # set up, gradient stale, output disabled
    for _ in range(3):  # gradients and the last output, empty in a trained network
        reader.tensor()
    return Layer(kind, shape, weights)


class _Reader:
    """dlib's elements one after the other; every number is a length byte and as many bytes."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._position = 0

    @property
    def ended(self) -> bool:
        return self._position == len(self._content)

    def expect(self, holds: bool, else_found: str) -> None:
        if not holds:
            raise ModelUnusable(f"not dlib's face encoder: {else_found} before byte {self._position}")

    def comes(self, start: bytes) -> bool:
        return self._content.startswith(start, self._position)

    def integer(self) -> int:
        (control,) = self._take(1)
        size = control & 0x0F
        self.expect(control & 0x70 == 0 and 1 <= size <= 8, "a malformed number")
        value = int.from_bytes(self._take(size), "little")
        return -value if control & 0x80 else value

    def integers(self, count: int) -> tuple[int, ...]:
        return tuple(self.integer() for _ in range(count))

    def number(self) -> float:
        mantissa, exponent = self.integers(2)
        self.expect(abs(exponent) < 1024, "a malformed number")
        return mantissa * 2.0**exponent

    def numbers(self, count: int) -> None:
        for _ in range(count):
            self.number()

    def text(self) -> str:
        length = self.integer()
        self.expect(0 <= length <= 64, "a malformed name")
        return self._take(length).decode("ascii", "replace")

    def flags(self, count: int) -> None:
        self.expect(set(self._take(count)) <= set(b"01"), "a malformed flag")

    def tensor(self) -> NDArray[np.float32]:
        version, *shape = self.integers(5)
        self.expect(version == 2 and min(shape) >= 0, "a malformed tensor")
        count = shape[0] * shape[1] * shape[2] * shape[3]
        return np.frombuffer(self._take(4 * count), "<f4").astype(np.float32)

    def _take(self, count: int) -> bytes:
        taken = self._content[self._position : self._position + count]
        self.expect(len(taken) == count, "the end of the file")
        self._position += count
        return taken


_Body = tuple[tuple[int, ...], NDArray[np.float32]]


def _convolution(reader: _Reader) -> _Body:
    weights, shape = reader.tensor(), reader.integers(7)
    reader.integers(2 * 5)  # where filters and biases lie within the weights
    reader.numbers(4)  # multipliers of learning rate and weight decay
    return shape, weights


def _affine(reader: _Reader) -> _Body:
    weights = reader.tensor()
    reader.integers(2 * 5 + 1)  # where scale and shift lie within the weights; by channel or by pixel
    return (), weights


def _pool(reader: _Reader) -> _Body:
    return reader.integers(6), np.zeros(0, np.float32)


def _projection(reader: _Reader) -> _Body:
    shape, weights = reader.integers(2), reader.tensor()
    reader.integers(2 * 5 + 1)  # where weights and biases lie; whether there are biases
    reader.numbers(4)
    return shape, weights


def _nothing(reader: _Reader) -> _Body:
    return (), np.zeros(0, np.float32)


_BODIES: dict[str, Callable[[_Reader], _Body]] = {
    "con_4": _convolution,
    "affine_": _affine,
    "relu_": _nothing,
    "max_pool_2": _pool,
    "avg_pool_2": _pool,
    "add_prev_": _nothing,
    "fc_2": _projection,
}
