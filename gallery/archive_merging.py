"""Takes an archive's people into a gallery, all of it in one change, and says what did not fit together."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gallery.archive import Carried
from gallery.errors import ArchiveRefused, ModelMismatch
from gallery.people import PersonName
from gallery.store import Gallery
from gallery.trail import Note

ConflictCode = Literal[
    "name_taken",
    "person_differs",
    "image_of_another",
    "reference_differs",
    "contradiction",
    "consent_required",
]

EXPLANATIONS: dict[ConflictCode, str] = {
    "name_taken": "somebody else has this name here; they were left out (--merge takes both for one)",
    "person_differs": "here something else is noted of this person, which stays: ",
    "image_of_another": "its picture is a reference of somebody else here; it was left out",
    "reference_differs": "here this reference is of another picture or person, and stays; it was left out",
    "contradiction": "here it is noted whether its picture shows this person, and otherwise; it was left out",
    "consent_required": "no consent is noted with them, and [gallery] require_consent asks for it here",
}
COPIED = ("person", "reference", "encoding", "threshold", "crop")
CONSENT = ("consent_basis", "consent_reference", "consent_date")
DIFFERENCES = ("name", *CONSENT, "expires_unix_ns", "note")
"""Columns of a person that are told of where they differ; the gallery's stay."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Something of the archive that contradicts the gallery, where nothing was changed."""

    code: ConflictCode
    """For programs."""
    person: PersonName
    """Whom it is about, as the archive names them."""
    reference: str | None
    """Which reference of theirs; None: the person as such."""
    explanation: str
    """One line for a person."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of an archive."""

    people_added: int
    """Who were not known before."""
    people_merged: int
    """Who were, and are known by more references now."""
    references_added: int
    """That are new."""
    references_present: int
    """That were here already, and were not doubled."""
    conflicts: tuple[Conflict, ...]
    """What was left out, and why."""


class _NothingNew(Exception):
    """Takes the change back: no revision and no entry of the trail for nothing."""


def merge(
    gallery: Gallery, carried: Carried, *, by_name: bool, expected_model: str | None = None
) -> Imported:
    """Adds everybody and everything that is not here yet, whole or not at all.

    A person is the same who has the same id, or with by_name the same name. ModelMismatch where encodings
    could not be compared with the gallery's, or are not of the expected model.
    """
    _check_models(gallery, carried, expected_model)
    merging = _Merging(gallery, carried.connection, by_name=by_name)
    try:
        with gallery.change() as note:
            merging.run(note)
            if not merging.changed:
                raise _NothingNew
            gallery.connection.execute(
                "UPDATE gallery SET model = coalesce(model, ?) WHERE EXISTS (SELECT 1 FROM encoding)",
                (expected_model or carried.model,),
            )
    except _NothingNew:
        pass
    return merging.report()


def _check_models(gallery: Gallery, carried: Carried, expected: str | None) -> None:
    kept = gallery.model or expected
    (lacking,) = carried.connection.execute(
        """SELECT count(*) FROM reference WHERE set_aside IS NULL AND NOT EXISTS (
               SELECT 1 FROM encoding WHERE reference_id = reference.id AND model = ?)""",
        (kept,),
    ).fetchone()
    if kept is not None and lacking:
        raise ModelMismatch(
            f"the archive's encodings are of model {carried.model} and can't be compared with the gallery's, "
            f"{kept}: import it where [encoder] and [detector] are as they were, or reencode the gallery "
            "that it comes from and export again, or enrol the pictures"
        )
    lengths = "SELECT DISTINCT model, length(vector) FROM encoding"
    found = [*gallery.connection.execute(lengths), *carried.connection.execute(lengths)]
    if len(set(found)) != len({model for model, _ in found}):
        raise ArchiveRefused("its encodings are not as long as the gallery's of the same model")


