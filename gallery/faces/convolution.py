"""A convolution in the form that its device runs fastest, together with what follows it."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional


class Convolution:
    """Weights float32[out, in / groups, height, width] and bias float32[out], read only.

    On a CPU with oneDNN the weights are packed once for its kernels, and ReLU and addition happen while the
    result is still in the cache. Packing alone takes a quarter off the time of a single face, because these
    nets have many weights and few pixels.
    """

    def __init__(
        self,
        weights: NDArray[np.float32],
        bias: NDArray[np.float32],
        stride: int = 1,
        padding: tuple[int, ...] = (0, 0),
        groups: int = 1,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._stride, self._padding, self._groups = (stride, stride), padding, groups
        self._bias = torch.from_numpy(bias).to(device, dtype)
        # Packed bfloat16 is fast only at the picture's size that it was packed for.
        self._fuses = device == "cpu" and dtype == torch.float32 and onednn_fuses()
        if self._fuses:
            self._weights = _packed(torch.from_numpy(weights), self._stride, padding, groups)
        else:
            # PyTorch rounds to 10 bits on newer GPUs unless told not to; encodings are equal everywhere.
            torch.backends.cudnn.allow_tf32 = False
            on_device = torch.from_numpy(weights).to(device, dtype)
            self._weights = on_device.contiguous(memory_format=torch.channels_last)

    def __call__(self, pixels: Tensor) -> Tensor:
        """The convolution alone, float32[n, out, height, width]."""
        return self._run(pixels, "none") if self._fuses else self._plain(pixels)

    def relu(self, pixels: Tensor) -> Tensor:
        """The convolution, negative values set to 0."""
        return self._run(pixels, "relu") if self._fuses else functional.relu_(self._plain(pixels))

    def add_relu_(self, pixels: Tensor, addend: Tensor) -> Tensor:
        """The convolution plus a tensor of its shape, negative values set to 0, written into that tensor.

        Without a third tensor more of them stay in the cache: a twentieth off dlib's net.
        """
        if not self._fuses:
            return functional.relu_(addend.add_(self._plain(pixels)))
        return _added(pixels, addend, self._weights, self._bias, self._padding, self._stride, self._groups)

    def _run(self, pixels: Tensor, then: str) -> Tensor:
        fused: Tensor = torch.ops.mkldnn._convolution_pointwise.default(
            pixels, self._weights, self._bias, self._padding, self._stride, (1, 1), self._groups, then, [], ""
        )
        return fused

    def _plain(self, pixels: Tensor) -> Tensor:
        return functional.conv2d(
            pixels, self._weights, self._bias, self._stride, self._padding, groups=self._groups
        )


@cache
def onednn_fuses() -> bool:
    """Whether this PyTorch has the operators that its own compiler uses on CPUs; its manual has them not."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    pixels, weights, bias = torch.ones(1, 8, 3, 3), torch.ones(8, 8, 3, 3), torch.ones(8)
    try:
        packed = _packed(weights, (1, 1), (1, 1), 1)
        found = _added(pixels, pixels.clone(), packed, bias, (1, 1), (1, 1), 1)
    except (AttributeError, RuntimeError, TypeError):
        return False
    expected = functional.conv2d(pixels, weights, bias, padding=1) + pixels
    return bool(torch.allclose(found, expected))


def _added(
    pixels: Tensor,
    addend: Tensor,
    packed: Tensor,
    bias: Tensor,
    padding: tuple[int, ...],
    stride: tuple[int, int],
    groups: int,
) -> Tensor:
    fused: Tensor = torch.ops.mkldnn._convolution_pointwise_.binary(
        addend, pixels, packed, bias, padding, stride, (1, 1), groups, "add", 1.0, "relu", [], ""
    )
    return fused


def _packed(weights: Tensor, stride: tuple[int, int], padding: tuple[int, ...], groups: int) -> Tensor:
    with torch.no_grad():
        packed: Tensor = torch._C._nn.mkldnn_reorder_conv2d_weight(
            weights.to_mkldnn(), list(padding), list(stride), [1, 1], groups
        )
    return packed
