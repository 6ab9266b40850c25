"""What a camera hands to the stages behind it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

CameraState = Literal["online", "stalled", "offline", "ended", "frozen", "dark", "blurred", "lossy"]
"""What is told of a camera; docs/cameras.md says what each means."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture and when it was taken."""

    camera: str
    """The camera's name in the configuration."""
    index: int
    """Counts the frames read from this camera and survives reconnects; a gap is a frame nobody processed."""
    captured_unix_ns: int
    """Live: when the grab returned. File: the start of the run plus the position in the file."""
    captured_monotonic_ns: int
    """The same moment on the monotonic clock; durations are differences of these."""
    grabbed_monotonic_ns: int
    """When the grab really returned, also for a file: for latency_ms and nothing else."""
    bgr: NDArray[np.uint8]
    """uint8[height, width, 3]; owned by the receiver."""
    damaged: int = 0
    """How often damaged or missing pictures were told of since the frame before; streams alone tell."""


@dataclass(frozen=True, slots=True)
class CameraChange:
    """A camera began to see, ceased to, sees badly, or came to its end."""

    camera: str
    """The camera's name in the configuration."""
    state: CameraState
    """ended: the last word of a file; a live camera only goes offline and comes back."""
    reason: str | None
    """Why, in one line without passwords; None where there is nothing to tell."""


@dataclass(frozen=True, slots=True)
class StartTime:
    """One moment on both clocks: the start of the run, from which a file's frames count."""

    unix_ns: int
    """time.time_ns() at the start, in whole microseconds."""
    monotonic_ns: int
    """time.monotonic_ns() at the same moment."""

    @classmethod
    def now(cls) -> StartTime:
        """This moment."""
        # Events tell microseconds. From a whole one on, a file's times are rounded alike in each run.
        return cls(time.time_ns() // 1000 * 1000, time.monotonic_ns())
