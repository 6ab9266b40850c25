"""dlib's face encoder on PyTorch: the same weights and the same answers, batched, on CPU or CUDA."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from gallery.faces.convolution import Convolution
from gallery.faces.dlib_structure import Filters, Resnet


@dataclass(frozen=True, slots=True)
class _Block:
    first: Convolution
    second: Convolution
    halves: bool


class DlibResnet:
    """A network of dlib's on one device."""

    def __init__(self, resnet: Resnet, device: str = "cpu") -> None:
        self._stem = _on(device, resnet.stem)
        self._blocks = [
            _Block(_on(device, block.first), _on(device, block.second), block.halves)
            for block in resnet.blocks
        ]
        self._projection = torch.from_numpy(resnet.projection).to(device)

    def __call__(self, chips: Tensor) -> Tensor:
        """float32[n, 128] of uint8[n, 150, 150, 3] red, green, blue, on the device of the net."""
        # Rows of pixels of three channels are channels-last as they come.
        pixels = _largest(self._stem.relu(chips.permute(0, 3, 1, 2).float()))
        for block in self._blocks:
            pixels = _halved(block, pixels) if block.halves else _added(block, pixels)
        return pixels.mean(dim=(2, 3)) @ self._projection


def _added(block: _Block, pixels: Tensor) -> Tensor:
    return block.second.add_relu_(block.first.relu(pixels), pixels)


def _halved(block: _Block, pixels: Tensor) -> Tensor:
    shortcut = functional.avg_pool2d(pixels, 2)
    result = block.second(block.first.relu(pixels))
    missing = shortcut.shape[2] - result.shape[2]
    if missing:
        result = functional.pad(result, (0, missing, 0, missing))
    result[:, : shortcut.shape[1]] += shortcut
    return functional.relu_(result)


def _largest(pixels: Tensor) -> Tensor:
    """The maximum of 3 by 3 in steps of 2; half the time of max_pool2d, which also finds the places."""
    height, width = ((side - 3) // 2 * 2 + 1 for side in pixels.shape[2:])
    rows = [pixels[:, :, start : start + height : 2] for start in range(3)]
    tall = torch.maximum(torch.maximum(rows[0], rows[1]), rows[2])
    columns = [tall[:, :, :, start : start + width : 2] for start in range(3)]
    return torch.maximum(torch.maximum(columns[0], columns[1]), columns[2])


def _on(device: str, filters: Filters) -> Convolution:
    padding = (filters.padding, filters.padding)
    return Convolution(filters.weights, filters.bias, filters.stride, padding, device=device)
