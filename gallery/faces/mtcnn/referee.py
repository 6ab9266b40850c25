"""RNet's and ONet's scores with all digits, for the few crops that single precision can't decide on.

What two libraries round differently puts a score within 1e-5 of a threshold on either side of it. Here sums
are taken in double precision, whose own rounding is 1e-14. A crop takes milliseconds, with numpy alone.
facenet-pytorch's own scores of a crop differ by 3e-7 (standard deviation) from batch to batch, and by 4e-7
from these; PyTorch's channels-last and the compiled nets' differ by 5e-7 and 7e-7 from its.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from gallery.faces.mtcnn import weights
from gallery.faces.mtcnn.folding import PIXEL_MEAN, PIXEL_RANGE, difference

Doubles = NDArray[np.float64]
Numbers = NDArray[np.float32]


class Referee:
    """Says what the scores really are."""

    def __init__(self) -> None:
        self._rnet, self._onet = weights.load("rnet"), weights.load("onet")

    def refine(self, crops: Numbers) -> Numbers:
        """RNet's scores[n] of BGR crops float32[n, 24, 24, 3]."""
        hidden = _largest(_convolved(_on_nets(crops), self._rnet, "1"), 3)
        hidden = _largest(_convolved(hidden, self._rnet, "2"), 3)
        hidden = _convolved(hidden, self._rnet, "3")
        return _score(hidden, self._rnet, "4", "dense5_1")

    def decide(self, crops: Numbers) -> Numbers:
        """ONet's scores[n] of BGR crops float32[n, 48, 48, 3]."""
        hidden = _largest(_convolved(_on_nets(crops), self._onet, "1"), 3)
        hidden = _largest(_convolved(hidden, self._onet, "2"), 3)
        hidden = _largest(_convolved(hidden, self._onet, "3"), 2)
        hidden = _convolved(hidden, self._onet, "4")
        return _score(hidden, self._onet, "5", "dense6_1")


def _on_nets(crops: Numbers) -> Doubles:
    """From BGR, 0 to 255, to what the nets were trained on."""
    return (crops[..., ::-1].astype(np.float64) - PIXEL_MEAN) / PIXEL_RANGE


def _convolved(pixels: Doubles, net: weights.Weights, layer: str) -> Doubles:
    """A convolution of [n, height, width, channels], and its PReLU."""
    weight = net[f"conv{layer}.weight"].astype(np.float64)
    seen = sliding_window_view(pixels, weight.shape[2:], axis=(1, 2))
    result = np.tensordot(seen, weight, axes=([3, 4, 5], [1, 2, 3])) + net[f"conv{layer}.bias"]
    return _activated(result, net[f"prelu{layer}.weight"])


def _largest(pixels: Doubles, size: int) -> Doubles:
    """Of each square of this size, two pixels apart, cut short at the far edges."""
    height, width = ((side - size + 1) // 2 * 2 + size - side for side in pixels.shape[1:3])
    filled = np.pad(pixels, ((0, 0), (0, height), (0, width), (0, 0)), constant_values=-np.inf)
    squares = sliding_window_view(filled, (size, size), axis=(1, 2))[:, ::2, ::2]
    return np.asarray(squares.max(axis=(4, 5)))


def _score(hidden: Doubles, net: weights.Weights, layer: str, face: str) -> Numbers:
    """Two dense layers; the first was trained on (channels, width, height)."""
    flat = hidden.transpose(0, 2, 1, 3).reshape(len(hidden), -1)
    dense = flat @ net[f"dense{layer}.weight"].T.astype(np.float64) + net[f"dense{layer}.bias"]
    weight, bias = (difference(net[f"{face}.{part}"].astype(np.float64)) for part in ("weight", "bias"))
    logits = _activated(dense, net[f"prelu{layer}.weight"]) @ weight.T + bias
    return _rounded_down(1 / (1 + np.exp(-logits[:, 0])))


def _rounded_down(scores: Doubles) -> Numbers:
    """What is above a threshold by less than single precision can tell is at it, and does not pass."""
    nearest = scores.astype(np.float32)
    return np.where(nearest > scores, np.nextafter(nearest, np.float32(0)), nearest)


def _activated(values: Doubles, slopes: Numbers) -> Doubles:
    return np.where(values > 0, values, values * slopes)
