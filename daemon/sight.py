"""Watches what one camera shows: whether it lives, whether there is anything to see, whether it is whole."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from daemon.frame import CameraState, Frame
from daemon.hysteresis import Hysteresis
from daemon.sight_measures import SMALLEST_PX, Evenness, blur, changed_share, evenness, looks

LOOK_S = 0.2
"""A picture is measured so often, by the frames' own time."""

FROZEN_S = 8.0
"""Nothing has changed for so long, noise included. docs/decisions/0045 has the figures for these four."""
FROZEN_SHARE = 0.0005
"""A frozen picture changes less from look to look in the median; with half a level of noise it is 0.01."""
LIVING_SHARE = 0.002
"""A living one changes more in the median of ALIVE_S. One look tells nothing: a key frame changes all."""
ALIVE_S = 1.0

DARK_S, LIGHT_S = 2.0, 1.0
"""For how long there must be nothing to see, and then something."""
NOTHING_LEVELS, SOMETHING_LEVELS = 4.0, 6.0
"""How much brighter the brightest part is than the darkest: less is nothing, more is something, if dim."""
BLACK_LEVELS, GREY_LEVELS = 20.0, 64.0
"""An even picture below the first is dark, above the second covered; between them it may be a night."""

SHARPNESS_LOOK_S = 1.0
"""It is measured so often, because it takes longest."""
BLURRED_S, SHARP_S = 5.0, 2.0
"""For how long nothing must be sharp, and then something."""
BLURRED, SHARP = 0.74, 0.64
"""By `blur`. Clips and portraits: at most 0.57; out of focus by 0.015 of their width: 0.82 and more."""

LOSSY_S = 8.0
LOSSY_FRAMES, LOSSY_SPAN_S = 3, 0.5
"""So many damaged frames within LOSSY_S, and more than one moment's burst."""
WHOLE_S = 8.0
"""Without a damaged frame for so long, it is over."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What may be said of a camera, by its kind of source."""

    frozen: bool
    """It has a living sensor, or should: no file is meant to change."""


class SightWatch:
    """The frames of one camera, from when it came online."""

    def __init__(self, allowed: Allowed) -> None:
        self._allowed = allowed
        self._looked_s = self._sharpness_s = -np.inf
        self._before: NDArray[np.uint8] | None = None
        self._shares: deque[tuple[float, float]] = deque()
        self._frozen = False
        self._dark = Hysteresis(DARK_S, LIGHT_S)
        self._even: Evenness | None = None
        self._blurred = Hysteresis(BLURRED_S, SHARP_S)
        self._damaged_s: deque[float] = deque()
        self._damages = 0
        self._lossy = False

    def see(self, frame: Frame) -> None:
        """Takes a look at this frame, if it is time for one, and notes its damage in any case."""
        now_s = frame.captured_monotonic_ns / 1e9
        self._count_damage(frame.damaged, now_s)
        if now_s - self._looked_s < LOOK_S or min(frame.bgr.shape[:2]) < SMALLEST_PX:
            return
        self._looked_s = now_s
        now = looks(frame.bgr)
        self._even = evenness(now)
        dark = self._dark.see(_nothing_to_see(self._even), now_s)
        if now_s - self._sharpness_s >= SHARPNESS_LOOK_S:
            self._sharpness_s = now_s
            self._blurred.see(None if dark else _out_of_focus(frame.bgr), now_s)
        self._compare(now, now_s)

    def state(self) -> tuple[CameraState, str | None]:
        """How it sees, and why so, in one line; of several troubles the one that explains the others."""
        if self._dark.holds and self._even is not None:
            covered = self._even.brightest > BLACK_LEVELS
            return "dark", "nothing to see: " + ("the camera is covered" if covered else "dark, or covered")
        if self._frozen:
            return "frozen", f"nothing has changed for {FROZEN_S:g} s, not even noise"
        if self._lossy:
            return "lossy", f"{self._damages} damaged pictures within {LOSSY_S:g} s"
        if self._blurred.holds:
            return "blurred", "nothing is sharp: out of focus, or something is on the lens"
        return "online", None

    def _count_damage(self, damaged: int, now_s: float) -> None:
        times = self._damaged_s
        if damaged:
            times.append(now_s)
        while times and now_s - times[0] > LOSSY_S and len(times) > 1:
            times.popleft()
        if len(times) >= LOSSY_FRAMES and times[-1] - times[0] > LOSSY_SPAN_S:
            if not self._lossy:
                self._damages = len(times)
            self._lossy = True
        elif not times or now_s - times[-1] > WHOLE_S:
            self._lossy = False

    def _compare(self, now: NDArray[np.uint8], now_s: float) -> None:
        """Whether the picture lives. In the dark there may be no noise to tell by."""
        before, self._before = self._before, now
        if not self._allowed.frozen or before is None or before.shape != now.shape or self._dark.holds:
            self._shares.clear()
            self._frozen = False
            return
        self._shares.append((now_s, changed_share(now, before)))
        while now_s - self._shares[0][0] > FROZEN_S:
            self._shares.popleft()
        if self._frozen:
            lately = [share for time_s, share in self._shares if now_s - time_s <= ALIVE_S]
            if median(lately) > LIVING_SHARE:
                self._frozen = False
                self._shares.clear()
        elif now_s - self._shares[0][0] > FROZEN_S - 2 * LOOK_S:
            # Of both halves, so that it was so for all the time.
            then = [share for time_s, share in self._shares if now_s - time_s > FROZEN_S / 2]
            lately = [share for time_s, share in self._shares if now_s - time_s <= FROZEN_S / 2]
            self._frozen = max(median(then), median(lately)) <= FROZEN_SHARE


def _nothing_to_see(even: Evenness) -> bool | None:
    if even.spread > SOMETHING_LEVELS:
        return False
    if even.spread < NOTHING_LEVELS and not BLACK_LEVELS <= even.brightest <= GREY_LEVELS:
        return True
    return None


def _out_of_focus(bgr: NDArray[np.uint8]) -> bool | None:
    measured = blur(bgr)
    if measured is None or SHARP < measured < BLURRED:
        return None
    return measured >= BLURRED
