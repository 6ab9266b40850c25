"""Whatever is sent to the replay socket neither ends the daemon nor makes it grow much."""

from __future__ import annotations

from benchmarks.hostile import MOST_GROWTH_MB, fuzzed, victim


def test_a_thousand_odd_requests_are_answered_and_cost_nothing() -> None:
    with victim() as attacked:
        found = fuzzed(attacked, 1_000)
        assert found.answered + found.cut_off == found.requests == 1_000
        assert 100 < found.errors < found.answered
        assert found.growth_mb < MOST_GROWTH_MB
        attacked.process.terminate()
        assert attacked.process.wait(30) == 0
