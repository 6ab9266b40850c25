"""Thresholds of people's own: what they promise, and what they are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from gallery.calibration import Calibration, calibrate
from gallery.impostors import Statistics, bundled
from gallery.matcher import Index
from tests.gallery.builders import MODEL, index_of, person

MEAN, DEVIATION = 0.8, 0.08
SHARES = np.array([1e-4, 1e-3, 0.01, 0.02, 0.1, 0.5, 0.9])
CAP = 0.52


def normal(spread: float = 2.0, errors: float = 0.0) -> Statistics:
    """Strangers whose distances are normally distributed."""
    return Statistics(
        model=MODEL,
        source="nobody",
        photographs=0,
        people=0,
        pairs=0,
        probabilities=SHARES,
        errors=np.full(len(SHARES), errors),
        distances=MEAN + DEVIATION * ndtri(SHARES),
        near=0.02,
        near_distance=MEAN + DEVIATION * float(ndtri(0.02)),
        spread=spread,
        genuine_pairs=0,
        genuine_probabilities=np.array([0.1, 0.5, 0.9]),
        genuine_distances=np.array([0.3, 0.45, 0.6]),
    )


def at(probability: float) -> float:
    """The distance that strangers are nearer than with this probability."""
    return MEAN + DEVIATION * float(ndtri(probability))


def far_apart(count: int, references: int = 1) -> Index:
    """People who have nothing in common."""
    rows = 10.0 * np.eye(count)
    return index_of({str(i): [rows[i].tolist()] * references for i in range(count)})


def thresholds(index: Index, fmr: float, statistics: Statistics | None = None) -> list[float]:
    found = calibrate(index, statistics or normal(), fmr, CAP, looser=True)
    return [each.threshold for each in found.people]


@pytest.mark.parametrize("probability", [1e-9, 1e-6, 5e-5, 1e-4, 3e-3, 0.02, 0.3, 0.9])
def test_distance_and_probability_are_each_others_inverse_also_beyond_what_was_measured(
    probability: float,
) -> None:
    distance = normal().distance_at(probability)
    assert distance == pytest.approx(at(probability), abs=0.002)
    assert normal().probability_at(distance) == pytest.approx(probability, rel=1e-6)


def test_a_distance_never_falls_to_nothing_and_a_probability_stays_one() -> None:
    assert normal().distance_at(1e-300) == 0.01
    assert normal().distance_at(1.0) == pytest.approx(at(0.9))
    assert normal().probability_at(5.0) <= 1.0


def test_doubt_in_what_was_measured_makes_it_stricter() -> None:
    certain, doubtful = normal(), normal(errors=0.5)
    for probability in (1e-6, 1e-4, 0.01):
        assert doubtful.distance_at(probability) < certain.distance_at(probability)
    assert doubtful.probability_at(at(0.01)) == pytest.approx(0.015, rel=0.01)


def test_how_many_are_recognised_is_read_off_photographs_of_one_person() -> None:
    assert normal().recognised(0.45) == pytest.approx(0.5)
    assert normal().recognised(0.375) == pytest.approx(0.3)
    assert normal().recognised(0.1) == 0.0
    assert normal().recognised(0.7) == pytest.approx(0.9)


def test_of_one_person_strangers_alone_decide() -> None:
    found = calibrate(far_apart(1), normal(), 0.01, cap=0.9, looser=False)
    (only,) = found.people
    assert only.threshold == pytest.approx(at(0.01), abs=1e-4)
    assert only.stranger == pytest.approx(0.01, rel=0.01)
    assert (only.nearest, only.close, only.expected_near_people) == (None, False, 0.0)
    assert found.stranger == only.stranger


def test_the_probability_is_shared_by_everybody_and_by_every_photograph() -> None:
    statistics = normal(spread=1e9)
    assert thresholds(far_apart(10), 0.01, statistics) == pytest.approx([at(0.001)] * 10, abs=1e-4)
    two_each = thresholds(far_apart(10, references=2), 0.01, statistics)
    assert two_each == pytest.approx([at(0.0005)] * 10, abs=1.1e-3)


def test_a_stranger_is_named_with_at_most_the_probability_asked_for() -> None:
    for fmr in (0.001, 0.05):
        found = calibrate(far_apart(30), normal(), fmr, CAP, looser=True)
        assert 0.9 * fmr < found.stranger <= fmr
        expected = 30 * (2 / (2 + 29 * 0.02)) * float(ndtr((CAP - MEAN) / DEVIATION))
        assert found.stranger_before == pytest.approx(expected, rel=0.05)


def test_nobody_gets_a_looser_threshold_than_the_default_unless_it_is_asked_for() -> None:
    index = far_apart(2)
    capped = calibrate(index, normal(), 0.1, CAP, looser=False)
    asked = calibrate(index, normal(), 0.1, CAP, looser=True)
    assert [each.threshold for each in capped.people] == [CAP, CAP]
    assert [each.wanted for each in capped.people] == [each.threshold for each in asked.people]
    assert all(each.threshold > CAP for each in asked.people)
    assert capped.stranger < asked.stranger <= 0.1


def circle(angles: Sequence[float]) -> Index:
    """People on a circle of radius 1, by degrees."""
    return index_of(
        {str(i): [[math.cos(math.radians(a)), math.sin(math.radians(a))]] for i, a in enumerate(angles)}
    )


def test_who_has_more_people_near_gets_a_stricter_threshold() -> None:
    # 30 degrees are 0.518 apart, and near; 60 are 1.
    found = calibrate(circle([0, 30, 15, 180]), normal(), 0.01, CAP, looser=True)
    first, second, middle, far = found.people
    assert [each.near_people for each in found.people] == [2.0, 2.0, 2.0, 0.0]
    assert first.threshold == second.threshold == middle.threshold < far.threshold
    assert far.threshold == pytest.approx(at(0.01 / 4 * 2.06 / 2), abs=2e-4)
    assert first.threshold == pytest.approx(at(0.01 / 4 * 2.06 / 4), abs=2e-4)


def test_several_photographs_of_one_other_person_count_as_their_mean() -> None:
    index = index_of({"ann": [[0.0]], "bea": [[0.5], [9.0], [9.1], [9.2]], "cleo": [[-9.0]]})
    ann, bea, cleo = calibrate(index, normal(), 0.01, CAP, looser=True).people
    assert (ann.near_people, bea.near_people, cleo.near_people) == (0.25, 0.25, 0.0)


def test_the_nearest_other_is_told_and_close_where_the_default_would_name_them() -> None:
    index = index_of({"ann": [[0.0], [0.3]], "bea": [[0.82]], "cleo": [[5.0]]})
    ann, bea, cleo = calibrate(index, normal(), 0.01, CAP, looser=False).people
    assert ann.nearest is not None
    assert (ann.nearest.name, ann.nearest.distance, ann.close) == ("bea", 0.52, True)
    assert bea.nearest is not None
    assert (bea.nearest.name, bea.close) == ("ann", True)
    assert cleo.nearest is not None
    assert (cleo.nearest.name, cleo.close) == ("bea", False)


def test_few_people_leave_more_doubt_than_many() -> None:
    def width(found: Calibration) -> float:
        first = found.people[0]
        assert first.low < first.wanted < first.high
        return first.high - first.low

    few = calibrate(far_apart(3), normal(), 0.01, CAP, looser=True)
    many = calibrate(circle([3.0 * i for i in range(120)]), normal(), 0.01, CAP, looser=True)
    assert width(many) < width(few) / 2


def test_what_is_rarer_than_was_measured_is_told() -> None:
    assert not calibrate(far_apart(10), normal(), 0.01, CAP, looser=True).beyond_measured
    assert calibrate(far_apart(10), normal(), 0.0001, CAP, looser=True).beyond_measured


def test_an_empty_gallery_has_no_thresholds() -> None:
    found = calibrate(index_of({}), normal(), 0.01, CAP, looser=False)
    assert (found.people, found.stranger, found.stranger_before) == ((), 0.0, 0.0)


def test_strangers_made_up_are_named_as_often_as_was_promised() -> None:
    """Faces as points with a few directions in common, some people in a denser part than others."""
    from benchmarks.identities import Identities
    from benchmarks.impostors import statistics_of

    random = np.random.default_rng(4)

    def faces(count: int) -> NDArray[np.float32]:
        points = random.normal(size=(count, 12)) * random.choice([0.15, 0.25], size=(count, 1))
        return np.asarray(points, np.float32)

    known = faces(600)
    statistics = statistics_of(Identities(MODEL, np.arange(600), known), "made up")
    gallery = faces(60)
    index = Index.of([person(str(i)) for i in range(60)], range(60), gallery, model=MODEL, revision=1)
    strangers = faces(4000)
    table = np.sqrt(((strangers[:, None] - gallery) ** 2).sum(axis=2))
    for fmr in (0.02, 0.1):
        found = calibrate(index, statistics, fmr, cap=9.0, looser=False)
        named = (table <= [each.threshold for each in found.people]).any(axis=1).mean()
        assert 0.1 * fmr < named <= fmr
    # Those among many get less room than those who stand apart.
    near = np.array([each.near_people for each in found.people])
    own = np.array([each.threshold for each in found.people])
    assert own[near > 0].mean() < own[near == 0].mean()


MODELS = ("dlib-mtcnn", "dlib-dlib", "dlib-mtcnn-mirror", "sface-mtcnn")


@pytest.mark.parametrize("family", MODELS)
def test_what_was_measured_comes_with_visaged_and_is_whole(family: str) -> None:
    found = bundled(f"{family}-0123456789abcdef")
    assert found is not None
    assert found.model.rpartition("-")[0] == family
    assert "Labeled Faces in the Wild" in found.source
    assert (found.people, found.photographs, found.pairs) == (963, 1549, 963 * 962 // 2)
    for shares, distances in (
        (found.probabilities, found.distances),
        (found.genuine_probabilities, found.genuine_distances),
    ):
        assert (np.diff(shares) > 0).all()
        assert (np.diff(distances) > 0).all()
    assert found.distances[0] < found.near_distance < found.distances[-1]
    assert found.recognised(found.distance_at(0.01)) > 0.95
    assert bundled(found.model) is not None


def test_of_an_unknown_net_nothing_was_measured() -> None:
    assert bundled("resnet-mtcnn-0123456789abcdef") is None
    assert bundled("") is None
