"""A condition has to last, at its beginning and at its end."""

from __future__ import annotations

from daemon.hysteresis import Hysteresis


def after(*opinions: tuple[bool | None, float]) -> Hysteresis:
    hysteresis = Hysteresis(begin_s=2.0, end_s=1.0)
    for opinion, now_s in opinions:
        hysteresis.see(opinion, now_s)
    return hysteresis


def test_it_holds_once_it_was_so_for_long_enough_and_not_a_moment_sooner() -> None:
    assert not after((True, 10.0), (True, 11.9)).holds
    assert after((True, 10.0), (True, 12.0)).holds


def test_one_contrary_opinion_has_it_begin_anew() -> None:
    assert not after((True, 10.0), (False, 11.0), (True, 11.5), (True, 13.4)).holds
    assert not after((True, 10.0), (None, 11.0), (True, 11.5), (True, 13.4)).holds


def test_it_ends_as_slowly_as_was_asked() -> None:
    held = [(True, 10.0), (True, 12.0)]
    assert after(*held, (False, 13.0), (False, 13.9)).holds
    assert not after(*held, (False, 13.0), (False, 14.0)).holds
    assert after(*held, (False, 13.0), (None, 13.5), (False, 14.0)).holds


def test_what_is_in_between_changes_nothing() -> None:
    assert not after(*((None, float(second)) for second in range(100))).holds
    assert after((True, 0.0), (True, 2.0), *((None, float(second)) for second in range(3, 100))).holds
