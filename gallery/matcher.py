"""Finds whom an encoding resembles most, by exact Euclidean distance to everything enrolled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gallery.people import PersonName

DISTANCE_DECIMALS = 6
"""Distances are rounded to a millionth before they are compared and told. Encodings are float32, so what
lies below is noise; and who reads a distance and a threshold comes to the same decision as we did."""

FACES_AT_ONCE = 64
"""Bounds the table of faces by encodings: 64 x 100,000 float32 are 26 MB."""


FACES_FOR_BLAS = 8
"""For fewer faces one thread that reads the gallery once is as fast as BLAS, and does not wait up to 20 ms
for BLAS's other threads where cameras and detector have the cores (docs/decisions/0031)."""


@dataclass(frozen=True, slots=True)
class RunnerUp:
    """The nearest person other than the nearest."""

    id: str
    """The person's id."""
    name: str
    """The person's name."""
    distance: float
    """Euclidean, to the nearest of their encodings."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """Who are the two nearest people of a face, as places in `Index.people`."""

    first: int
    """The nearest."""
    distance: float
    """Euclidean, to the nearest of their encodings, rounded."""
    second: int | None
    """The nearest other person; None: there is none."""
    second_distance: float | None
    """Theirs, likewise."""


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """Everything enrolled at one revision, laid out to be searched; made by `Index.of`."""

    model: str
    """The model that made the encodings."""
    revision: int
    """The gallery's revision that this was read at."""
    people: tuple[PersonName, ...]
    """Who has at least one encoding, in order of enrolment: of two at the same distance the first wins."""
    owners: NDArray[np.intp]
    """intp[m], rising: encoding i belongs to people[owners[i]]."""
    encodings: NDArray[np.float32]
    """float32[m, d], contiguous."""
    half_norms: NDArray[np.float32]
    """float32[m]: half the squared length of each encoding."""
    starts: NDArray[np.intp]
    """intp[len(people)]: each person's first encoding."""
    thresholds: NDArray[np.float64] | None
    """float64[len(people)]: each person's own, NaN: has none; None: nobody has one."""
    not_owners: NDArray[np.intp]
    """intp[k]: whom encoding k of `not_encodings` is not, a place in `people`."""
    not_encodings: NDArray[np.float32]
    """float32[k, d]: faces that a person was told not to be."""

    def __len__(self) -> int:
        return len(self.encodings)

    @classmethod
    def of(
        cls,
        people: Sequence[PersonName],
        owners: ArrayLike,
        encodings: ArrayLike,
        *,
        model: str,
        revision: int,
        thresholds: Sequence[float | None] = (),
        not_owners: ArrayLike = (),
        not_encodings: ArrayLike = (),
    ) -> Index:
        """From encodings in any order, owners[i] being the place in `people` of encoding i's person.

        thresholds: one a person, None where the person has none; or empty. not_owners count as owners do.
        """
        places = np.asarray(owners, np.intp)
        rows = np.asarray(encodings, np.float32)
        if np.any(np.diff(places) < 0):
            order = np.argsort(places, kind="stable")
            places, rows = places[order], rows[order]
        present, starts, compact = np.unique(places, return_index=True, return_inverse=True)
        rows = np.ascontiguousarray(rows)
        chosen = np.array([np.nan if own is None else own for own in thresholds], np.float64)
        strangers = np.asarray(not_owners, np.intp)
        # Of a person without encodings there is nothing to veto.
        kept = np.isin(strangers, present)
        vetoes = np.asarray(not_encodings, np.float32) if len(strangers) else rows[:0]
        return cls(
            model=model,
            revision=revision,
            people=tuple(people[place] for place in present),
            owners=compact.astype(np.intp),
            encodings=rows,
            half_norms=np.einsum("ij,ij->i", rows, rows) / 2,
            starts=starts.astype(np.intp),
            thresholds=None if np.isnan(chosen).all() else chosen[present],
            not_owners=np.searchsorted(present, strangers[kept]).astype(np.intp),
            not_encodings=np.ascontiguousarray(vetoes[kept]),
        )


