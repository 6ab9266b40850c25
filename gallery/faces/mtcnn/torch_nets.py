"""The three nets on PyTorch, with outputs as the cascade wants them."""

from __future__ import annotations

from math import inf, log

import torch
from torch import Tensor

from gallery.faces.mtcnn.nets import OutputNet, ProposalNet, RefinementNet


class TorchNets:
    """Nothing but PyTorch."""

    def __init__(self) -> None:
        self._pnet = ProposalNet().eval()
        self._rnet = RefinementNet().eval()
        self._onet = OutputNet().eval()

    def propose(self, level: Tensor, threshold: float) -> tuple[Tensor, Tensor, Tensor]:
        logits, features = self._pnet(level)
        # Only what passes needs a sigmoid and offsets: seldom one cell of a hundred.
        cells = (logits >= logit(threshold)).nonzero()[:, 0]
        offsets = self._pnet.offsets(features.index_select(0, cells))
        return cells, torch.sigmoid(logits.index_select(0, cells)), offsets

    def refine(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        outputs = self._rnet(crops)
        return torch.sigmoid(outputs[:, 0]), outputs[:, 1:]

    def decide(self, crops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        outputs = self._onet(crops)
        landmarks = outputs[:, 5:].unflatten(1, (2, 5)).transpose(1, 2)
        return torch.sigmoid(outputs[:, 0]), outputs[:, 1:5], landmarks


def logit(score: float) -> float:
    """What the sigmoid turns into this score."""
    if score <= 0:
        return -inf
    return log(score / (1 - score)) if score < 1 else inf
