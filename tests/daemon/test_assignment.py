"""Which face continues which track: by place, by looks, never two for one."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from daemon.assignment import SAME_FACE, SAME_PLACE, is_ambiguous, overlaps, pair

NONE = np.zeros((0, 4), np.float32)


def boxes(*lefts: float) -> NDArray[np.float32]:
    """Squares of 100 pixels in one row."""
    return np.array([[left, 0, left + 100, 100] for left in lefts], np.float32).reshape(-1, 4)


def paired(tracks: NDArray[np.float32], faces: NDArray[np.float32], looks: object = None) -> dict[int, int]:
    known = np.full((len(tracks), len(faces)), np.nan) if looks is None else np.array(looks, float)
    return dict(pair(tracks, faces, known.astype(np.float32), overlaps(tracks, faces)))


def test_overlap_is_intersection_over_union() -> None:
    np.testing.assert_allclose(overlaps(boxes(0), boxes(0, 50, 100)), [[1.0, 1 / 3, 0.0]], atol=1e-6)
    assert overlaps(NONE, boxes(0)).shape == (0, 1)


def test_faces_that_hardly_moved_continue_their_tracks() -> None:
    assert paired(boxes(0, 300), boxes(305, 5)) == {0: 1, 1: 0}


def test_without_tracks_or_faces_there_are_no_pairs() -> None:
    assert paired(NONE, boxes(0)) == {}
    assert paired(boxes(0), NONE) == {}


def test_a_face_that_is_elsewhere_continues_nothing_by_place() -> None:
    assert paired(boxes(0), boxes(200)) == {}


def test_a_face_that_jumped_continues_its_track_by_its_looks_but_only_within_reach() -> None:
    assert paired(boxes(0), boxes(200), [[0.4]]) == {0: 0}
    assert paired(boxes(0), boxes(200), [[SAME_FACE + 0.01]]) == {}
    assert paired(boxes(0), boxes(301), [[0.4]]) == {}


def test_two_who_crossed_are_told_apart_by_their_looks() -> None:
    assert paired(boxes(0, 40), boxes(0, 40), [[1.1, 0.4], [0.3, 1.2]]) == {0: 1, 1: 0}


def test_another_face_in_the_same_place_does_not_continue_the_track() -> None:
    assert paired(boxes(0), boxes(0), [[2 * SAME_FACE + 0.01]]) == {}
    assert paired(boxes(0), boxes(0), [[2 * SAME_FACE - 0.01]]) == {0: 0}


@pytest.mark.parametrize(
    ("tracks", "faces", "doubt"),
    [
        ((0,), (5,), [False]),
        ((0, 300), (5, 305), [False, False]),
        ((0,), (5, 300), [False, True]),
        ((0, 40), (5,), [True]),
        ((0, 70), (5, 75), [True, True]),
        ((), (5,), [False]),
    ],
)
def test_faces_are_in_doubt_where_place_alone_does_not_tell(
    tracks: tuple[int, ...], faces: tuple[int, ...], doubt: list[bool]
) -> None:
    assert SAME_PLACE == 0.3
    assert is_ambiguous(overlaps(boxes(*tracks), boxes(*faces))).tolist() == doubt
