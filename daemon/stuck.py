"""Notices a detector that hangs, which the main loop doesn't: it goes on without new faces."""

from __future__ import annotations

import logging

logger = logging.getLogger(__name__)

STUCK_S = 20.0
"""A search of all cameras' frames takes seconds at most, also the first on a busy machine."""


class StuckWatch:
    """For whoever says that the daemon lives."""

    def __init__(self) -> None:
        self._number: int | None = None
        self._since_s = 0.0
        self._told = False

    def is_stuck(self, under_way: int | None, now_s: float) -> bool:
        """Whether one search has lasted too long; under_way: Pipeline.under_way."""
        if under_way is None or under_way != self._number:
            self._number, self._since_s, self._told = under_way, now_s, False
            return False
        stuck = now_s - self._since_s > STUCK_S
        if stuck and not self._told:
            logger.error(
                "the detector has not answered for %.0f s; systemd is told nothing until it does", STUCK_S
            )
            self._told = True
        return stuck
