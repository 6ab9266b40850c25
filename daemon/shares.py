"""Who comes first where not all can be served: whoever has waited longest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

MOST_S = 10.0
"""A round is not counted as longer: the machine slept, or a disk hung, and the next one will not."""
FADE = 0.9
"""What a round weighs against the one after it."""


class Shares:
    """Serves cameras by how long they wait, times their priority.

    Where all wait all the time, a camera of priority 2 is served about twice as often as one of priority 1,
    and those of one priority alike, however many there are. Who was away has saved nothing up for later but
    one place at the front.
    """

    def __init__(self, priorities: Mapping[str, float]) -> None:
        """By camera; 1 where none is given."""
        self._priorities = dict(priorities)
        self._served_s: dict[str, float] = {}
        """In the order in which they were served, the last one last."""

    def first(self, waiting: Iterable[str], room: int | None, now_s: float) -> list[str]:
        """Of those who wait, the `room` (None: all) who come first, in order; by the clock of `served`."""
        # In turn also where several were served at one moment, else the same ones would win every time.
        turns = {camera: turn for turn, camera in enumerate(self._served_s)}
        in_turn = sorted(waiting, key=lambda camera: turns.get(camera, -1))
        return sorted(in_turn, key=lambda camera: self._claim(camera, now_s), reverse=True)[:room]

    def served(self, camera: str, now_s: float) -> None:
        """From now on it waits anew."""
        self._served_s.pop(camera, None)
        self._served_s[camera] = now_s

    def adjust(self, priorities: Mapping[str, float]) -> None:
        """These are the cameras from now on."""
        self._priorities = dict(priorities)
        for camera in self._served_s.keys() - self._priorities.keys():
            del self._served_s[camera]

    def _claim(self, camera: str, now_s: float) -> float:
        # Who was never served comes before everybody.
        waited_s = now_s - self._served_s.get(camera, float("-inf"))
        return waited_s * self._priorities.get(camera, 1.0)


class Room:
    """How many frames fit into one round, as long as a frame takes what it took lately."""

    def __init__(self, round_s: float) -> None:
        """round_s: how long a round should last at most."""
        self._round_s = round_s
        self._seconds = self._frames = 0.0

    def took(self, frames: int, seconds: float) -> None:
        """A round of so many frames lasted so long."""
        if not frames:
            return
        self._frames = self._frames * FADE + frames
        self._seconds = self._seconds * FADE + min(seconds, MOST_S)

    @property
    def frames(self) -> int | None:
        """At least one; None: all that there are, as nothing is known yet."""
        if not self._frames or not self._seconds:
            return None
        return max(1, int(self._round_s * self._frames / self._seconds))
