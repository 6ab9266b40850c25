"""Puts what an audit found into words: what it is, and what helps."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from gallery.audit_distances import PeoplePair, Rows
from gallery.audit_findings import (
    SEVERITIES,
    AuditedReference,
    Code,
    Finding,
    Material,
    ReferenceName,
)
from gallery.people import PersonName

ASIDE = "visaged audit --fix sets it aside"


class Wording:
    """Findings about one gallery. References are named by their places among those in use."""

    def __init__(self, material: Material, used: Rows) -> None:
        self._material = material
        self._used = used

    def old_model(self, reference: AuditedReference) -> Finding:
        """It has an encoding of another model alone."""
        return self._finding(
            "old_model",
            [self._material.people[reference.person]],
            [ReferenceName(reference.id, reference.image)],
            None,
            f"{reference.image} was encoded by another model than the gallery's and is never matched with",
            f"enrol the picture again, then forget the old one; {ASIDE}",
            aside=[reference.id],
        )

    def no_face(self, row: int, distance: float, limit: float) -> Finding:
        """It lies where what is no face lies."""
        return self._of_rows(
            "no_face",
            [row],
            distance,
            f"{self._image(row)} is {distance:.3f} from the mean of what is no face, "
            f"and faces are at least {limit:g} from it: the back of a head, hair, a wall; it draws strangers",
            f"{ASIDE}; enrol a picture from the front",
        )

    def low_quality(self, row: int, limit: float, *, last: bool) -> Finding:
        """Its quality was noted when it was enrolled."""
        quality = self._reference(row).quality
        return self._of_rows(
            "low_quality",
            [row],
            None,
            f"{self._image(row)} has quality {quality:.2f}, below {limit:g}: "
            "small, blurred, dark or turned away",
            "enrol a better picture"
            + ("; until then it stays, as there is no other" if last else f"; {ASIDE}"),
            aside=not last,
        )

    def duplicate(self, row: int, kept: int, distance: float) -> Finding:
        """The same picture of the same person."""
        return self._of_rows(
            "duplicate",
            [row, kept],
            distance,
            f"{self._image(row)} is {distance:.3f} from {self._image(kept)}: the same picture, saved again",
            f"it adds nothing but a chance for strangers; {ASIDE}",
            aside=[self._reference(row).id],
        )

    def nearer_to_other(self, row: int, other: int, own: float, distance: float) -> Finding:
        """Probably it is the other person."""
        name = self._owner(other).name
        return self._of_rows(
            "nearer_to_other",
            [row, other],
            distance,
            f"{self._image(row)} is {distance:.3f} from {self._image(other)} of {name}, and {own:.3f} from "
            f"{self._owner(row).name}'s own: it may show {name}",
            f"{ASIDE}; if it is {name}, enrol the picture under that name",
            aside=[self._reference(row).id],
        )

    def outlier(self, row: int, distance: float, limit: float) -> Finding:
        """Its own are far."""
        return self._of_rows(
            "outlier",
            [row],
            distance,
            f"{self._image(row)} is {distance:.3f} from the nearest other of {self._owner(row).name}; "
            f"they are at most {limit:g} apart",
            f"look whether it shows them; {ASIDE}",
        )

    def scattered(self, rows: Sequence[int], distance: float, limit: float) -> Finding:
        """Too many are far from one another to tell which are wrong."""
        return self._of_rows(
            "outlier",
            rows,
            distance,
            f"{len(rows)} of {self._owner(rows[0]).name}'s references are farther than {limit:g} "
            "from the nearest other of their own: they may show several people",
            "look at the pictures and enrol the person anew, or add more pictures that are them",
            aside=False,
        )

    def same_person(self, pair: PeoplePair, distance: float) -> Finding:
        """As near as one person's references are to one another."""
        one, two = self._material.people[pair.first], self._material.people[pair.second]
        return self._finding(
            "same_person",
            [one, two],
            [self._name(pair.first_row), self._name(pair.second_row)],
            distance,
            f"the median distance between the references of {one.name} and {two.name} is {distance:.3f}: "
            "one person under two names, or twins",
            f"visaged merge {_quoted(two.name)} {_quoted(one.name)}; for twins, enroll NAME --not with each "
            "other's pictures",
        )

    def look_alikes(self, pair: PeoplePair) -> Finding:
        """Near enough to be taken for one another."""
        one, two = self._material.people[pair.first], self._material.people[pair.second]
        return self._finding(
            "look_alikes",
            [one, two],
            [self._name(pair.first_row), self._name(pair.second_row)],
            pair.distance,
            f"{self._image(pair.first_row)} of {one.name} and {self._image(pair.second_row)} of {two.name} "
            f"are {pair.distance:.3f} apart: one may be named as the other, or neither",
            "look at both; enroll NAME --not with the other's pictures, visaged calibrate, or visaged merge "
            f"{_quoted(two.name)} {_quoted(one.name)} if they are one",
        )

    def few_references(self, place: int, count: int, fewest: int) -> Finding:
        """Nothing can be told from so few."""
        person = self._material.people[place]
        return self._finding(
            "few_references",
            [person],
            [],
            None,
            f"{person.name} has {count} reference{'' if count == 1 else 's'} in use, fewer than {fewest}",
            f"enrol more pictures, of other days and light: visaged enroll {_quoted(person.name)} IMAGE…",
        )

    def _of_rows(
        self,
        code: Code,
        rows: Sequence[int],
        distance: float | None,
        explanation: str,
        remedy: str,
        aside: bool | Sequence[str] = True,
    ) -> Finding:
        if isinstance(aside, bool):
            aside = [self._reference(row).id for row in rows] if aside else []
        people = list(dict.fromkeys(self._owner(row) for row in rows))
        return self._finding(
            code, people, [self._name(row) for row in rows], distance, explanation, remedy, aside
        )

    def _finding(
        self,
        code: Code,
        people: Sequence[PersonName],
        references: Sequence[ReferenceName],
        distance: float | None,
        explanation: str,
        remedy: str,
        aside: Sequence[str] = (),
    ) -> Finding:
        return Finding(
            code,
            SEVERITIES[code],
            tuple(people),
            tuple(references),
            distance,
            explanation,
            remedy,
            tuple(aside),
        )

    def _reference(self, row: int) -> AuditedReference:
        return self._material.references[int(self._used[row])]

    def _owner(self, row: int) -> PersonName:
        return self._material.people[self._reference(row).person]

    def _image(self, row: int) -> str:
        return self._reference(row).image

    def _name(self, row: int) -> ReferenceName:
        return ReferenceName(self._reference(row).id, self._image(row))


def _quoted(name: str) -> str:

    return shlex.quote(name)