def nearest(index: Index, encodings: ArrayLike) -> list[Nearest]:
    """The two nearest people of each encoding (float32[n, d]); somebody must be enrolled."""
    wanted = np.asarray(encodings, np.float32)
    if not np.isfinite(wanted).all():
        raise ValueError("an encoding holds values that are not finite")
    return [
        found
        for first in range(0, len(wanted), FACES_AT_ONCE)
        for found in _nearest_some(index, wanted[first : first + FACES_AT_ONCE])
    ]


def runner_up(index: Index, found: Nearest) -> RunnerUp | None:
    """The second of the two, by name."""
    if found.second is None or found.second_distance is None:
        return None
    other = index.people[found.second]
    return RunnerUp(other.id, other.name, found.second_distance)


def _nearest_some(index: Index, encodings: NDArray[np.float32]) -> list[Nearest]:
    # |a - b|² = |a|² + |b|² - 2ab is one pass over the gallery instead of numpy's three, but in float32 it
    # cancels near 0. So it only chooses candidates, with a bound on its error, and the few
    # encodings that may be a nearest or a runner-up are measured again, plainly and in float64.
    # Half of it, without |a|², which is the same for all: (|a - b|² - |a|²) / 2 = |b|²/2 - ab.
    table = _products(encodings, index.encodings)
    np.subtract(index.half_norms, table, out=table)
    # Whatever the order of summing, the whole is off by at most (d + 4) eps (|a|² + |b|²), and both the limit
    # and a candidate may be; the smallest normal number stands for what underflows.
    precision = np.finfo(np.float32)
    rounding = 4 * (encodings.shape[1] + 4) * float(precision.eps)
    halves = np.einsum("ij,ij->i", encodings, encodings) / 2 + index.half_norms.max()
    slack = rounding * halves + float(precision.tiny)
    return [
        _measure(index, encoding, np.flatnonzero(row <= _second(index, row) + more))
        for encoding, row, more in zip(encodings, table, slack, strict=True)
    ]


def _second(index: Index, row: NDArray[np.float32]) -> float:
    """The least number of another person than whose the least is; the least where there is one person."""
    first = int(np.argmin(row))
    if len(index.people) == 1:
        return float(row[first])
    owner = index.owners[first]
    own = slice(index.starts[owner], index.starts[owner + 1] if owner + 1 < len(index.starts) else None)
    kept = row[own].copy()
    row[own] = np.inf
    second = float(row.min())
    row[own] = kept
    return second


def _products(encodings: NDArray[np.float32], enrolled: NDArray[np.float32]) -> NDArray[np.float32]:
    if len(encodings) >= FACES_FOR_BLAS:
        return encodings @ enrolled.T
    products: NDArray[np.float32] = np.einsum("ij,kj->ik", encodings, enrolled)
    return products


def _measure(index: Index, encoding: NDArray[np.float32], candidates: NDArray[np.intp]) -> Nearest:
    distances = measured(index.encodings[candidates], encoding)
    owners = index.owners[candidates]
    # Stable, and the candidates stand in order of enrolment: the earlier person wins a tie.
    order = np.argsort(distances, kind="stable")
    first = order[0]
    others = order[owners[order] != owners[first]]
    found = Nearest(int(owners[first]), rounded(distances[first]), None, None)
    if not len(others):
        return found
    return replace(found, second=int(owners[others[0]]), second_distance=rounded(distances[others[0]]))


def measured(encodings: NDArray[np.float32], encoding: NDArray[np.float32]) -> NDArray[np.float64]:
    """float64[m]: the distance of each row from one encoding, plainly and in float64."""
    differences = encodings.astype(np.float64) - encoding.astype(np.float64)
    distances: NDArray[np.float64] = np.sqrt(np.einsum("ij,ij->i", differences, differences))
    return distances


def rounded(distance: float) -> float:
    """A distance as it is compared and told."""
    return round(float(distance), DISTANCE_DECIMALS)
