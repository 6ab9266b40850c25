"""Who is named, and every way to be nobody."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gallery.decision import Decision, Rules, decide, distances
from gallery.matcher import Index, RunnerUp
from tests.gallery.builders import MODEL, index_of, person

RULES = Rules(threshold=0.5, margin=0.05, hysteresis=0.03)
ANN, BEA = person("ann"), person("bea")


def index_with(
    encodings: Mapping[str, Sequence[Sequence[float]]],
    thresholds: Mapping[str, float] | None = None,
    nots: Mapping[str, Sequence[Sequence[float]]] | None = None,
) -> Index:
    """An index of these people, some with a threshold of their own or faces that they are not."""
    names = list(encodings)
    not_rows = [(names.index(name), row) for name, rows in (nots or {}).items() for row in rows]
    return Index.of(
        [person(name) for name in names],
        [place for place, name in enumerate(names) for _ in encodings[name]],
        [row for name in names for row in encodings[name]],
        model=MODEL,
        revision=1,
        thresholds=[(thresholds or {}).get(name) for name in names],
        not_owners=[place for place, _ in not_rows],
        not_encodings=[row for _, row in not_rows],
    )


def test_a_face_exactly_at_the_threshold_is_named_and_tells_what_decided() -> None:
    index = index_of({"ann": [[0.0, 0.0]]})
    assert decide(index, [[0.3, 0.4]], RULES) == [Decision(ANN, 0.5, 0.5, ANN, None, "near")]


def test_a_millionth_beyond_the_threshold_is_nobody() -> None:
    (found,) = decide(index_of({"ann": [[0.0]]}), [[0.500001]], RULES)
    assert found == Decision(None, 0.500001, 0.5, ANN, None, "far")


def test_an_empty_gallery_names_nobody() -> None:
    found = decide(index_of({}), [[0.3, 0.4], [0.0, 0.0]], RULES, [None, None])
    assert found == [Decision(None, None, 0.5, None, None, "nobody_enrolled")] * 2


def test_no_face_gives_no_decision() -> None:
    for index in (index_of({}), index_of({"ann": [[0.0, 0.0]]})):
        assert decide(index, np.zeros((0, 2), np.float32), RULES, []) == []


def test_of_one_person_nobody_is_a_runner_up_however_many_references_there_are() -> None:
    (found,) = decide(index_of({"ann": [[0.0], [0.01]]}), [[0.0]], RULES)
    assert (found.person, found.runner_up, found.why) == (ANN, None, "near")


@pytest.mark.parametrize(("other", "named"), [(0.35, True), (0.349999, False), (0.3, False)])
def test_the_runner_up_must_be_at_least_the_margin_farther(other: float, named: bool) -> None:
    index = index_of({"ann": [[0.3, 0.0]], "bea": [[0.0, other]]})
    (found,) = decide(index, [[0.0, 0.0]], RULES)
    assert (found.person, found.why) == ((ANN, "near") if named else (None, "close_call"))
    assert found.nearest == ANN
    assert found.runner_up == RunnerUp(BEA.id, "bea", other)


def test_without_a_margin_of_two_equally_near_the_one_enrolled_first_is_named() -> None:
    index = index_of({"ann": [[0.3, 0.0]], "bea": [[0.0, 0.3]]})
    (found,) = decide(index, [[0.0, 0.0]], Rules(0.5, 0.0, 0.0))
    assert found.person == ANN


@pytest.mark.parametrize(("at", "named"), [(0.5, True), (0.53, True), (0.530001, False)])
def test_a_name_is_kept_up_to_the_hysteresis_beyond_the_threshold(at: float, named: bool) -> None:
    (found,) = decide(index_of({"ann": [[0.0]]}), [[at]], RULES, [ANN.id])
    assert found.person == (ANN if named else None)
    assert found.threshold == 0.53


def test_a_name_is_kept_where_the_runner_up_is_nearer_than_the_margin_by_the_hysteresis() -> None:
    index = index_of({"ann": [[0.3, 0.0]], "bea": [[0.0, 0.32]]})
    for holder, expected in ((ANN.id, ANN), (BEA.id, None), (None, None)):
        (found,) = decide(index, [[0.0, 0.0]], RULES, [holder])
        assert found.person == expected


def test_the_hysteresis_helps_nobody_but_the_person_who_holds_the_name() -> None:
    index = index_of({"ann": [[0.0]], "bea": [[9.0]]})
    (found,) = decide(index, [[0.51]], RULES, [BEA.id])
    assert (found.person, found.threshold) == (None, 0.5)


def test_a_face_beyond_the_gallerys_revision_of_its_name_is_decided_anew() -> None:
    (found,) = decide(index_of({"ann": [[0.0]]}), [[0.1]], RULES, ["id-of-somebody-forgotten"])
    assert found.person == ANN


def test_of_two_faces_that_are_one_person_the_nearer_is_named() -> None:
    index = index_of({"ann": [[0.0]]})
    far, near = decide(index, [[0.3], [-0.2]], RULES)
    assert (near.person, near.why) == (ANN, "near")
    assert far == Decision(None, 0.3, 0.5, ANN, None, "taken")


def test_the_face_that_holds_the_name_keeps_it_against_one_that_is_hardly_nearer() -> None:
    index = index_of({"ann": [[0.0]]})
    for other, winner in ((0.28, 0), (0.26, 1)):
        decisions = decide(index, [[0.3], [other]], RULES, [ANN.id, None])
        assert [decision.person for decision in decisions].index(ANN) == winner
        assert [decision.why for decision in decisions].count("taken") == 1


def test_of_two_equally_near_faces_the_first_is_named() -> None:
    first, second = decide(index_of({"ann": [[0.0]]}), [[0.2], [-0.2]], RULES)
    assert (first.person, second.why) == (ANN, "taken")


def test_a_face_that_would_not_be_named_takes_no_name_from_another() -> None:
    index = index_with({"ann": [[0.0]]}, nots={"ann": [[0.1]]})
    vetoed, named = decide(index, [[0.09], [-0.2]], RULES)
    assert (vetoed.why, named.person) == ("vetoed", ANN)


def test_who_loses_a_name_to_another_face_is_not_given_the_runner_up() -> None:
    index = index_of({"ann": [[0.0]], "bea": [[0.45]]})
    _, loser = decide(index, [[0.0], [0.15]], RULES)
    assert (loser.person, loser.why, loser.runner_up) == (None, "taken", RunnerUp(BEA.id, "bea", 0.3))


def test_two_people_in_one_picture_get_their_own_names() -> None:
    index = index_of({"ann": [[0.0]], "bea": [[1.0]]})
    assert [found.person for found in decide(index, [[0.9], [0.2], [5.0]], RULES)] == [BEA, ANN, None]


@pytest.mark.parametrize(("at", "why"), [(0.19, "near"), (0.2, "vetoed"), (0.4, "vetoed")])
def test_a_face_at_least_as_near_to_one_that_the_person_is_not_is_vetoed(at: float, why: str) -> None:
    index = index_with({"ann": [[0.0]]}, nots={"ann": [[0.4], [7.0]]})
    (found,) = decide(index, [[at]], RULES)
    assert (found.why, found.nearest, found.distance) == (why, ANN, at)


def test_a_veto_holds_against_a_name_that_is_held_and_for_its_person_alone() -> None:
    index = index_with({"ann": [[0.0, 0.0]], "bea": [[0.0, 2.0]]}, nots={"ann": [[0.0, 2.0], [0.1, 0.0]]})
    vetoed, bea = decide(index, [[0.1, 0.0], [0.1, 2.0]], RULES, [ANN.id, None])
    assert (vetoed.person, vetoed.why) == (None, "vetoed")
    assert bea.person == BEA


def test_a_threshold_of_ones_own_counts_instead_of_the_common_one() -> None:
    index = index_with({"ann": [[0.0]], "bea": [[10.0]]}, thresholds={"ann": 0.2})
    strict, common = decide(index, [[0.2], [10.5]], RULES)
    assert (strict.person, strict.threshold) == (ANN, 0.2)
    assert (common.person, common.threshold) == (BEA, 0.5)
    (beyond,) = decide(index, [[0.21]], RULES)
    assert (beyond.person, beyond.why, beyond.threshold) == (None, "far", 0.2)
    (held,) = decide(index, [[0.21]], RULES, [ANN.id])
    assert (held.person, held.threshold) == (ANN, 0.23)


def test_thresholds_of_ones_own_can_be_left_aside() -> None:
    index = index_with({"ann": [[0.0]]}, thresholds={"ann": 0.2})
    (found,) = decide(index, [[0.4]], Rules(0.5, 0.05, 0.03, calibrated=False))
    assert (found.person, found.threshold) == (ANN, 0.5)


def test_what_a_person_without_references_is_not_vetoes_nobody() -> None:
    people = [person("nobody"), ANN]
    index = Index.of(
        people,
        [1],
        [[0.0]],
        model=MODEL,
        revision=1,
        thresholds=[0.1, 0.4],
        not_owners=[0, 1],
        not_encodings=[[0.1], [9.0]],
    )
    assert index.thresholds is not None
    assert index.thresholds.tolist() == [0.4]
    assert (index.not_owners.tolist(), index.not_encodings.tolist()) == ([0], [[9.0]])
    (found,) = decide(index, [[0.1]], RULES)
    assert (found.person, found.threshold) == (ANN, 0.4)


def test_distances_are_told_to_everybodys_nearest_reference() -> None:
    index = index_of({"ann": [[5.0, 0.0], [1.0, 0.0]], "bea": [[0.0, 2.0]]})
    table = distances(index, [[0.0, 0.0], [0.0, 2.0]])
    np.testing.assert_allclose(table, [[1.0, 2.0], [math.sqrt(5), 0.0]], rtol=1e-6)
    assert table.dtype == np.float32
    assert distances(index_of({}), [[0.0, 0.0]]).shape == (1, 0)
    assert distances(index, np.zeros((0, 2), np.float32)).shape == (0, 2)


@settings(deadline=None)
@given(data=st.data(), people_count=st.integers(1, 5), faces_count=st.integers(0, 6))
def test_nobody_is_named_twice_and_every_name_keeps_the_rules(
    data: st.DataObject, people_count: int, faces_count: int
) -> None:
    coordinates = st.floats(-1, 1, width=32)
    rows = data.draw(arrays(np.float32, (people_count, 2, 3), elements=coordinates))
    faces = data.draw(arrays(np.float32, (faces_count, 3), elements=coordinates))
    index = index_of({str(i): rows[i].tolist() for i in range(people_count)})
    ids = [None, *(someone.id for someone in index.people)]
    held = data.draw(st.lists(st.sampled_from(ids), min_size=faces_count, max_size=faces_count))
    rules = Rules(data.draw(st.floats(0, 2)), data.draw(st.floats(0, 0.5)), data.draw(st.floats(0, 0.3)))

    decisions = decide(index, faces, rules, held)

    names = [decision.person.id for decision in decisions if decision.person]
    assert len(names) == len(set(names))
    for decision, row, holder in zip(decisions, distances(index, faces), held, strict=True):
        assert decision.nearest is not None
        assert decision.distance is not None
        assert decision.distance == pytest.approx(row.min(), abs=2e-6)
        bonus = rules.hysteresis if holder == decision.nearest.id else 0.0
        assert decision.threshold == pytest.approx(rules.threshold + bonus, abs=1e-6)
        if decision.person is None:
            assert decision.why != "near"
            continue
        assert (decision.person, decision.why) == (decision.nearest, "near")
        assert decision.distance <= decision.threshold
        if decision.runner_up is not None:
            assert decision.runner_up.distance - decision.distance >= rules.margin - bonus - 3e-6


def test_a_spread_widens_every_distance_before_it_meets_the_threshold() -> None:
    gallery = index_of({"ann": [[0.0, 0.0]], "bob": [[0.0, 1.0]]})
    rules = Rules(threshold=0.5, margin=0.0, hysteresis=0.0)
    # A square of 0.09 and a spread of 0.16 are the square of 0.5, and 0.49 and 0.16 that of 0.806226.
    (decision,) = decide(gallery, [[0.0, 0.3]], rules, spreads=[0.16])
    assert decision.person is not None
    assert decision.distance == 0.5
    assert decision.runner_up is not None
    assert decision.runner_up.distance == 0.806226
    (farther,) = decide(gallery, [[0.0, 0.3]], rules, spreads=[0.17])
    assert (farther.person, farther.why) == (None, "far")
