"""The benchmarks of many cameras, of a long run and of lost packets: their verdicts can say no."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks import cameras, soak
from benchmarks.process_tree import Held

if TYPE_CHECKING:
    from collections.abc import Sequence

HELD = Held(1_000_000_000, 500_000_000, 4, 20, {"socket": 30, "memfd": 6})


def measured(processed: Sequence[int], latency_ms: float = 100.0) -> cameras.Measured:
    """Of ten seconds at ten frames a second."""
    names = [f"camera-{number}" for number in range(len(processed))]
    counts = dict(zip(names, processed, strict=True))
    return cameras.Measured(len(names), 10.0, dict.fromkeys(names, 100), counts, [latency_ms] * 50, 1.0, 0.1)


def holding(played: cameras.Measured) -> list[bool]:
    return [verdict.holds for verdict in cameras.verdicts(played)]


def test_of_eight_cameras_each_has_to_be_followed_and_soon() -> None:
    assert holding(measured([100] * 7 + [80])) == [True, True]
    assert holding(measured([100] * 7 + [79])) == [False, True]
    assert holding(measured([100] * 8, latency_ms=400.0)) == [True, False]
    assert holding(replace(measured([100] * 8), latencies_ms=[])) == [True, False]


def test_of_more_cameras_none_may_have_less_than_its_part_of_the_others_frames() -> None:
    assert holding(measured([50] * 11 + [35])) == [True]
    assert holding(measured([50] * 11 + [34])) == [False]
    assert holding(measured([0] * 11 + [50])) == [False]
    assert holding(measured([0] * 12)) == [False]


def test_memory_is_held_against_the_first_window_after_the_warm_up() -> None:
    samples = [(second, 900.0 if second < 120 else 100.0) for second in map(float, range(360))]
    assert soak.windows(samples) == [(120.0, 100.0), (240.0, 100.0)]
    assert soak.memory_verdict([(120.0, 100.0), (240.0, 104.9)]).holds
    assert not soak.memory_verdict([(120.0, 100.0), (240.0, 105.1), (360.0, 100.0)]).holds
    assert not soak.memory_verdict([(120.0, 100.0), (240.0, 94.0)]).holds
    assert not soak.memory_verdict([(120.0, 100.0)]).holds


def test_one_descriptor_thread_process_or_shared_memory_more_is_a_leak() -> None:
    assert soak.leak_verdict(HELD, HELD).holds
    assert soak.leak_verdict(HELD, replace(HELD, threads=19)).holds
    assert not soak.leak_verdict(HELD, replace(HELD, threads=21)).holds
    assert not soak.leak_verdict(HELD, replace(HELD, processes=5)).holds
    assert not soak.leak_verdict(HELD, replace(HELD, descriptors={"socket": 29, "memfd": 7})).holds
    assert not soak.leak_verdict(HELD, replace(HELD, descriptors={**HELD.descriptors, "pipe": 1})).holds
