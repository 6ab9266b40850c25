"""Cuts faces out of images on the device of the encoder, so that only whole images travel to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from gallery.faces.aligner import Template, halvings, similarities
from gallery.faces.types import BgrImage, Faces


def cut(
    images: Sequence[BgrImage],
    faces: Sequence[Faces],
    template: Template,
    size_px: int,
    device: str,
) -> Tensor:
    """What aligner.cut gives for all images, one after the other: uint8[n, size, size, 3] on the device."""
    with torch.inference_mode():
        chips = [
            _chips(bgr, similarities(found.landmarks, template), size_px, device)
            for bgr, found in zip(images, faces, strict=True)
            if len(found)
        ]
        if not chips:
            return torch.zeros((0, size_px, size_px, 3), dtype=torch.uint8, device=device)
        # Blue, green, red to red, green, blue, and the channels last.
        return torch.cat(chips).flip(1).permute(0, 2, 3, 1).round_().to(torch.uint8)


def _chips(bgr: BgrImage, matrices: NDArray[np.float64], size_px: int, device: str) -> Tensor:
    """float32[n, 3, size, size], blue, green, red, of one image."""
    pixels = torch.from_numpy(np.ascontiguousarray(bgr)).to(device).permute(2, 0, 1)[None].float()
    times = np.array([halvings(matrix) for matrix in matrices])
    chips = torch.empty((len(matrices), 3, size_px, size_px), device=device)
    for count in np.unique(times):
        rows = np.flatnonzero(times == count)
        chips[torch.from_numpy(rows).to(device)] = _sample(pixels, matrices[rows], size_px, 2 ** int(count))
    return chips


def _sample(pixels: Tensor, matrices: NDArray[np.float64], size_px: int, step: int) -> Tensor:
    height, width = (side // step for side in pixels.shape[2:])
    if step > 1:
        if min(height, width) == 0:
            return torch.zeros((len(matrices), 3, size_px, size_px), device=pixels.device)
        # The CPU's halved image has whole grey levels too.
        pixels = functional.avg_pool2d(pixels, step).round_()
    back = np.linalg.inv(matrices[:, :, :2])
    shift = -(back @ matrices[:, :, 2:])[:, :, 0]
    # From a pixel of the chip to grid_sample's -1 to 1 across the image, where pixel x has its middle at
    # (2 x + 1) / width - 1; the halved image counts in steps.
    spans = np.array([width, height]) * step
    across = np.empty((len(matrices), 2, 3))
    across[:, :, :2] = back * (2 / spans)[:, None]
    across[:, :, 2] = (2 * shift + 1) / spans - 1
    steps = torch.arange(size_px, dtype=torch.float32)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    places = torch.stack([x, y, torch.ones_like(x)], dim=-1).to(pixels.device)
    grid = places.view(1, -1, 3) @ torch.from_numpy(across.astype(np.float32)).to(pixels.device).mT
    return functional.grid_sample(
        pixels.expand(len(matrices), -1, -1, -1),
        grid.view(len(matrices), size_px, size_px, 2),
        mode="bilinear",
        padding_mode="zeros",
        align_corners=False,
    )
