"""When a silent camera is stalled, and when it is given up."""

from __future__ import annotations

import pytest

from daemon.patience import Patience
from daemon.silence import Silence

PATIENCE = Patience(
    start_s=20.0, stalled_s=1.5, silence_s=3.5, first_frame_timeout_s=12.0, read_timeout_s=3.0
)


def live(started_s: float = 100.0) -> Silence:
    return Silence(PATIENCE, started_s, live=True, in_step=False)


def beating(period_s: float, count: int = 30) -> tuple[Silence, float]:
    """A camera that gave so many frames, and when the last one came."""
    silence = live()
    silence.opened(101.0)
    for i in range(count):
        silence.heard(102.0 + i * period_s)
    return silence, 102.0 + (count - 1) * period_s


def test_a_camera_is_stalled_and_later_given_up() -> None:
    silence, last_s = beating(0.04)
    assert silence.stalled(last_s + 1.49) is None
    assert silence.stalled(last_s + 1.51) == "no frame for 1.5 s"
    assert silence.too_long(last_s + 3.49) is None
    assert silence.too_long(last_s + 3.51) == "no frame for 3.5 s"


def test_a_camera_of_one_frame_a_second_is_not_stalled_by_its_own_pauses() -> None:
    silence, last_s = beating(1.0)
    assert silence.stalled(last_s + 1.9) is None
    assert silence.stalled(last_s + 2.1) == "no frame for 2.1 s"


def test_a_long_pause_is_forgotten_after_ten_frames() -> None:
    silence, last_s = beating(0.04)
    silence.heard(last_s + 3)
    assert silence.stalled(last_s + 3 + 5.9) is None
    for i in range(1, 11):
        silence.heard(last_s + 3 + i * 0.04)
    assert silence.stalled(last_s + 3.4 + 1.6) is not None


def test_before_its_first_frame_nothing_is_stalled_and_much_is_waited_for() -> None:
    silence = live()
    assert silence.too_long(119.9) is None
    assert silence.too_long(120.1) == "not open within 20 s"
    silence.opened(110.0)
    silence.heard(0.0)
    assert silence.stalled(124.0) is None
    assert silence.too_long(124.9) is None
    assert silence.too_long(125.2) == "no frame for 15.2 s"


@pytest.mark.parametrize("in_step", [True, False])
def test_a_file_is_never_stalled(in_step: bool) -> None:
    silence = Silence(PATIENCE, 100.0, live=False, in_step=in_step)
    silence.opened(101.0)
    silence.heard(102.0)
    assert silence.stalled(130.0) is None


def test_a_file_that_is_read_in_step_has_half_a_minute() -> None:
    silence = Silence(PATIENCE, 100.0, live=False, in_step=True)
    silence.opened(101.0)
    silence.asked(200.0)
    assert silence.too_long(229.9) is None
    assert silence.too_long(230.1) == "no frame for 30.1 s"
