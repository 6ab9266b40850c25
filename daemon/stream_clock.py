"""Holds a stream's own times against the clock: does it fall behind, and are pictures missing in it?"""

from __future__ import annotations

from collections import deque

DRIFT = 0.005
"""A camera's clock that is slow by less is not behind. Quartz is wrong by 0.0001 at most, but some cameras
count frames at a rate that they don't quite have."""
SUSTAINED_S = 0.6
"""It is behind when its frames were late for so long: what was held back after a pause catches up."""
GAPS_KEPT = 100
"""So many distances between frames tell what is usual …"""
GAPS_NEEDED = 25
"""… once there are so many."""
USUAL_SHARE = 0.9
"""The usual distance is one that so many of them don't exceed: some cameras leave out every fifth frame."""
MISSING_TIMES = 2.2
"""A distance of so many usual ones, between frames that come as usual, is pictures that were lost."""
SHORTEST_GAP_S = 0.1
"""Less is nobody's loss."""
STEADY_TIMES = 1.5
STEADY_GAPS = 2
"""After a loss so many frames come as usual, so that a camera that changes its rate has lost nothing."""


class StreamClock:
    """The times of one stream from its opening on."""

    def __init__(self, behind_s: float) -> None:
        """behind_s: how far the stream may be behind where it was at its best."""
        self._behind_s = behind_s
        self._best_s = 0.0
        self._before: tuple[float, float] | None = None
        self._late_since_s: float | None = None
        self._gaps: deque[float] = deque(maxlen=GAPS_KEPT)
        self._suspected_s = 0.0
        self._steady = 0
        self.lag_s = 0.0
        """How far the last frame was behind."""

    def see(self, position_s: float, now_s: float) -> bool:
        """A frame of this time in the stream came now. Whether pictures were lost a few frames before it."""
        before, self._before = self._before, (position_s, now_s)
        if before is None or position_s <= before[0]:
            # The first frame; or its times stand still or begin anew, and nothing can be told by them.
            self._best_s, self._late_since_s, self.lag_s = now_s - position_s, None, 0.0
            self._suspected_s = 0.0
            return False
        gap_s, passed_s = position_s - before[0], now_s - before[1]
        self._best_s = min(now_s - position_s, self._best_s + DRIFT * passed_s)
        self.lag_s = now_s - position_s - self._best_s
        if self.lag_s <= self._behind_s:
            self._late_since_s = None
        elif self._late_since_s is None:
            self._late_since_s = now_s
        return self._lost_pictures(gap_s)

    @property
    def behind(self) -> bool:
        """Whether the stream has been too far behind for a while."""
        if self._before is None or self._late_since_s is None:
            return False
        return self._before[1] - self._late_since_s > SUSTAINED_S

    def _lost_pictures(self, gap_s: float) -> bool:
        known = sorted(self._gaps)
        self._gaps.append(gap_s)
        if len(known) < GAPS_NEEDED:
            return False
        usual_s = known[int(USUAL_SHARE * len(known))]
        if gap_s > max(SHORTEST_GAP_S, MISSING_TIMES * usual_s):
            self._suspected_s, self._steady = gap_s, 0
        elif self._suspected_s:
            self._steady = self._steady + 1 if gap_s <= STEADY_TIMES * usual_s else 0
            if self._steady == STEADY_GAPS:
                self._suspected_s = 0.0
                return True
        return False
