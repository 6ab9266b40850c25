"""Whom an encoding resembles, and where "nobody" begins."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from gallery.matcher import FACES_AT_ONCE, Index, Match, RunnerUp, match
from gallery.people import PersonName
from tests.gallery.builders import MODEL, index_of, person


def test_a_face_exactly_at_the_threshold_is_a_match() -> None:
    gallery = index_of({"ann": [[0.0, 0.0]]})
    ann = person("ann")
    assert match(gallery, [[0.3, 0.4]], threshold=0.5) == [Match(ann, 0.5, None, ann)]


def test_the_shipped_threshold_can_be_met_exactly_too() -> None:
    gallery = index_of({"ann": [[0.0, 0.0]]})
    (found,) = match(gallery, [[0.36, 0.48]], threshold=0.6)
    assert (found.person, found.distance) == (person("ann"), 0.6)


def test_a_millionth_beyond_the_threshold_is_nobody() -> None:
    gallery = index_of({"ann": [[0.0]]})
    (found,) = match(gallery, [[0.500001]], threshold=0.5)
    assert (found.person, found.distance, found.nearest) == (None, 0.500001, person("ann"))


def test_an_empty_gallery_knows_nobody() -> None:
    assert match(index_of({}), [[0.3, 0.4]], threshold=9.0) == [Match(None, None, None, None)]


def test_no_face_gives_no_match() -> None:
    assert match(index_of({"ann": [[0.0, 0.0]]}), np.zeros((0, 2), np.float32), threshold=0.6) == []


def test_a_person_is_as_near_as_the_nearest_of_their_encodings() -> None:
    gallery = index_of({"ann": [[5.0, 0.0], [1.0, 0.0], [9.0, 0.0]], "bea": [[2.0, 0.0]]})
    (found,) = match(gallery, [[0.0, 0.0]], threshold=1.5)
    assert found == Match(person("ann"), 1.0, RunnerUp("id-of-bea", "bea", 2.0), person("ann"))


def test_the_runner_up_is_another_person_even_when_the_nearest_has_many_near_encodings() -> None:
    gallery = index_of({"ann": [[0.1], [0.2], [0.3]], "bea": [[7.0]]})
    (found,) = match(gallery, [[0.0]], threshold=1.0)
    assert found.runner_up == RunnerUp("id-of-bea", "bea", 7.0)


def test_an_unmatched_face_still_tells_the_nearest_and_the_second_nearest() -> None:
    gallery = index_of({"ann": [[3.0]], "bea": [[2.0]], "cleo": [[4.0]]})
    (found,) = match(gallery, [[0.0]], threshold=1.0)
    assert found == Match(None, 2.0, RunnerUp("id-of-ann", "ann", 3.0), person("bea"))


def test_of_two_people_at_the_same_distance_the_one_enrolled_first_is_named() -> None:
    gallery = index_of({"zoe": [[1.0, 0.0]], "ann": [[0.0, 1.0]]})
    (found,) = match(gallery, [[0.0, 0.0]], threshold=1.0)
    assert found.person == person("zoe")
    assert found.runner_up == RunnerUp("id-of-ann", "ann", 1.0)


def test_encodings_may_be_given_in_any_order_and_people_without_any_are_left_out() -> None:
    people = [person("ann"), person("nobody"), person("bea")]
    index = Index.of(people, [2, 0, 2], [[4.0], [1.0], [3.0]], model=MODEL, revision=7)
    assert index.people == (person("ann"), person("bea"))
    assert index.owners.tolist() == [0, 1, 1]
    assert [found.nearest for found in match(index, [[0.0], [3.5]], 9.0)] == [person("ann"), person("bea")]


def test_more_faces_than_are_compared_at_once_keep_their_order() -> None:
    gallery = index_of({str(i): [[float(i)]] for i in range(3 * FACES_AT_ONCE)})
    faces = [[float(i)] for i in reversed(range(3 * FACES_AT_ONCE))]
    found = match(gallery, faces, threshold=0.0)
    assert [one.person and one.person.name for one in found] == [str(int(face[0])) for face in faces]


def test_a_copy_of_an_enrolled_encoding_is_at_distance_zero_however_long_it_is() -> None:
    rows = np.random.default_rng(3).normal(size=(50, 128)).astype(np.float32) * 1000
    people = [person(str(i)) for i in range(50)]
    index = Index.of(people, range(50), rows, model=MODEL, revision=1)
    assert [found.distance for found in match(index, rows, threshold=0.0)] == [0.0] * 50


coordinates = st.floats(-4, 4, width=32)


@settings(deadline=None)
@given(data=st.data(), people_count=st.integers(1, 6), width=st.integers(1, 8))
def test_a_match_is_what_the_plain_definition_says(
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
    threshold = data.draw(st.floats(0, 8))
    people = [person(str(i)) for i in range(people_count)]

    found = match(Index.of(people, owners, rows, model=MODEL, revision=1), faces, threshold)

    assert found == [by_definition(people, owners, rows, face, threshold) for face in faces]


def by_definition(
    people: list[PersonName],
    owners: list[int],
    rows: NDArray[np.float32],
    face: NDArray[np.float32],
    threshold: float,
) -> Match:
    """The definition in loops: a person's distance is the smallest of theirs, the first of equals wins."""
    best = [math.inf] * len(people)
    for owner, row in zip(owners, rows.astype(np.float64), strict=True):
        difference = row - face.astype(np.float64)
        best[owner] = min(best[owner], float(np.sqrt(np.einsum("i,i->", difference, difference))))
    ranking = sorted(range(len(people)), key=lambda i: best[i])
    nearest, distance = people[ranking[0]], round(best[ranking[0]], 6)
    second = None
    if len(people) > 1:
        other = people[ranking[1]]
        second = RunnerUp(other.id, other.name, round(best[ranking[1]], 6))
    return Match(nearest if distance <= threshold else None, distance, second, nearest)


def test_faces_near_many_look_alikes_are_still_told_apart() -> None:
    # Differences of a few float32 steps on long vectors: what a quick formula alone would get wrong.
    random = np.random.default_rng(11)
    base = random.normal(size=128).astype(np.float32)
    rows = (base + random.normal(size=(2000, 128)).astype(np.float32) * 1e-4).astype(np.float32)
    people = [person(str(i)) for i in range(2000)]
    index = Index.of(people, range(2000), rows, model=MODEL, revision=1)
    for face in rows[::200] + np.float32(1e-6):
        (found,) = match(index, face[None], threshold=1.0)
        assert found == by_definition(people, list(range(2000)), rows, face, 1.0)