class _Merging:
    def __init__(self, gallery: Gallery, there: sqlite3.Connection, *, by_name: bool) -> None:
        here = self._here = gallery.connection
        self._there, self._by_name = there, by_name
        self._requires_consent = gallery.requires_consent
        self._added = self._merged = self._new = self._present = self._adopted = 0
        self._conflicts: list[Conflict] = []
        self._insert = {table: _inserter(here, there, table) for table in COPIED}

    @property
    def changed(self) -> bool:
        return bool(self._added or self._new or self._adopted)

    def report(self) -> Imported:
        return Imported(self._added, self._merged, self._new, self._present, tuple(self._conflicts))

    def run(self, note: Note) -> None:
        for person_id, name in self._there.execute("SELECT id, name FROM person ORDER BY rowid").fetchall():
            self._take(PersonName(person_id, name), note)

    def _take(self, person: PersonName, note: Note) -> None:
        owner = self._owner(person)
        if owner is None:
            self._report("name_taken", person)
            return
        is_new = self._here.execute("SELECT 1 FROM person WHERE id = ?", (owner,)).fetchone() is None
        if is_new and self._requires_consent and not self._has_consent(person):
            self._report("consent_required", person)
            return
        rows = self._there.execute(
            "SELECT id, source_digest, is_not FROM reference WHERE person_id = ? ORDER BY rowid", (person.id,)
        ).fetchall()
        # Settled before anything is put in: who would come without any reference does not come.
        chosen = [row[0] for row in rows if self._is_wanted(person, owner, *row)]
        if is_new and rows and not chosen:
            return
        adopted = 0
        if is_new:
            self._insert["person"]("id = ?", person.id, {})
            self._added += 1
        else:
            adopted = self._compare(person, owner)
            self._merged += bool(chosen)
        for key in chosen:
            self._insert["reference"]("id = ?", key, {"person_id": owner})
            self._insert["encoding"]("reference_id = ?", key, {})
            self._insert["crop"]("reference_id = ?", key, {})
        self._new += len(chosen)
        if is_new:
            self._insert["threshold"]("person_id = ?", person.id, {})
        self._adopted += adopted
        if is_new or chosen or adopted:
            note("imported", owner, references=len(chosen), person=int(is_new))

    def _owner(self, person: PersonName) -> str | None:
        """The id that the person has here, or will have; None: they can't come in."""
        if self._here.execute("SELECT 1 FROM person WHERE id = ?", (person.id,)).fetchone():
            return person.id
        row = self._here.execute("SELECT id FROM person WHERE name = ?", (person.name,)).fetchone()
        if row is None:
            return person.id
        return str(row[0]) if self._by_name else None

    def _has_consent(self, person: PersonName) -> bool:
        row = self._there.execute("SELECT consent_basis FROM person WHERE id = ?", (person.id,)).fetchone()
        return row[0] is not None

    def _is_wanted(self, person: PersonName, owner: str, key: str, digest: str, is_not: int) -> bool:
        """Whether a reference is to be added; counts, or tells of, those that are not."""
        same = self._here.execute(
            "SELECT person_id, source_digest, is_not FROM reference WHERE id = ?", (key,)
        ).fetchone()
        own = self._here.execute(
            "SELECT is_not FROM reference WHERE person_id = ? AND source_digest = ?", (owner, digest)
        ).fetchone()
        if own is not None:
            if own[0] == is_not:
                self._present += 1
            else:
                self._report("contradiction", person, key)
            return False
        if same is not None:
            self._report("reference_differs", person, key)
            return False
        others = "SELECT 1 FROM reference WHERE source_digest = ? AND is_not = 0"
        if not is_not and self._here.execute(others, (digest,)).fetchone():
            self._report("image_of_another", person, key)
            return False
        return True

    def _compare(self, person: PersonName, owner: str) -> int:
        """Tells what is noted otherwise; how much was taken over."""
        query = f"SELECT {', '.join(DIFFERENCES)} FROM person WHERE id = ?"  # noqa: S608
        there = dict(zip(DIFFERENCES, self._there.execute(query, (person.id,)).fetchone(), strict=True))
        adopted = self._adopt(owner, there)
        here = dict(zip(DIFFERENCES, self._here.execute(query, (owner,)).fetchone(), strict=True))
        differ = [column for column in DIFFERENCES if there[column] not in (None, here[column])]
        if differ:
            self._report("person_differs", person, more=", ".join(differ))
        return adopted

    def _adopt(self, owner: str, there: Mapping[str, object]) -> int:
        """As care.merge does: consent where none is noted here, and the earlier date to be forgotten at.

        Not one that has passed: who stays here for longer by now would be gone within a minute, for good.
        """
        consent = self._here.execute(
            """UPDATE person SET (consent_basis, consent_reference, consent_date) = (?1, ?2, ?3)
               WHERE id = ?4 AND consent_basis IS NULL AND ?1 IS NOT NULL""",
            (*(there[column] for column in CONSENT), owner),
        )
        expires = self._here.execute(
            """UPDATE person SET expires_unix_ns = ?1
               WHERE id = ?2 AND ?1 < coalesce(expires_unix_ns, 9223372036854775807)
                   AND ?1 / 1000000000 > CAST(strftime('%s', 'now') AS INTEGER)""",
            (there["expires_unix_ns"], owner),
        )
        note = self._here.execute(
            "UPDATE person SET note = ?1 WHERE id = ?2 AND note IS NULL AND ?1 IS NOT NULL",
            (there["note"], owner),
        )
        return consent.rowcount + expires.rowcount + note.rowcount

    def _report(
        self, code: ConflictCode, person: PersonName, reference: str | None = None, more: str = ""
    ) -> None:
        self._conflicts.append(Conflict(code, person, reference, EXPLANATIONS[code] + more))


Insert = Callable[[str, str, dict[str, str]], None]


def _inserter(here: sqlite3.Connection, there: sqlite3.Connection, table: str) -> Insert:
    """Copies the rows of a table that a condition with one value finds, with some columns set otherwise."""
    names = [row[1] for row in there.execute(f"PRAGMA table_info({table})")]
    columns, marks = ", ".join(names), ", ".join("?" * len(names))

    def insert(where: str, value: str, instead: dict[str, str]) -> None:
        rows: list[Sequence[object]] = there.execute(
            f"SELECT {columns} FROM {table} WHERE {where}",  # noqa: S608
            (value,),
        ).fetchall()
        here.executemany(
            f"INSERT INTO {table} ({columns}) VALUES ({marks})",  # noqa: S608
            [[instead.get(name, cell) for name, cell in zip(names, row, strict=True)] for row in rows],
        )

    return insert
