"""Where the frames of a file stand in it, also where the file itself does not know."""

from __future__ import annotations

import math

FALLBACK_FPS = 25.0
"""A folder of images plays at this rate, and so does a file that doesn't know its own."""


class FilePositions:
    """The positions of a file's frames, each after the last."""

    def __init__(self, fps: float) -> None:
        """fps: as the file says; nonsense is passed over."""
        self._period_ns = round(1e9 / (fps if 0.1 <= fps <= 1000 else FALLBACK_FPS))
        self.position_ns = -self._period_ns

    def next(self, own_ns: float | None) -> None:
        """Goes to the next frame. own_ns: its time by the file; nonsense is one period after the last."""
        if own_ns is not None and math.isfinite(own_ns) and own_ns >= 0 and own_ns > self.position_ns:
            self.position_ns = round(own_ns)
        else:
            self.position_ns += self._period_ns
