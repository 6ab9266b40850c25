"""Plays the faults that were asked for side by side, and prints the table."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace

import pytest

from tests.faults.faults import FAULTS, Fault
from tests.faults.matrix import Outcome, play, table

AT_ONCE = 3
"""So many faults are played at the same time; each has its own daemon, cameras and subscriber."""

OUTCOMES = pytest.StashKey[dict[str, Outcome]]()


class Matrix:
    """The faults that are under way or done."""

    def __init__(self, faults: list[Fault], pool: ThreadPoolExecutor, done: dict[str, Outcome]) -> None:
        self._played = {fault.name: pool.submit(play, fault) for fault in faults}
        self._done = done

    def outcome(self, fault: Fault) -> Outcome:
        """What came of it; alone once more if it was not good enough beside the others."""
        played = self._played[fault.name]
        first = [str(played.exception())] if played.exception() else played.result().problems()
        outcome = played.result() if not first else self._alone(fault, first)
        self._done[fault.name] = outcome
        return outcome

    def _alone(self, fault: Fault, first: list[str]) -> Outcome:
        """When all the others are done; this machine may be too small for several at once."""
        wait(self._played.values())
        return replace(play(fault), first_try="; ".join(first))


@pytest.fixture(scope="session")
def matrix(request: pytest.FixtureRequest) -> Iterator[Matrix]:
    """All faults that tests of this session ask for, the first of them begun."""
    items = (item for item in request.session.items if isinstance(item, pytest.Function))
    asked = [item.callspec.params.get("fault") for item in items if hasattr(item, "callspec")]
    done = request.config.stash.setdefault(OUTCOMES, {})
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="fault") as pool:
        yield Matrix([fault for fault in FAULTS if fault in asked], pool, done)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    outcomes = config.stash.get(OUTCOMES, {})
    if outcomes:
        terminalreporter.section("fault matrix")
        for line in table(outcomes[fault.name] for fault in FAULTS if fault.name in outcomes):
            terminalreporter.line(line)
