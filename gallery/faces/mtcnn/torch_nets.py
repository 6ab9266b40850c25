"""The three nets on PyTorch, with outputs as the cascade wants them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gallery.faces.mtcnn.folding import logit
from gallery.faces.mtcnn.integral import IntegralImage
from gallery.faces.mtcnn.nets import OutputNet, ProposalNet, RefinementNet
from gallery.faces.mtcnn.pyramid import Strip

Numbers = NDArray[np.float32]


class TorchNets:
    """Nothing but PyTorch."""

    def __init__(self) -> None:
        self._pnet = ProposalNet().eval()
        self._rnet = RefinementNet().eval()
        self._onet = OutputNet().eval()

    @torch.inference_mode()
    def propose(
        self, integral: IntegralImage, strip: Strip, threshold: float
    ) -> tuple[NDArray[np.int64], Numbers, Numbers]:
        logits, features = self._pnet(channels_last(integral.strip(strip)))
        # Only what passes needs a sigmoid and offsets: seldom one cell of a hundred.
        cells = (logits >= logit(threshold)).nonzero()[:, 0]
        offsets = self._pnet.offsets(features.index_select(0, cells))
        return cells.numpy(), torch.sigmoid(logits.index_select(0, cells)).numpy(), offsets.numpy()

    def crops(self, integral: IntegralImage, boxes: NDArray[np.int64], side: int) -> Numbers:
        return integral.crops(boxes, side)

    @torch.inference_mode()
    def refine(self, crops: Numbers) -> tuple[Numbers, Numbers]:
        outputs = self._rnet(channels_last(crops))
        return torch.sigmoid(outputs[:, 0]).numpy(), outputs[:, 1:].numpy()

    @torch.inference_mode()
    def decide(self, crops: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        return decided(self._onet(channels_last(crops)))


def channels_last(pixels: Numbers) -> Tensor:
    """float32[n, h, w, 3] as PyTorch counts axes, [n, 3, h, w], where it lies."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def decided(outputs: Tensor) -> tuple[Numbers, Numbers, Numbers]:
    """ONet's outputs [n, 15] as scores, offsets and landmarks."""
    landmarks = outputs[:, 5:].view(-1, 2, 5).transpose(1, 2)
    return torch.sigmoid(outputs[:, 0]).numpy(), outputs[:, 1:5].numpy(), landmarks.numpy()
