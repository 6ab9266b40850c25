"""Tells when a camera has given nothing for too long: first that it is stalled, then that it is given up."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemon.patience import Patience

PAUSES_KEPT = 10
"""Of the last so many pauses between frames the longest is usual."""
USUAL_TIMES = 2.0
"""A camera that gives a frame every second is not stalled after one and a half."""


class Silence:
    """One capture process, from its start. Times are seconds of the monotonic clock."""

    def __init__(self, patience: Patience, started_s: float, *, live: bool, in_step: bool) -> None:
        """live: it has no end. in_step: it waits to be asked for each frame."""
        self._patience = patience
        self._live = live
        self._in_step = in_step
        self._started_s = started_s
        self._opened_s: float | None = None
        self._asked_s = 0.0
        self._beat_s = 0.0
        self._pauses: deque[float] = deque(maxlen=PAUSES_KEPT)

    def opened(self, now_s: float) -> None:
        """The source is open."""
        self._opened_s = self._asked_s = now_s

    def asked(self, now_s: float) -> None:
        """The next frame was asked for."""
        self._asked_s = now_s

    def heard(self, beat_s: float) -> None:
        """The camera last gave something then; 0: it has not yet."""
        if beat_s > self._beat_s:
            if self._beat_s:
                self._pauses.append(beat_s - self._beat_s)
            self._beat_s = beat_s

    def stalled(self, now_s: float) -> str | None:
        """Why the camera is stalled; None: it is not, or gave nothing yet."""
        if not (self._live and self._beat_s):
            return None
        usual_s = max(self._pauses, default=0.0)
        return _too_long(now_s - self._beat_s, max(self._patience.stalled_s, USUAL_TIMES * usual_s))

    def too_long(self, now_s: float) -> str | None:
        """Why the process is to be given up; None: it is not."""
        patience = self._patience
        if self._opened_s is None:
            late = now_s - self._started_s > patience.start_s
            return f"not open within {patience.start_s:g} s" if late else None
        if self._in_step:
            return _too_long(now_s - self._asked_s, patience.file_silence_s)
        if not self._beat_s:
            return _too_long(now_s - self._opened_s, patience.first_frame_timeout_s + patience.read_timeout_s)
        return _too_long(now_s - self._beat_s, patience.silence_s)


def _too_long(silent_s: float, limit_s: float) -> str | None:
    return f"no frame for {silent_s:.1f} s" if silent_s > limit_s else None
