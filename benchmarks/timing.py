"""Times things in turn in one process, so that whatever else the machine does falls on all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Times:
    """What one contender took, a number a round."""

    seconds: tuple[float, ...]

    @property
    def median_ms(self) -> float:
        """The round in the middle."""
        return statistics.median(self.seconds) * 1e3

    def faster_than(self, other: Times) -> tuple[float, float, float]:
        """How many times faster, by round: the lower quartile, the median, the upper quartile."""
        ratios = [theirs / ours for ours, theirs in zip(self.seconds, other.seconds, strict=True)]
        if len(ratios) == 1:
            return ratios[0], ratios[0], ratios[0]
        low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
        return low, middle, high


def interleaved(contenders: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Times]:
    """Every contender once a round, each after a run that does not count, so that the caches are its own."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, work in contenders.items():
            work()
            started = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - started)
    return {name: Times(tuple(taken)) for name, taken in seconds.items()}
