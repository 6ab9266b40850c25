"""Grabs frames that come for ever, and says when they don't."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from daemon.readers import CameraLost
from daemon.stream_clock import StreamClock

if TYPE_CHECKING:
    from daemon.capture_messages import Setting

BLOCKED_SHARE = 0.8
"""A grab that took longer than this share of the read timeout is a disconnect, whatever it returned."""
ANSWER_S = 0.1
"""A grab that failed sooner than this did not wait for anything: it is over."""
MOST_S = 1e9
"""Of a position in a stream; more is none."""


class LiveGrabs:
    """The grabs of one live source, the first of which may take a while."""

    def __init__(self, setting: Setting, grab: Callable[[], bool]) -> None:
        """grab: waits for a frame, but no longer than the read timeout; False if there was none."""
        self._grab = grab
        self._limit_s = BLOCKED_SHARE * setting.read_timeout_s
        self._first_frame_timeout_s = setting.first_frame_timeout_s
        self._clock = StreamClock(setting.behind_s) if has_times(setting) else None
        self.count = 0
        """How many frames came."""
        self.losses = 0
        """How often pictures were missing between them, as their times tell."""

    def next(self) -> None:
        """Waits for the next frame; CameraLost if there is none in time."""
        began = time.monotonic()
        good = self._grab()
        waited_s = time.monotonic() - began
        if not self.count:
            good = good or self._wait_for_the_first(began)
        elif waited_s > self._limit_s:
            raise CameraLost(f"no frame for {waited_s:.1f} s", "silent")
        if not good and not self.count:
            raise CameraLost("no first frame came", "silent")
        if not good:
            raise CameraLost("the stream ended", "ended")
        self.count += 1

    def hold_against_the_clock(self, position_s: float) -> None:
        """position_s: of the frame that came, in the stream. CameraLost if the stream has fallen behind."""
        # The first frame of some streams has no time, which FFmpeg writes as the least number there is.
        if self._clock is None or not abs(position_s) < MOST_S:
            return
        self.losses += self._clock.see(position_s, time.monotonic())
        if self._clock.behind:
            lag_s = self._clock.lag_s
            raise CameraLost(f"{lag_s:.1f} s behind its own time: too slow a network or computer", "behind")

    def _wait_for_the_first(self, began: float) -> bool:
        """A stream shows nothing before its first key frame, which may be many seconds away."""
        while time.monotonic() - began < self._first_frame_timeout_s:
            tried = time.monotonic()
            if self._grab():
                return True
            if time.monotonic() - tried < ANSWER_S:
                return False
        return False


def has_times(setting: Setting) -> bool:
    """Of MJPEG over HTTP, FFmpeg makes the times up: it counts frames at a rate that it guesses."""
    return setting.kind == "stream" and setting.uri.lower().startswith(("rtsp://", "rtsps://"))


def why_not_open(setting: Setting, began: float, words: str = "") -> CameraLost:
    """What to say of a stream that could not be opened; words: the library's own."""
    if time.monotonic() - began > BLOCKED_SHARE * setting.open_timeout_s:
        return CameraLost(f"no answer within {setting.open_timeout_s:g} s")
    return CameraLost(f"can't be opened{': ' if words else ''}{words}")
