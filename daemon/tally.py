"""What is counted of each camera while the daemon runs, and told with each heartbeat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from daemon.counts import Counts
from daemon.frame import Frame
from daemon.vocabulary import CameraPulse, Unfit


@dataclass(slots=True)
class Tally:
    """Of one camera."""

    state: str = "starting"
    """starting, or the last state that was published."""
    processed: int = 0
    """Frames that went through the pipeline."""
    newest: Frame | None = None
    """The frame processed last, for a snapshot."""
    unfit: Counter[str] = field(default_factory=Counter)
    """Reasons why faces were not fit to decide, over all faces of all frames."""


def pulses(tallies: Mapping[str, Tally], counts: Mapping[str, Counts]) -> list[CameraPulse]:
    """What the heartbeat says of each camera; counts: what capture counted, nothing before it has begun."""
    found = []
    for name, tally in tallies.items():
        count = counts.get(name)
        read, replaced = (count.read, count.replaced) if count else (0, 0)
        unfit = [Unfit(reason, times) for reason, times in tally.unfit.most_common()]
        found.append(CameraPulse(name, tally.state, read, tally.processed, replaced, unfit))
    return found
