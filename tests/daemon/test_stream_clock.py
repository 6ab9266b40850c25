"""A stream's times against the clock: slow ones are behind, odd ones are not."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from daemon.stream_clock import StreamClock

PERIOD_S = 0.04


def played(moments: Iterable[tuple[float, float]]) -> tuple[StreamClock, int]:
    """A clock that has seen frames of these (position, arrival), and how many losses it told of."""
    clock = StreamClock(behind_s=1.2)
    losses = 0
    for position_s, now_s in moments:
        losses += clock.see(position_s, now_s)
        if clock.behind:
            break
    return clock, losses


def test_a_stream_at_its_own_rate_is_never_behind_and_loses_nothing() -> None:
    clock, losses = played((100 + i * PERIOD_S, 5000 + i * PERIOD_S) for i in range(5000))
    assert not clock.behind
    assert clock.lag_s == pytest.approx(0, abs=1e-6)
    assert losses == 0


@pytest.mark.parametrize(("speed", "seconds"), [(0.5, 4), (0.25, 3), (0.9, 20)])
def test_a_slow_stream_is_behind_before_long(speed: float, seconds: float) -> None:
    clock, _ = played((i * PERIOD_S * speed, i * PERIOD_S) for i in range(round(seconds / PERIOD_S)))
    assert clock.behind
    assert clock.lag_s > 1.2


@pytest.mark.parametrize("speed", [0.9999, 0.997, 1.003])
def test_a_clock_that_is_a_little_wrong_is_not_behind_after_a_day(speed: float) -> None:
    clock, losses = played((i * 1.0 * speed, i * 1.0) for i in range(86_400))
    assert not clock.behind
    assert losses == 0


def test_what_was_read_while_opening_comes_at_once_and_is_where_the_lag_counts_from() -> None:
    burst = [(i * PERIOD_S, 10 + i * 0.001) for i in range(50)]
    then = [(2 + i * PERIOD_S, 10.05 + i * PERIOD_S) for i in range(500)]
    clock, _ = played([*burst, *then])
    assert not clock.behind
    assert clock.lag_s < 0.1


def test_a_pause_that_is_caught_up_is_not_behind() -> None:
    late = [(i * PERIOD_S, max(i * PERIOD_S, 6 + i * 0.001)) for i in range(100, 1000)]
    clock, _ = played([*((i * PERIOD_S, i * PERIOD_S) for i in range(100)), *late])
    assert not clock.behind


@pytest.mark.parametrize("position_s", [0.0, -5.0])
def test_times_that_stand_still_or_begin_anew_tell_nothing(position_s: float) -> None:
    clock, losses = played((position_s, i * PERIOD_S) for i in range(1000))
    assert not clock.behind
    assert losses == 0
    again = [((i % 200) * PERIOD_S, i * PERIOD_S) for i in range(2000)]
    assert not played(again)[0].behind


def test_pictures_that_are_missing_between_steady_ones_are_a_loss() -> None:
    kept = [i for i in range(400) if i not in (100, 101, 102, 250, 251, 252, 253, 254)]
    assert played((i * PERIOD_S, i * PERIOD_S) for i in kept)[1] == 2


def test_a_camera_that_leaves_out_every_sixth_frame_loses_nothing() -> None:
    kept = [i for i in range(2000) if i % 6]
    assert played((i / 30, i / 30) for i in kept)[1] == 0


def test_times_that_tremble_are_no_losses() -> None:
    trembling = random.Random(1)
    times = [i * PERIOD_S + trembling.uniform(-0.015, 0.015) for i in range(5000)]
    assert played((time_s, time_s) for time_s in times)[1] == 0


def test_a_camera_that_changes_its_rate_is_hardly_suspected() -> None:
    fast = [i * PERIOD_S for i in range(500)]
    slow = [fast[-1] + i * 0.2 for i in range(1, 300)]
    assert played((time_s, time_s) for time_s in [*fast, *slow])[1] <= 1
