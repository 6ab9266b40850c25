"""What is counted of each camera while the daemon runs, and told with each heartbeat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from daemon.counts import Counts
from daemon.frame import CameraChange, Frame
from daemon.vocabulary import CameraPulse, Reopened, Unfit


@dataclass(slots=True)
class Tally:
    """Of one camera."""

    state: str = "starting"
    """starting, or the last state that was published."""
    reason: str | None = None
    """Why, as it was published."""
    since: str | None = None
    """The time of the event that told it; None: none was."""
    arrived_ns: int | None = None
    """Frame.grabbed_monotonic_ns of the newest that came, processed or not; None: none came."""
    processed: int = 0
    """Frames that went through the pipeline."""
    newest: Frame | None = None
    """The frame processed last, for a snapshot."""
    unfit: Counter[str] = field(default_factory=Counter)
    """Reasons why faces were not fit to decide, over all faces of all frames."""

    def told(self, change: CameraChange, time: str) -> None:
        """A change was published; time: of its event."""
        self.state, self.reason, self.since = change.state, change.reason, time


def note_arrivals(tallies: Mapping[str, Tally], happened: Iterable[Frame | CameraChange]) -> None:
    """Takes down which frames came, whatever becomes of them."""
    for item in happened:
        if isinstance(item, Frame):
            tallies[item.camera].arrived_ns = item.grabbed_monotonic_ns


def pulses(
    tallies: Mapping[str, Tally], counts: Mapping[str, Counts], monotonic_ns: int
) -> list[CameraPulse]:
    """What the heartbeat of this moment says of each camera.

    counts: what capture counted, nothing before it has begun.
    """
    found = []
    for name, tally in tallies.items():
        count = counts.get(name, Counts())
        pulse = CameraPulse(
            name=name,
            state=tally.state,
            frames_read=count.read,
            frames_processed=tally.processed,
            frames_replaced=count.replaced,
            unfit=[Unfit(reason, times) for reason, times in tally.unfit.most_common()],
            reason=tally.reason,
            since=tally.since,
            frame_age_s=None
            if tally.arrived_ns is None
            else round((monotonic_ns - tally.arrived_ns) / 1e9, 3),
            reopened=[Reopened(cause, times) for cause, times in count.losses.most_common()],
        )
        found.append(pulse)
    return found
