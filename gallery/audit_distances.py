"""Measures a gallery's references against one another, a few rows at a time, so that a large one fits too."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gallery.matcher import measured, rounded

ROWS_AT_ONCE = 256
"""Bounds the table: 256 x 100,000 float32 are 102 MB."""

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class PeoplePair:
    """Two people of whom at least two references are near to each other."""

    first: int
    """A place in the gallery's people."""
    second: int
    """A later one."""
    first_row: int
    """The reference of the first that is nearest to the second."""
    second_row: int
    """And the second's that it is nearest to."""
    distance: float
    """Between these."""


class Distances:
    """Of each reference the nearest own and the nearest of anybody else, among those that count.

    Distances come from one product of matrices, in float32: off by some 1e-3 at 0 and 1e-6 from 0.1 on, which
    is finer than any limit. What is told is measured again in float64.
    """

    def __init__(
        self,
        encodings: NDArray[np.float32],
        owners: Rows,
        sound: NDArray[np.bool_],
        near: float,
        progress: Callable[[object], None] = lambda step: None,
    ) -> None:
        """encodings: float32[n, d]; owners: intp[n]; sound: bool[n], which count; near: for `pairs`."""
        self._encodings = encodings
        self._half_norms = np.einsum("ij,ij->i", encodings, encodings) / 2
        self._owners = owners
        self._near = near
        self._together: dict[int, set[int]] = {}
        self._close: list[NDArray[np.intp]] = []
        self.sound = sound.copy()
        """bool[n]: which count."""
        count = len(encodings)
        self._order = np.argsort(owners, kind="stable")
        self._sorted_owners = owners[self._order]
        self.nearest_own = np.full(count, np.inf)
        """float64[n]: to the nearest other reference of the same person; infinite: there is none."""
        self.nearest_other = np.full(count, np.inf)
        """float64[n]: to the nearest of anybody else."""
        self._nearest_own_row = np.full(count, -1, np.intp)
        self.nearest_other_row = np.full(count, -1, np.intp)
        """intp[n]: which that is; -1: none."""
        for first in range(0, count, ROWS_AT_ONCE):
            self._measure(np.arange(first, min(first + ROWS_AT_ONCE, count)), collect=True)
            progress(first)

    @staticmethod
    def steps(count: int) -> int:
        """How often making one of so many references calls its progress."""
        return -(-count // ROWS_AT_ONCE)

    def of(self, place: int) -> Rows:
        """A person's references that count, in order of enrolment."""
        low, high = np.searchsorted(self._sorted_owners, [place, place + 1])
        rows = self._order[low:high]
        return np.asarray(rows[self.sound[rows]], np.intp)

    def between(self, row: int, others: list[int]) -> NDArray[np.float64]:
        """float64[others]: from one reference to some."""
        return measured(self._encodings[others], self._encodings[row])

    def median(self, pair: PeoplePair) -> float:
        """The median distance between the references of two people."""
        others = self._encodings[self.of(pair.second)]
        return float(np.median([measured(others, self._encodings[i]) for i in self.of(pair.first)]))

    def pairs(self) -> list[PeoplePair]:
        """Every two people with references up to `near` apart, and the nearest two; in order of people."""
        found: dict[tuple[int, int], PeoplePair] = {}
        for row, other in np.concatenate(self._close) if self._close else ():
            if not (self.sound[row] and self.sound[other]):
                continue
            one, two = (row, other) if self._owners[row] < self._owners[other] else (other, row)
            key = int(self._owners[one]), int(self._owners[two])
            distance = rounded(self.between(int(one), [int(two)])[0])
            if distance <= self._near and (key not in found or distance < found[key].distance):
                found[key] = PeoplePair(*key, int(one), int(two), distance)
        return [found[key] for key in sorted(found)]

    def remove(self, row: int) -> None:
        """A reference does not count any more; who had it as the nearest gets the next one."""
        self.sound[row] = False
        orphans = np.flatnonzero((self._nearest_own_row == row) | (self.nearest_other_row == row))
        for first in range(0, len(orphans), ROWS_AT_ONCE):
            self._measure(orphans[first : first + ROWS_AT_ONCE], collect=False)

    def tell_together(self, pairs: Iterable[tuple[int, int]]) -> None:
        """These people may be one: that they are near is no finding about a single reference."""
        rows: set[int] = set()
        for one, two in pairs:
            self._together.setdefault(one, set()).add(two)
            self._together.setdefault(two, set()).add(one)
            rows.update(self.of(one).tolist(), self.of(two).tolist())
        again = np.array(sorted(rows), np.intp)
        for first in range(0, len(again), ROWS_AT_ONCE):
            self._measure(again[first : first + ROWS_AT_ONCE], collect=False)

    def _measure(self, rows: Rows, *, collect: bool) -> None:
        halves = self._half_norms - self._encodings[rows] @ self._encodings.T
        table = np.sqrt(np.maximum(2 * (halves + self._half_norms[rows, None]), 0))
        table[:, ~self.sound] = np.inf
        table[np.arange(len(rows)), rows] = np.inf
        own = self._owners[rows, None] == self._owners
        if collect:
            # Each pair once; and a millionth more, since the exact distance decides.
            some, others = np.nonzero((table <= self._near + 1e-4) & ~own)
            later = rows[some] < others
            self._close.append(np.stack([rows[some[later]], others[later]], axis=1))
        self._note(rows, np.where(own, table, np.inf), self.nearest_own, self._nearest_own_row)
        for place in np.unique(self._owners[rows]) if self._together else ():
            if place in self._together:
                mine = np.flatnonzero(self._owners[rows] == place)
                same = np.flatnonzero(np.isin(self._owners, list(self._together[place])))
                table[np.ix_(mine, same)] = np.inf
        self._note(rows, np.where(own, np.inf, table), self.nearest_other, self.nearest_other_row)

    def _note(
        self,
        rows: Rows,
        table: NDArray[np.float32],
        nearest: NDArray[np.float64],
        nearest_row: Rows,
    ) -> None:
        found = table.argmin(axis=1)
        for i, row, other in zip(range(len(rows)), rows, found, strict=True):
            exists = bool(np.isfinite(table[i, other]))
            nearest_row[row] = other if exists else -1
            nearest[row] = rounded(self.between(int(row), [int(other)])[0]) if exists else np.inf
