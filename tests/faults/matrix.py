"""Plays faults, measures what the daemon made of each, and writes the table."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from tests.faults.faults import Fault
from tests.faults.stage import Stage, Told

AGAIN_S = 12.0
"""The camera is seen again so soon after the fault's end."""
GAP_S = 0.5
"""The other camera's frames are never farther apart."""
STEADY_S = 1.5
"""Both cameras are seen for so long before and after."""
PATIENCE_S = 30.0
"""So long is waited for what should come sooner, to know how late it comes."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one fault. Seconds."""

    fault: Fault
    noticed_s: float
    """From its beginning to the first event that tells of it."""
    state: str
    reason: str
    again_s: float
    """From its end to the first frame that was seen and processed again."""
    gap_s: float
    """The longest time between two frames of the other camera."""
    first_try: str | None = None
    """What was not good enough beside other faults: this was measured alone. None: it is the first try."""

    def problems(self) -> list[str]:
        """What is not as it has to be."""
        found = []
        if self.noticed_s > self.fault.notice_s:
            found.append(f"noticed after {self.noticed_s:.1f} s, not within {self.fault.notice_s:g} s")
        if not re.search(self.fault.reason, self.reason):
            found.append(f"the reason {self.reason!r} does not say {self.fault.reason!r}")
        if self.again_s > AGAIN_S:
            found.append(f"seen again after {self.again_s:.1f} s, not within {AGAIN_S:g} s")
        if self.gap_s > GAP_S:
            found.append(f"the other camera had a gap of {self.gap_s:.2f} s, more than {GAP_S:g} s")
        return found


def play(fault: Fault) -> Outcome:
    """One fault from before its beginning to after its end."""
    with Stage(fault.server, fault.password) as stage:
        if fault.from_start:
            fault.begin(stage)
            began_s = stage.listen()
        else:
            opened_s = stage.listen()
            for camera in ("door", "gate"):
                seen = stage.wait_for(partial(first_seen, camera=camera, after_s=opened_s), PATIENCE_S)
                steady_s = seen.arrived_s + STEADY_S
                stage.wait_for(partial(first_seen, camera=camera, after_s=steady_s), PATIENCE_S)
            began_s = time.monotonic()
            fault.begin(stage)
        noticed = stage.wait_for(partial(_noticed, states=fault.states, after_s=began_s), PATIENCE_S)
        ended_s = began_s
        if fault.end is not None:
            time.sleep(max(0.0, began_s + fault.hold_s - time.monotonic()))
            ended_s = time.monotonic()
            fault.end(stage)
        after_s = max(ended_s, noticed.arrived_s)
        again = stage.wait_for(partial(_seen_well, after_s=after_s), PATIENCE_S)
        stage.wait_for(partial(first_seen, camera="gate", after_s=again.arrived_s + STEADY_S), PATIENCE_S)
        return Outcome(
            fault,
            noticed.arrived_s - began_s,
            noticed.kind,
            noticed.reason or "",
            again.arrived_s - ended_s,
            _longest_gap_s(stage.told("gate")),
        )


def table(outcomes: Iterable[Outcome]) -> list[str]:
    """Lines of Markdown."""
    lines = [
        "| fault | noticed after | as | reason | seen again after | the other camera's longest gap |",
        "|---|---|---|---|---|---|",
    ]
    for each in outcomes:
        mark = f" (alone; at first: {each.first_try})" if each.first_try else ""
        lines.append(
            f"| {each.fault.name}{mark} | {each.noticed_s:.1f} s | `{each.state}` | {each.reason} | "
            f"{each.again_s:.1f} s | {each.gap_s:.2f} s |"
        )
    return lines


def first_seen(told: list[Told], camera: str, after_s: float) -> Told | None:
    """A frame of this camera after this moment."""
    late = (each for each in reversed(told) if each.arrived_s > after_s)
    return next((each for each in late if each.camera == camera and each.kind == "sighting"), None)


def _noticed(told: list[Told], states: tuple[str, ...], after_s: float) -> Told | None:
    """The first change of the door's state."""
    for each in told:
        if each.camera == "door" and each.kind not in ("sighting", "online") and each.arrived_s > after_s:
            assert each.kind in states, f"told to be {each.kind} ({each.reason}), not {' or '.join(states)}"
            return each
    return None


def _seen_well(told: list[Told], after_s: float) -> Told | None:
    """The first frame of the door after this moment while its state is online."""
    state = "starting"
    for each in told:
        if each.camera != "door":
            continue
        if each.kind != "sighting":
            state = each.kind
        elif state == "online" and each.arrived_s > after_s:
            return each
    return None


def _longest_gap_s(told: list[Told]) -> float:
    times = [each.captured_s for each in told if each.captured_s is not None]
    return max(later - sooner for sooner, later in pairwise(times))
