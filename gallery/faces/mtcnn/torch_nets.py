"""The three nets on PyTorch, with outputs as the cascade wants them."""

from __future__ import annotations

from math import inf, log

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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

    def propose(
        self, integral: IntegralImage, strip: Strip, threshold: float
    ) -> tuple[NDArray[np.int64], Numbers, Numbers]:
        logits, features = self._pnet(integral.strip(strip))
        # Only what passes needs a sigmoid and offsets: seldom one cell of a hundred.
        cells = (logits >= logit(threshold)).nonzero()[:, 0]
        offsets = self._pnet.offsets(features.index_select(0, cells))
        return cells.numpy(), torch.sigmoid(logits.index_select(0, cells)).numpy(), offsets.numpy()

    def refine(self, crops: Tensor) -> tuple[Numbers, Numbers]:
        outputs = self._rnet(crops)
        return torch.sigmoid(outputs[:, 0]).numpy(), outputs[:, 1:].numpy()

    def decide(self, crops: Tensor) -> tuple[Numbers, Numbers, Numbers]:
        return decided(self._onet(crops))


def decided(outputs: Tensor) -> tuple[Numbers, Numbers, Numbers]:
    """ONet's outputs [n, 15] as scores, offsets and landmarks."""
    landmarks = outputs[:, 5:].view(-1, 2, 5).transpose(1, 2)
    return torch.sigmoid(outputs[:, 0]).numpy(), outputs[:, 1:5].numpy(), landmarks.numpy()


def sigmoid(logits: Numbers) -> Numbers:
    return np.asarray(1 / (1 + np.exp(-logits)), np.float32)


def logit(score: float) -> float:
    """What the sigmoid turns into this score."""
    if score <= 0:
        return -inf
    return log(score / (1 - score)) if score < 1 else inf
