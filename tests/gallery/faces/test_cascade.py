"""What the cascade adds to the nets."""

from __future__ import annotations

import numpy as np
import pytest
from torch import Tensor

from benchmarks.scenes import SAMPLES, compose, portraits
from gallery.faces.mtcnn.cascade import Cascade, Numbers
from gallery.faces.mtcnn.torch_nets import TorchNets
from gallery.faces.types import BgrImage


class RoundedOtherwise(TorchNets):
    """As another library's nets: the same but for the last digits."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self._by = by

    def refine(self, crops: Tensor) -> tuple[Numbers, Numbers]:
        scores, offsets = super().refine(crops)
        return scores + np.float32(self._by), offsets

    def decide(self, crops: Tensor) -> tuple[Numbers, Numbers, Numbers]:
        scores, offsets, landmarks = super().decide(crops)
        return scores + np.float32(self._by), offsets, landmarks


def scene() -> BgrImage:
    return compose(portraits(SAMPLES), 300, 400, 3, np.random.default_rng(1))


def lowest_score() -> float:
    (faces,) = Cascade(TorchNets(), 20, (0.6, 0.7, 0.7)).detect([scene()])
    return float(faces.scores.min())


def found(by: float, threshold: float, referee: TorchNets | None) -> int:
    return len(Cascade(RoundedOtherwise(by), 20, (0.6, 0.7, threshold), referee).detect([scene()])[0])


@pytest.mark.parametrize("by", [-4e-6, 4e-6])
def test_a_score_at_the_threshold_is_decided_by_the_referee_however_other_nets_round(by: float) -> None:
    # A face exactly at the threshold is none; a bit below the threshold it is one.
    at = lowest_score()
    for threshold in (at, at - 1e-7):
        expected = found(0, threshold, None)
        assert found(by, threshold, TorchNets()) == expected
    # Without the referee one of the two comes out otherwise.
    assert [found(by, limit, None) for limit in (at, at - 1e-7)] != [
        found(0, limit, None) for limit in (at, at - 1e-7)
    ]
