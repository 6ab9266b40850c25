"""Whom an encoding resembles most."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from gallery.matcher import FACES_AT_ONCE, Index, Nearest, RunnerUp, nearest, runner_up
from tests.gallery.builders import MODEL, index_of, person


def test_no_face_has_no_nearest() -> None:
    assert nearest(index_of({"ann": [[0.0, 0.0]]}), np.zeros((0, 2), np.float32)) == []


def test_distances_are_rounded_so_that_a_threshold_can_be_met_exactly() -> None:
    (found,) = nearest(index_of({"ann": [[0.0, 0.0]]}), [[0.36, 0.48]])
    assert found == Nearest(0, 0.6, None, None)


def test_a_person_is_as_near_as_the_nearest_of_their_encodings() -> None:
    gallery = index_of({"ann": [[5.0, 0.0], [1.0, 0.0], [9.0, 0.0]], "bea": [[2.0, 0.0]]})
    (found,) = nearest(gallery, [[0.0, 0.0]])
    assert found == Nearest(0, 1.0, 1, 2.0)
    assert runner_up(gallery, found) == RunnerUp("id-of-bea", "bea", 2.0)


def test_the_second_is_another_person_even_when_the_nearest_has_many_near_encodings() -> None:
    gallery = index_of({"ann": [[0.1], [0.2], [0.3]], "bea": [[7.0]]})
    assert nearest(gallery, [[0.0]]) == [Nearest(0, 0.1, 1, 7.0)]


def test_of_one_person_there_is_no_second() -> None:
    gallery = index_of({"ann": [[0.1], [0.2]]})
    (found,) = nearest(gallery, [[0.0]])
    assert (found.second, runner_up(gallery, found)) == (None, None)


def test_of_two_people_at_the_same_distance_the_one_enrolled_first_is_nearest() -> None:
    gallery = index_of({"zoe": [[1.0, 0.0]], "ann": [[0.0, 1.0]]})
    assert nearest(gallery, [[0.0, 0.0]]) == [Nearest(0, 1.0, 1, 1.0)]


def test_what_is_not_finite_is_refused() -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="not finite"):
            nearest(index_of({"ann": [[0.0]]}), [[value]])


def test_encodings_may_be_given_in_any_order_and_people_without_any_are_left_out() -> None:
    people = [person("ann"), person("nobody"), person("bea")]
    index = Index.of(people, [2, 0, 2], [[4.0], [1.0], [3.0]], model=MODEL, revision=7)
    assert index.people == (person("ann"), person("bea"))
    assert index.owners.tolist() == [0, 1, 1]
    assert [found.first for found in nearest(index, [[0.0], [3.5]])] == [0, 1]


def test_more_faces_than_are_compared_at_once_keep_their_order() -> None:
    gallery = index_of({str(i): [[float(i)]] for i in range(3 * FACES_AT_ONCE)})
    faces = [[float(i)] for i in reversed(range(3 * FACES_AT_ONCE))]
    assert [found.first for found in nearest(gallery, faces)] == [int(face[0]) for face in faces]


def test_a_copy_of_an_enrolled_encoding_is_at_distance_zero_however_long_it_is() -> None:
    rows = np.random.default_rng(3).normal(size=(50, 128)).astype(np.float32) * 1000
    people = [person(str(i)) for i in range(50)]
    index = Index.of(people, range(50), rows, model=MODEL, revision=1)
    assert [found.distance for found in nearest(index, rows)] == [0.0] * 50


coordinates = st.floats(-4, 4, width=32)


@settings(deadline=None)
@given(data=st.data(), people_count=st.integers(1, 6), width=st.integers(1, 8))
def test_the_nearest_are_what_the_plain_definition_says(
    data: st.DataObject, people_count: int, width: int
) -> None:
    count = data.draw(st.integers(people_count, 24))
    rows = data.draw(arrays(np.float32, (count, width), elements=coordinates))
    faces = data.draw(arrays(np.float32, (data.draw(st.integers(1, 12)), width), elements=coordinates))
    owners = list(range(people_count)) + data.draw(
        st.lists(
            st.integers(0, people_count - 1), min_size=count - people_count, max_size=count - people_count
        )
    )
    people = [person(str(i)) for i in range(people_count)]

    found = nearest(Index.of(people, owners, rows, model=MODEL, revision=1), faces)

    assert found == [by_definition(people_count, owners, rows, face) for face in faces]


def by_definition(
    people_count: int, owners: list[int], rows: NDArray[np.float32], face: NDArray[np.float32]
) -> Nearest:
    """The definition in loops: a person's distance is the smallest of theirs, the first of equals wins."""
    best = [math.inf] * people_count
    for owner, row in zip(owners, rows.astype(np.float64), strict=True):
        difference = row - face.astype(np.float64)
        best[owner] = min(best[owner], float(np.sqrt(np.einsum("i,i->", difference, difference))))
    first, *others = sorted(range(people_count), key=lambda i: best[i])
    second = others[0] if others else None
    return Nearest(first, round(best[first], 6), second, None if second is None else round(best[second], 6))


def test_faces_near_many_look_alikes_are_still_told_apart() -> None:
    # Differences of a few float32 steps on long vectors: what a quick formula alone would get wrong.
    random = np.random.default_rng(11)
    base = random.normal(size=128).astype(np.float32)
    rows = (base + random.normal(size=(2000, 128)).astype(np.float32) * 1e-4).astype(np.float32)
    people = [person(str(i)) for i in range(2000)]
    index = Index.of(people, range(2000), rows, model=MODEL, revision=1)
    for face in rows[::200] + np.float32(1e-6):
        assert nearest(index, face[None]) == [by_definition(2000, list(range(2000)), rows, face)]
