"""Finds how near a face must be to each person, from who else is enrolled and how near strangers come."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv

from gallery.impostors import Statistics
from gallery.matcher import Index, RunnerUp, rounded
from gallery.people import PersonName

ROWS_AT_ONCE = 256
"""Bounds the table of distances: 256 x 100,000 float64 are 200 MB."""

DECIMALS = 4
"""Thresholds are rounded down to these: nobody measures faces finer."""

LOW, HIGH = 0.05, 0.95
"""Between these the truth lies with nine chances in ten."""


@dataclass(frozen=True, slots=True)
class PersonCalibration:
    """What was found for one person."""

    person: PersonName
    """Who."""
    references: int
    """How many photographs of them are enrolled: each is a chance for a stranger."""
    near_people: float
    """How many others of the gallery are near; several photographs of one person count as their mean."""
    expected_near_people: float
    """How many would be, were this person like the average of those that the statistics were made of."""
    threshold: float
    """The distance to apply."""
    wanted: float
    """The same before it was capped."""
    low: float
    """What it would be if strangers come as near to this person as one in twenty of the likely cases says."""
    high: float
    """And the same where they stay as far away."""
    stranger: float
    """The probability that a stranger is near enough at `threshold`."""
    recognised: float
    """The share of other photographs of the average person that is near enough to one photograph."""
    nearest: RunnerUp | None
    """The nearest other person, reference to reference; None: nobody else is enrolled."""
    close: bool
    """Whether that is near enough to be taken for one another."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Thresholds for everybody in a gallery."""

    model: str
    """Of the gallery's encodings."""
    fmr: float
    """The probability asked for: that one stranger is given anybody's name."""
    cap: float
    """The threshold without a calibration."""
    people: tuple[PersonCalibration, ...]
    """Everybody, in order of enrolment."""
    stranger_before: float
    """The probability that a stranger is given anybody's name at `cap`, at most."""
    stranger: float
    """The same with the thresholds found."""
    beyond_measured: bool
    """Whether what was asked for is rarer than anything measured, and rests on a line that was drawn on."""


def calibrate(index: Index, statistics: Statistics, fmr: float, cap: float, *, looser: bool) -> Calibration:
    """The thresholds at which a stranger is given anybody's name with at most the probability fmr.

    The probability is shared equally among the people, and every reference counts as a chance of its own. How
    near strangers come to one of them is counted on the others of the gallery, who are strangers to them;
    where these are few, the average of the statistics counts more. looser: thresholds may be above `cap`.
    """
    if not index.people:
        return Calibration(index.model, fmr, cap, (), 0.0, 0.0, beyond_measured=False)
    share = fmr / len(index.people)
    surroundings = _Surroundings.of(index, statistics)
    found = tuple(
        _one(index, place, surroundings, statistics, share, cap, looser=looser)
        for place in range(len(index.people))
    )
    chances = surroundings.chances()
    return Calibration(
        model=index.model,
        fmr=fmr,
        cap=cap,
        people=found,
        stranger_before=min(1.0, float(chances.sum()) * statistics.probability_at(cap)),
        stranger=min(1.0, sum(each.stranger for each in found)),
        beyond_measured=bool(share / chances.max() < statistics.probabilities[0]),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Surroundings:
    """Who is around each person of a gallery."""

    references: NDArray[np.intp]
    """intp[people]: how many photographs of each are enrolled."""
    near: NDArray[np.float64]
    """float64[people]: how many others are near to one of these, on average."""
    nearest: NDArray[np.intp]
    """intp[people]: the place of the nearest other person; where there is none, their own."""
    distances: NDArray[np.float64]
    """float64[people]: how far that is, reference to reference; infinite where there is none."""
    expected: float
    """How many others would be near on average."""
    spread: float
    """Statistics.spread."""

    @classmethod
    def of(cls, index: Index, statistics: Statistics) -> _Surroundings:
        counts = np.diff(np.append(index.starts, len(index)))
        table = np.empty((len(index), 3))
        for first in range(0, len(index), ROWS_AT_ONCE):
            rows = slice(first, first + ROWS_AT_ONCE)
            table[rows] = _rows(index, rows, counts, statistics.near_distance)
        by_person = [table[start : start + count] for start, count in zip(index.starts, counts, strict=True)]
        closest = np.array([rows[rows[:, 2].argmin(), 1:] for rows in by_person])
        return cls(
            references=counts,
            near=np.array([rows[:, 0].mean() for rows in by_person]),
            nearest=closest[:, 0].astype(np.intp),
            distances=closest[:, 1],
            expected=(len(counts) - 1) * statistics.near,
            spread=statistics.spread,
        )

    def chances(self) -> NDArray[np.float64]:
        """float64[people]: how many average photographs' worth of strangers each person draws.

        How many strangers are near to one photograph differs like a gamma distribution between photographs;
        having counted the near ones among K people, its mean is what this gives (gamma-Poisson).
        """
        return self.references * (self.spread + self.near) / (self.spread + self.expected)

    def chances_at(self, place: int, share: float) -> float:
        """The same for one person, in the case below which this share of the likely cases lies."""
        likely = gammaincinv(self.spread + self.near[place], share) / (self.spread + self.expected)
        return float(self.references[place] * likely)


def _rows(index: Index, rows: slice, counts: NDArray[np.intp], near_distance: float) -> NDArray[np.float64]:
    """float64[rows, 3]: of each reference, near people, the place of the nearest other, and its distance."""
    some, everything = index.encodings[rows].astype(np.float64), index.encodings.astype(np.float64)
    squares = (some**2).sum(axis=1)[:, None] + (everything**2).sum(axis=1) - 2 * some @ everything.T
    distances = np.sqrt(np.maximum(squares, 0))
    own = np.arange(len(some)), index.owners[rows]
    near = np.add.reduceat((distances <= near_distance).astype(np.float64), index.starts, axis=1) / counts
    near[own] = 0
    nearest = np.minimum.reduceat(distances, index.starts, axis=1)
    nearest[own] = np.inf
    places = nearest.argmin(axis=1)
    return np.stack([near.sum(axis=1), places, nearest[own[0], places]], axis=1)


def _one(
    index: Index,
    place: int,
    surroundings: _Surroundings,
    statistics: Statistics,
    share: float,
    cap: float,
    *,
    looser: bool,
) -> PersonCalibration:
    chances = float(surroundings.chances()[place])
    wanted = _floor(statistics.distance_at(share / chances))
    threshold = wanted if looser else min(wanted, cap)
    distance = float(surroundings.distances[place])
    nearest = None
    if math.isfinite(distance):
        other = index.people[surroundings.nearest[place]]
        nearest = RunnerUp(other.id, other.name, rounded(distance))
    return PersonCalibration(
        person=index.people[place],
        references=int(surroundings.references[place]),
        near_people=float(surroundings.near[place]),
        expected_near_people=surroundings.expected,
        threshold=threshold,
        wanted=wanted,
        low=_floor(statistics.distance_at(share / surroundings.chances_at(place, HIGH))),
        high=_floor(statistics.distance_at(share / surroundings.chances_at(place, LOW))),
        stranger=min(1.0, chances * statistics.probability_at(threshold)),
        recognised=statistics.recognised(threshold),
        nearest=nearest,
        close=distance <= cap,
    )


def _floor(distance: float) -> float:
    """Rounded to what is stored, and never looser."""
    return float(np.floor(distance * 10**DECIMALS) / 10**DECIMALS)
