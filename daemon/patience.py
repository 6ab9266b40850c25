"""How long to wait for a camera, and how long to leave it alone before it is tried again."""

from __future__ import annotations

import random
from dataclasses import dataclass

PAUSE_JITTER = 0.2
"""Pauses are shorter by up to this share, so that cameras of one broken switch do not knock all at once."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a camera, in seconds."""

    open_timeout_s: float = 5.0
    """FFmpeg's limit for opening a stream."""
    read_timeout_s: float = 3.0
    """FFmpeg's limit for one frame; 0.8 of it counts as a disconnect."""
    first_frame_timeout_s: float = 12.0
    """A stream shows nothing before its first key frame."""
    start_s: float = 60.0
    """From the start of the process to an open source: the interpreter, OpenCV, and the opening.

    Half a second by itself; but where twelve are started at once on two cores that others use too, it was 20.
    """
    silence_s: float = 3.5
    """A live camera's process that gives nothing for so long is killed: it hangs, or was stopped."""
    file_silence_s: float = 30.0
    """The same for a file that is read in step, where nothing but a slow disk can be waited for."""
    stalled_s: float = 1.5
    """A live camera that gave nothing for so long, and twice its usual pause, is told to be stalled."""
    behind_s: float = 1.2
    """A stream whose own time falls so far behind the clock is opened anew."""
    first_pause_s: float = 0.5
    """Before the first reopening; doubles with every failure."""
    longest_pause_s: float = 10.0
    """The pause doubles up to this."""
    good_s: float = 30.0
    """A camera that saw for so long is trusted again: the next pause is the first one."""


PATIENCE = Patience()


class Pauses:
    """The pauses before one camera's reopenings, which grow with every failure."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._failures = 0
        self._good_since_s: float | None = None

    def failed(self) -> float:
        """Seconds to wait now that the camera was lost, or could not be opened."""
        longest_s = self._patience.longest_pause_s
        # The exponent is bounded: a camera may be away for years.
        pause_s: float = min(longest_s, self._patience.first_pause_s * 2 ** min(self._failures, 16))
        self._failures += 1
        self._good_since_s = None
        return pause_s * random.uniform(1 - PAUSE_JITTER, 1)  # noqa: S311

    def saw(self, now_s: float) -> None:
        """The camera gave a frame. After enough of them its past is forgotten."""
        self._good_since_s = self._good_since_s or now_s
        if now_s - self._good_since_s >= self._patience.good_s:
            self._failures = 0
