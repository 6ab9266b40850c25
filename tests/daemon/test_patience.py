"""The pauses before a lost camera is tried again."""

from __future__ import annotations

from daemon.patience import PAUSE_JITTER, Patience, Pauses

PATIENCE = Patience(first_pause_s=0.5, longest_pause_s=10.0, good_s=30.0)


def test_pauses_double_up_to_the_longest_and_are_never_longer_than_that() -> None:
    pauses = Pauses(PATIENCE)
    for expected_s in [0.5, 1, 2, 4, 8, 10, 10, 10]:
        assert (1 - PAUSE_JITTER) * expected_s <= pauses.failed() <= expected_s


def test_cameras_that_are_lost_together_do_not_knock_together() -> None:
    assert len({Pauses(PATIENCE).failed() for _ in range(10)}) > 1


def test_a_camera_that_saw_for_long_enough_is_trusted_again() -> None:
    pauses = Pauses(PATIENCE)
    for _ in range(5):
        pauses.failed()
    pauses.saw(now_s=100)
    pauses.saw(now_s=130)
    assert pauses.failed() <= 0.5


def test_a_camera_that_flickers_is_not_trusted_for_the_sum_of_its_glimpses() -> None:
    pauses = Pauses(PATIENCE)
    for at_s in [0.0, 20.0, 40.0, 60.0]:
        last_s = pauses.failed()
        pauses.saw(at_s)
        pauses.saw(at_s + 19)
    assert last_s >= (1 - PAUSE_JITTER) * 4


def test_a_camera_may_be_away_for_years() -> None:
    pauses = Pauses(PATIENCE)
    assert max(pauses.failed() for _ in range(5000)) <= 10
