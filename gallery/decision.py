"""Decides who the faces of one picture are, and when it is nobody of the gallery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gallery.matcher import Index, Nearest, RunnerUp, measured, nearest, rounded, runner_up
from gallery.people import PersonName

Why = Literal["near", "far", "close_call", "taken", "vetoed", "nobody_enrolled"]
"""near: the person is named. Nobody is named because the nearest is too far; because the runner-up is hardly
farther; because another face of the picture is that person and nearer; because the face is like one that the
person was told not to be; because the gallery is empty."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How near is near enough."""

    threshold: float
    """Euclidean distance up to which, inclusive, a face is the person, unless they have one of their own."""
    margin: float
    """The runner-up must be at least so much farther."""
    hysteresis: float
    """Whom a face is named now counts as so much nearer, so that names do not flicker."""
    calibrated: bool = True
    """False: people's own thresholds are left aside and `threshold` holds for everybody."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Who one face is, and what that rests on."""

    person: PersonName | None
    """None: nobody of the gallery."""
    distance: float | None
    """Euclidean, to the nearest enrolled encoding, named or not; None: the gallery is empty."""
    threshold: float
    """What was applied to that distance: the nearest person's, and the hysteresis if they hold the name."""
    nearest: PersonName | None
    """Whose distance it is; None: the gallery is empty."""
    runner_up: RunnerUp | None
    """The nearest other person; None: fewer than two are enrolled."""
    why: Why
    """What decided."""


def decide(
    index: Index,
    encodings: ArrayLike,
    rules: Rules,
    held: Sequence[str | None] = (),
    spreads: Sequence[float] = (),
) -> list[Decision]:
    """One Decision a face of one picture (float32[n, d]); nobody is named twice.

    held[i]: id of the person whom face i is named now, None: nobody. Empty: no face has a name.
    spreads[i]: what is added to the square of face i's distances, because a mean of samples lies nearer to
    everybody than the samples do (docs/decisions/0070). Empty: each face is one sample.
    """
    faces = np.asarray(encodings, np.float32)
    holders = held or [None] * len(faces)
    if not len(index):
        return [Decision(None, None, rules.threshold, None, None, "nobody_enrolled") for _ in faces]
    found = nearest(index, faces)
    widths = spreads or [0.0] * len(faces)
    decisions = [
        _decide_alone(index, face, one, rules, holder, spread)
        for face, one, holder, spread in zip(faces, found, holders, widths, strict=True)
    ]
    return _each_person_once(decisions)


def distances(index: Index, encodings: ArrayLike) -> NDArray[np.float32]:
    """float32[n, len(index.people)]: from each face to the nearest encoding of each person."""
    faces = np.asarray(encodings, np.float32)
    table = np.empty((len(faces), len(index.people)), np.float32)
    if index.people:
        for row, face in zip(table, faces, strict=True):
            row[:] = np.minimum.reduceat(measured(index.encodings, face), index.starts)
    return table


def _decide_alone(
    index: Index, face: NDArray[np.float32], raw: Nearest, rules: Rules, holder: str | None, spread: float
) -> Decision:
    """As if no other face were in the picture."""
    second_distance = None if raw.second_distance is None else _widened(raw.second_distance, spread)
    found = replace(raw, distance=_widened(raw.distance, spread), second_distance=second_distance)
    person = index.people[found.first]
    bonus = rules.hysteresis if holder == person.id else 0.0
    threshold = rounded(_threshold(index, found.first, rules) + bonus)
    unnamed = Decision(None, found.distance, threshold, person, runner_up(index, found), "far")
    if found.distance > threshold:
        return unnamed
    if _vetoed(index, face, raw):
        return replace(unnamed, why="vetoed")
    if found.second_distance is not None:
        lead = rounded(found.second_distance - found.distance)
        if lead < rounded(rules.margin - bonus):
            return replace(unnamed, why="close_call")
    return replace(unnamed, person=person, why="near")


def _widened(distance: float, spread: float) -> float:
    return rounded((distance**2 + spread) ** 0.5) if spread else distance


def _threshold(index: Index, place: int, rules: Rules) -> float:
    if index.thresholds is None or not rules.calibrated or np.isnan(index.thresholds[place]):
        return rules.threshold
    return float(index.thresholds[place])


def _vetoed(index: Index, face: NDArray[np.float32], found: Nearest) -> bool:
    """Whether a face that the person was told not to be is as near as the person, or nearer."""
    others = index.not_encodings[index.not_owners == found.first]
    return len(others) > 0 and rounded(measured(others, face).min()) <= found.distance


def _each_person_once(decisions: list[Decision]) -> list[Decision]:
    """Of several faces that are one person the nearest stays, the others become nobody.

    Nearest beyond the threshold that each was given: the face that holds the name keeps it against one that
    is nearer by less than the hysteresis. Of equals the first stays.
    """
    winners: dict[str, int] = {}
    for i in sorted(range(len(decisions)), key=lambda i: _excess(decisions[i])):
        if (person := decisions[i].person) is not None:
            winners.setdefault(person.id, i)
    kept = set(winners.values())
    return [
        decision if decision.person is None or i in kept else replace(decision, person=None, why="taken")
        for i, decision in enumerate(decisions)
    ]


def _excess(decision: Decision) -> float:
    return 0.0 if decision.distance is None else rounded(decision.distance - decision.threshold)
