"""What the cascade adds to the nets."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.scenes import SAMPLES, compose, portraits
from gallery.faces.mtcnn.cascade import Cascade, Numbers, Scorer
from gallery.faces.mtcnn.referee import Referee, _rounded_down
from gallery.faces.mtcnn.torch_nets import TorchNets
from gallery.faces.types import BgrImage


class RoundedOtherwise(TorchNets):
    """As another library's nets: the same but for the last digits."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self._by = by

    def refine(self, crops: NDArray[np.float32]) -> tuple[Numbers, Numbers]:
        scores, offsets = super().refine(crops)
        return scores + np.float32(self._by), offsets

    def decide(self, crops: NDArray[np.float32]) -> tuple[Numbers, Numbers, Numbers]:
        scores, offsets, landmarks = super().decide(crops)
        return scores + np.float32(self._by), offsets, landmarks


class Scores:
    """What PyTorch's nets say of a crop."""

    def __init__(self) -> None:
        self._nets = TorchNets()

    def refine(self, crops: NDArray[np.float32]) -> Numbers:
        return self._nets.refine(crops)[0]

    def decide(self, crops: NDArray[np.float32]) -> Numbers:
        return self._nets.decide(crops)[0]


def scene() -> BgrImage:
    return compose(portraits(SAMPLES), 300, 400, 3, np.random.default_rng(1))


def lowest_score() -> float:
    (faces,) = Cascade(TorchNets(), 20, (0.6, 0.7, 0.7)).detect([scene()])
    return float(faces.scores.min())


def found(by: float, threshold: float, referee: Scorer | None) -> int:
    return len(Cascade(RoundedOtherwise(by), 20, (0.6, 0.7, threshold), referee).detect([scene()])[0])


@pytest.mark.parametrize("by", [-4e-6, 4e-6])
def test_a_score_at_the_threshold_is_decided_by_the_referee_however_other_nets_round(by: float) -> None:
    # A face exactly at the threshold is none; a bit below the threshold it is one.
    at = lowest_score()
    for threshold in (at, at - 1e-7):
        expected = found(0, threshold, None)
        assert found(by, threshold, Scores()) == expected
    # Without the referee one of the two comes out otherwise.
    assert [found(by, limit, None) for limit in (at, at - 1e-7)] != [
        found(0, limit, None) for limit in (at, at - 1e-7)
    ]


def face(portrait: BgrImage) -> BgrImage:
    """Its square."""
    (faces,) = Cascade(TorchNets(), 40, (0.6, 0.7, 0.7)).detect([portrait])
    left, top, right, bottom = faces.boxes[faces.scores.argmax()].clip(0).astype(int)
    return portrait[top:bottom, left:right]


@pytest.mark.parametrize(("px", "net"), [(24, "refine"), (48, "decide")])
def test_the_referees_scores_are_the_nets_with_all_digits(px: int, net: str) -> None:
    pictures = [cv2.resize(face(portrait), (px, px)) for portrait in portraits(SAMPLES)]
    noise = np.random.default_rng(0).uniform(0, 255, (5, px, px, 3))
    crops = np.concatenate([np.array(pictures, np.float32), noise.astype(np.float32)])
    judged = getattr(Referee(), net)(crops)
    assert judged.dtype == np.float32
    np.testing.assert_allclose(judged, getattr(Scores(), net)(crops), atol=1e-6)
    assert judged.min() < 0.1 < 0.9 < judged.max()


def test_a_score_that_is_above_a_threshold_by_less_than_can_be_told_is_at_it() -> None:
    scores = np.array([0.7 + 2e-8, 0.7 + 1e-7, 0.7 - 1e-7])
    assert (_rounded_down(scores) > np.float32(0.7)).tolist() == [False, True, False]
