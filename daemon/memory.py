"""Remembers for a while whom each visit was named, so that somebody who knows better can say no."""

from __future__ import annotations

import threading
from collections.abc import Container
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daemon.visits import Visit
from gallery.people import PersonName


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """Who a visit was told to be, and by what."""

    person: PersonName
    """Who."""
    encoding: NDArray[np.float32]
    """float32[d], fused."""
    seen_s: float
    """Time of the frame where it was seen last."""


class Memory:
    """Written by the daemon's loop, read by the control socket's thread; in memory alone."""

    def __init__(self, remember_s: float) -> None:
        self._remember_s = remember_s
        self._named: dict[str, Named] = {}
        self._lock = threading.Lock()

    def adjust(self, remember_s: float) -> None:
        """Goes on with this."""
        self._remember_s = remember_s

    def note(self, visit: Visit) -> None:
        """Takes down whom this visit is named, if anybody; forgets who was seen too long ago."""
        if visit.person is None or not visit.track.evidence.count:
            return
        named = Named(visit.person, visit.track.evidence.fused, visit.track.seen_s)
        with self._lock:
            limit_s = named.seen_s - self._remember_s
            self._named = {key: old for key, old in self._named.items() if old.seen_s >= limit_s}
            self._named[visit.id] = named

    def forget(self, people: Container[str]) -> None:
        """Nothing is remembered of these people, by their ids."""
        with self._lock:
            self._named = {key: old for key, old in self._named.items() if old.person.id not in people}

    def find(self, track: str) -> Named | None:
        """Who the visit of this id was named last; None: nobody, or too long ago."""
        with self._lock:
            return self._named.get(track)
