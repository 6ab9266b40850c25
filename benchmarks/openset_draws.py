"""Random galleries, whom they are shown, and what becomes of these."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.identities import Identities
from benchmarks.impostors import statistics_of
from gallery.impostors import Statistics
from gallery.matcher import Index, nearest
from gallery.people import PersonName

Thresholds = NDArray[np.float64]
"""float64[people]: each person's own, or the same for all."""


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """The two nearest people of each face that a gallery is shown."""

    first: NDArray[np.intp]
    """intp[n]: the place of the nearest person."""
    distances: NDArray[np.float64]
    """float64[n]: how far they are."""
    leads: NDArray[np.float64]
    """float64[n]: how much farther the runner-up is; infinite where there is none."""

    def named(self, thresholds: Thresholds, margin: float) -> NDArray[np.bool_]:
        """bool[n]: who is given a name."""
        return (self.distances <= thresholds[self.first]) & (self.leads >= margin)


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """One gallery."""

    index: Index
    """As many photographs of each person as were asked for."""
    known: Shown
    """Face i is another photograph of person i."""
    strangers: tuple[Shown, Shown]
    """One photograph of everybody else, in two halves."""
    others: tuple[Statistics, Statistics]
    """Of each half, what it says about strangers: to calibrate by one and be tested by the other."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Shares of what was shown, in percent, and how much they differ between draws (standard deviation)."""

    right: float
    """Enrolled people given their own name."""
    right_sd: float
    wrong: float
    """Enrolled people given somebody else's."""
    strangers: float
    """People who are not enrolled given anybody's name."""
    strangers_sd: float

    @classmethod
    def of(cls, draws: Sequence[tuple[float, float, float]]) -> Rates:
        """From right, wrong and strangers of each draw, as shares."""
        means, deviations = 100 * np.mean(draws, axis=0), 100 * np.std(draws, axis=0)
        figures = (means[0], deviations[0], means[1], means[2], deviations[2])
        return cls(*(round(float(figure), 2) for figure in figures))


def make_draws(
    identities: Identities, people: int, count: int, seed: int, enrolled: int = 1
) -> Iterator[Draw]:
    """Galleries of so many people, each with a seed of its own, and one more photograph of them to show."""
    photographs = identities.by_person()
    several = np.array([person for person, rows in enumerate(photographs) if len(rows) > enrolled])
    if people > len(several):
        raise SystemExit(f"only {len(several)} people have more than {enrolled} photographs, not {people}")
    for number in range(count):
        random = np.random.default_rng((seed, people, number))
        chosen = random.choice(several, people, replace=False)
        rows = np.array([random.permutation(photographs[person])[: enrolled + 1] for person in chosen])
        rest = random.permutation(np.setdiff1d(np.arange(len(photographs)), chosen))
        halves = np.array_split(rest, 2)
        index = index_of(identities, rows[:, :enrolled])
        once = [np.array([random.choice(photographs[person]) for person in half]) for half in halves]
        yield Draw(
            index,
            show(index, identities.encodings[rows[:, enrolled]]),
            (show(index, identities.encodings[once[0]]), show(index, identities.encodings[once[1]])),
            (_statistics(identities, halves[0]), _statistics(identities, halves[1])),
        )


def index_of(identities: Identities, rows: NDArray[np.intp]) -> Index:
    """One person a row of intp[people, photographs]."""
    people = [PersonName(str(place), str(place)) for place in range(len(rows))]
    owners = np.repeat(np.arange(len(rows)), rows.shape[1])
    return Index.of(people, owners, identities.encodings[rows.ravel()], model=identities.model, revision=1)


def show(index: Index, encodings: NDArray[np.float32]) -> Shown:
    """Whom each face is nearest to."""
    found = nearest(index, encodings)
    seconds = [np.inf if each.second_distance is None else each.second_distance for each in found]
    distances = np.array([each.distance for each in found])
    return Shown(
        np.array([each.first for each in found], np.intp),
        distances,
        np.round(np.array(seconds) - distances, 6),
    )


def rates(draws: Sequence[Draw], threshold: float, margin: float) -> Rates:
    """What one threshold for everybody does."""
    alike = [np.full(len(draw.index.people), threshold) for draw in draws]
    return calibrated_rates(draws, [(each, each) for each in alike], margin)


def calibrated_rates(
    draws: Sequence[Draw], thresholds: Sequence[tuple[Thresholds, Thresholds]], margin: float
) -> Rates:
    """What thresholds of their own do; those of each half of the strangers meet the other half."""
    return Rates.of([_shares(draw, own, margin) for draw, own in zip(draws, thresholds, strict=True)])


def _shares(
    draw: Draw, thresholds: tuple[Thresholds, Thresholds], margin: float
) -> tuple[float, float, float]:
    shares = []
    for own, met in zip(thresholds, reversed(draw.strangers), strict=True):
        named = draw.known.named(own, margin)
        themselves = draw.known.first == np.arange(len(named))
        shares.append(
            [(named & themselves).mean(), (named & ~themselves).mean(), met.named(own, margin).mean()]
        )
    right, wrong, strangers = np.mean(shares, axis=0)
    return float(right), float(wrong), float(strangers)


def _statistics(identities: Identities, people: NDArray[np.intp]) -> Statistics:
    return statistics_of(identities.take(people), "people who are not enrolled")
