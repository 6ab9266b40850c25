"""A condition that has to last before it holds, and to be away for a while before it does not."""

from __future__ import annotations


class Hysteresis:
    """Whether a condition holds, by what frames say of it. Times are seconds of the frames' own time."""

    def __init__(self, begin_s: float, end_s: float) -> None:
        """begin_s: how long every opinion must be yes. end_s: how long every one must be no."""
        self._begin_s = begin_s
        self._end_s = end_s
        self._otherwise_since_s: float | None = None
        self.holds = False

    def see(self, opinion: bool | None, now_s: float) -> bool:
        """Whether it holds after this opinion; None is in between, and speaks for things as they are."""
        if opinion is None or opinion == self.holds:
            self._otherwise_since_s = None
            return self.holds
        if self._otherwise_since_s is None:
            self._otherwise_since_s = now_s
        if now_s - self._otherwise_since_s >= (self._end_s if self.holds else self._begin_s):
            self.holds = opinion
            self._otherwise_since_s = None
        return self.holds
