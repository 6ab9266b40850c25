"""The open-set benchmark counts what the daemon would decide."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.identities import Identities
from benchmarks.impostors import weighted_quantiles
from benchmarks.openset import measure
from benchmarks.openset_draws import Draw, Rates, make_draws, rates
from gallery.decision import Rules, decide


@pytest.fixture(scope="module")
def identities() -> Identities:
    """Eighty people with two photographs and a hundred with one, as points around each person's own."""
    random = np.random.default_rng(3)
    owners = np.repeat(np.arange(180), [2] * 80 + [1] * 100)
    own = random.normal(size=(180, 10)) * 0.16
    points = own[owners] + random.normal(size=(len(owners), 10)) * 0.07
    return Identities("points", owners, points.astype(np.float32))


@pytest.fixture(scope="module")
def draws(identities: Identities) -> list[Draw]:
    return list(make_draws(identities, people=30, count=3, seed=1))


def test_nobody_who_is_enrolled_is_a_stranger_and_everybody_else_is_one(draws: list[Draw]) -> None:
    for draw in draws:
        assert len(draw.index) == len(draw.index.people) == len(draw.known.first) == 30
        assert sum(len(half.first) for half in draw.strangers) == 150
        # Each half's statistics are of the people of that half, and of nobody else.
        assert [each.people for each in draw.others] == [75, 75]


def test_several_photographs_of_each_may_be_enrolled_and_another_is_shown() -> None:
    owners = np.repeat(np.arange(40), [3] * 4 + [1] * 36)
    points = 10.0 * np.eye(40)[owners] + np.linspace(0, 1, len(owners))[:, None]
    identities = Identities("points", owners, points.astype(np.float32))
    (draw,) = make_draws(identities, people=4, count=1, seed=1, enrolled=2)
    assert draw.index.owners.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert draw.known.first.tolist() == [0, 1, 2, 3]
    assert (draw.known.distances > 0).all()


def test_draws_differ_and_repeat_themselves(identities: Identities, draws: list[Draw]) -> None:
    again = list(make_draws(identities, people=30, count=3, seed=1))
    for first, second in zip(draws, again, strict=True):
        np.testing.assert_array_equal(first.index.encodings, second.index.encodings)
    assert not np.array_equal(draws[0].index.encodings, draws[1].index.encodings)


@pytest.mark.parametrize(("threshold", "margin"), [(0.3, 0.0), (0.4, 0.1), (9.0, 0.0), (0.0, 0.0)])
def test_rates_are_those_of_the_daemons_own_decisions(threshold: float, margin: float) -> None:
    random = np.random.default_rng(8)
    owners = np.repeat(np.arange(40), 2)
    points = (random.normal(size=(40, 6)) * 0.3)[owners] + random.normal(size=(80, 6)) * 0.1
    identities = Identities("points", owners, points.astype(np.float32))
    (draw,) = make_draws(identities, people=20, count=1, seed=2)
    told = rates([draw], threshold, margin)

    place_of = {row.tobytes(): place for place, row in enumerate(draw.index.encodings)}
    right = wrong = 0
    for number, row in enumerate(identities.encodings):
        place = place_of.get(row.tobytes())
        if place is None:
            continue
        # Photographs 2i and 2i + 1 are one person's.
        (found,) = decide(draw.index, [identities.encodings[number ^ 1]], Rules(threshold, margin, 0.0))
        named = None if found.person is None else int(found.person.id)
        right += named == place
        wrong += named not in (None, place)
    assert (told.right, told.wrong) == (100 * right / 20, 100 * wrong / 20)


def test_a_report_has_the_default_and_calibrations_that_keep_what_they_promise(draws: list[Draw]) -> None:
    default, lines = measure(draws, people=30, default=0.4, margin=0.05)
    assert default.rates == rates(draws, 0.4, 0.05)
    asked = {line.how: line.rates for line in lines if line.how.startswith("calibrate")}
    assert len(asked) == 6
    assert asked["calibrate --fmr 0.05 --allow-looser"].strangers < 5 + 5
    assert asked["calibrate --fmr 0.05"].strangers <= asked["calibrate --fmr 0.05 --allow-looser"].strangers


def test_means_and_deviations_are_in_percent() -> None:
    assert Rates.of([(1.0, 0.0, 0.5), (0.5, 0.0, 0.0)]) == Rates(75.0, 25.0, 0.0, 25.0, 25.0)


def test_quantiles_count_weights() -> None:
    found = weighted_quantiles(
        np.array([3.0, 1.0, 2.0]), np.array([2.0, 1.0, 1.0]), np.array([0.2, 0.5, 0.6])
    )
    assert found.tolist() == [1.0, 2.0, 3.0]
    assert np.isnan(weighted_quantiles(np.array([]), np.array([]), np.array([0.5]))).all()


def test_more_people_than_have_two_photographs_are_refused(identities: Identities) -> None:
    with pytest.raises(SystemExit, match="only 80 people have more than 1 "):
        list(make_draws(identities, people=81, count=1, seed=1))
