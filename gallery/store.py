"""Keeps people and their references in one SQLite file."""

from __future__ import annotations

import math
import sqlite3
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from gallery import consent, reading, renewal, schema, trail
from gallery.consent import Changes
from gallery.encryption import Key
from gallery.errors import DuplicateImage, GalleryError, PersonExists, PersonUnknown
from gallery.people import (
    NewReference,
    Person,
    PersonName,
    PersonThreshold,
    Reference,
    check_model,
    clean_name,
)
from gallery.trail import Entry, Note

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gallery.decision import Decision, Rules
    from gallery.matcher import Index


class Gallery:
    """People, their references, and a revision that rises with every change.

    One connection, for the thread that opened it; any number of processes may have the file open.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, key: Key | None = None) -> None:
        self.connection = connection
        """Of the thread that opened it; who writes does so within `change`."""
        self._indexed_revision: int | None = None
        self._searched: Index | None = None
        self.path = path
        """The file."""
        self.key = key
        """With which it is encrypted; None: it is not."""
        self.who = ""
        """In whose name it is changed, for the trail; '': not known."""
        self.requires_consent = False
        """Whether somebody new needs it noted; whoever opens it by a configuration sets it."""

    @classmethod
    def open(cls, path: Path, create: bool = True, key: Key | None = None) -> Self:
        """Opens a sound gallery, or raises a GalleryError; with `create` a missing one is made, empty."""
        return cls(schema.open_connection(path, create, key), path, key)

    def close(self) -> None:
        """Moves what is in the write-ahead log into the file, and lets go of it."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def revision(self) -> int:
        """Rises with every change, by whichever process, and never falls."""
        with schema.explained(self.path):
            (revision,) = self.connection.execute("SELECT revision FROM gallery").fetchone()
        return int(revision)

    @property
    def model(self) -> str | None:
        """The model of the encodings kept; None: nothing is kept yet, any model will do."""
        with schema.explained(self.path):
            (model,) = self.connection.execute("SELECT model FROM gallery").fetchone()
        return None if model is None else str(model)

    def changed(self) -> bool:
        """Whether the gallery is another than at the last `index`, whoever changed it. Cheap: one row."""
        return self.revision != self._indexed_revision

    def people(self) -> list[Person]:
        """Everybody, by name."""
        with schema.explained(self.path):
            return reading.people(self.connection)

    def person(self, name: str) -> Person:
        """The person of this name, or PersonUnknown."""
        wanted = clean_name(name)
        with schema.explained(self.path):
            found = reading.person(self.connection, wanted)
        if found is None:
            raise PersonUnknown(f"{wanted}: nobody of that name is enrolled")
        return found

    def references(self, name: str) -> list[Reference]:
        """What a person is known by, oldest first, in the gallery's model."""
        person = self.person(name)
        with schema.explained(self.path):
            return reading.references(self.connection, self.path, person.id, is_not=False)

    def not_references(self, name: str) -> list[Reference]:
        """What a person was told not to be, oldest first, in the gallery's model."""
        person = self.person(name)
        with schema.explained(self.path):
            return reading.references(self.connection, self.path, person.id, is_not=True)

    def thresholds(self) -> list[PersonThreshold]:
        """Everybody who has a threshold of their own, by name."""
        with schema.explained(self.path):
            return reading.thresholds(self.connection, self.path)

    def owner(self, source_digest: str) -> PersonName | None:
        """Whose reference the image with this digest is; None: not enrolled, or in another model alone."""
        with schema.explained(self.path):
            row = self.connection.execute(
                """SELECT person.id, person.name FROM reference JOIN person ON person.id = person_id
                   WHERE source_digest = ? AND is_not = 0 AND EXISTS (
                       SELECT 1 FROM encoding JOIN gallery ON gallery.model = encoding.model
                       WHERE reference_id = reference.id)""",
                (source_digest,),
            ).fetchone()
        return None if row is None else PersonName(*row)

    def has_image(self, name: str, source_digest: str) -> bool:
        """Whether the image with this digest is a reference of this person, or of what they are not."""
        person = self.person(name)
        with schema.explained(self.path):
            row = self.connection.execute(
                "SELECT 1 FROM reference WHERE person_id = ? AND source_digest = ?",
                (person.id, source_digest),
            ).fetchone()
        return row is not None

    def add(
        self,
        name: str,
        references: Sequence[NewReference],
        enrolled_unix_ns: int,
        terms: Changes | None = None,
        **detail: int | float | str | None,
    ) -> Person:
        """Enrols all of these or none; a name that is there gets more references. terms: noted with them.

        detail: what else the trail's entry says.
        """
        wanted = clean_name(name)
        if not references:
            raise GalleryError(f"{wanted}: nobody is enrolled without a reference")
        vectors = [_as_stored(reference) for reference in references]
        with self.change() as note:
            self._claim_model(references, vectors)
            person_id = self._enter(wanted, enrolled_unix_ns, terms)
            note("enrolled", person_id, references=len(references), **detail)
            if terms:
                consent.write(self, person_id, terms)
                note("terms_set", person_id, fields="+".join(sorted(terms)))
            for reference, vector in zip(references, vectors, strict=True):
                owner = self.owner(reference.source_digest)
                if owner is not None:
                    raise DuplicateImage(reference.source_digest, owner.name)
                self._keep(person_id, wanted, reference, vector, enrolled_unix_ns, is_not=False)
        return self.person(wanted)

    def add_not(self, name: str, references: Sequence[NewReference], enrolled_unix_ns: int) -> Person:
        """Adds faces that this person, who must be enrolled, is not; all of these or none."""
        vectors = [_as_stored(reference) for reference in references]
        with self.change() as note:
            person = self.person(name)
            note("enrolled_not", person.id, references=len(references))
            self._claim_model(references, vectors)
            for reference, vector in zip(references, vectors, strict=True):
                self._keep(person.id, person.name, reference, vector, enrolled_unix_ns, is_not=True)
        return person

    def set_thresholds(
        self, distances: Mapping[str, float], *, model: str, fmr: float, calibrated_unix_ns: int
    ) -> None:
        """Gives people, by their ids, thresholds of their own; whoever is not named has none any more."""
        if not all(math.isfinite(distance) and distance > 0 for distance in distances.values()):
            raise GalleryError("a threshold must be a number above 0")
        if not math.isfinite(fmr):
            raise GalleryError("the rate that thresholds are for must be a number")
        with self.change() as note:
            check_model(self.model, model)
            known = {person.id for person in self.people()}
            if not known.issuperset(distances):
                raise PersonUnknown("somebody was forgotten meanwhile: calibrate again")
            note("thresholds_set", None, people=len(distances), fmr=fmr)
            self.connection.execute("DELETE FROM threshold")
            self.connection.executemany(
                "INSERT INTO threshold VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        person_id,
                        distance,
                        model,
                        fmr,
                        len(known),
                        calibrated_unix_ns,
                        reading.threshold_checksum(person_id, distance, model),
                    )
                    for person_id, distance in distances.items()
                ],
            )

    def forget(self, name: str) -> Person:
        """Removes a person from this file, and returns who it was; `gallery.forgetting` from everywhere."""
        with self.change() as note:
            person = self.person(name)
            note("forgotten", person.id, references=person.references)
            self.connection.execute("DELETE FROM person WHERE id = ?", (person.id,))
            # With nobody left, the next to be enrolled may be of another model.
            self.connection.execute(
                "UPDATE gallery SET model = NULL WHERE NOT EXISTS (SELECT 1 FROM encoding)"
            )
        self.rewrite()
        return person

    def rename(self, old: str, new: str) -> Person:
        """Gives a person another name; their id and references stay."""
        wanted = clean_name(new)
        with self.change() as note:
            person = self.person(old)
            note("renamed", person.id)
            taken = self.connection.execute(
                "SELECT 1 FROM person WHERE name = ? AND id != ?", (wanted, person.id)
            ).fetchone()
            if taken:
                raise PersonExists(f"{wanted}: somebody else has that name; forget or rename them first")
            self.connection.execute("UPDATE person SET name = ? WHERE id = ?", (wanted, person.id))
        self.empty_log()
        return self.person(wanted)

    def index(self, model: str) -> Index:
        """Everybody's encodings, to be matched with encodings of this model alone, or ModelMismatch."""
        index = self._read_index(model)
        self._indexed_revision = index.revision
        return index

    def decide(self, encodings: NDArray[np.float32], rules: Rules) -> list[Decision]:
        """Who the faces of one picture are, of the gallery's model, among everybody of this moment."""
        from gallery.decision import decide

        if self._searched is None or self._searched.revision != self.revision:
            self._searched = self._read_index(self.model)
        return decide(self._searched, encodings, rules)

    def _read_index(self, model: str | None) -> Index:
        with schema.explained(self.path):
            return reading.index(self.connection, self.path, model)

    @contextmanager
    def change(self) -> Iterator[Note]:
        """Everything within is one change, with its entry in the trail: whole, or not at all."""
        with schema.explained(self.path), schema.transaction(self.connection):
            yield partial(trail.note, self.connection, self.who)
            self.connection.execute("UPDATE gallery SET revision = revision + 1")

    def trail(self) -> list[Entry]:
        """Who did what, the oldest first."""
        with schema.explained(self.path):
            return trail.entries(self.connection)

    def _claim_model(self, references: Sequence[NewReference], vectors: Sequence[bytes]) -> None:
        kept = self.model
        for model in sorted({reference.model for reference in references}):
            check_model(kept, model)
            kept = model
        lengths = {len(vector) for vector in vectors}
        # One stands for all: this is what keeps them equal.
        row = self.connection.execute(
            "SELECT length(vector) FROM encoding WHERE model = ? LIMIT 1", (kept,)
        ).fetchone()
        if len(lengths | set(row or ())) > 1:
            raise GalleryError(f"{self.path}: encodings of one model must have one length")
        self.connection.execute("UPDATE gallery SET model = ?", (kept,))

    def _enter(self, name: str, enrolled_unix_ns: int, terms: Changes | None) -> str:
        row = self.connection.execute("SELECT id FROM person WHERE name = ?", (name,)).fetchone()
        if row is not None:
            return str(row[0])
        if self.requires_consent:
            consent.check_new(name, terms)
        person_id = str(uuid.uuid4())
        self.connection.execute(
            "INSERT INTO person (id, name, enrolled_unix_ns) VALUES (?, ?, ?)",
            (person_id, name, enrolled_unix_ns),
        )
        return person_id

    def _keep(
        self,
        person_id: str,
        name: str,
        reference: NewReference,
        vector: bytes,
        enrolled_unix_ns: int,
        *,
        is_not: bool,
    ) -> None:
        if renewal.renew(self.connection, person_id, reference, vector, is_not=is_not):
            return
        if self.has_image(name, reference.source_digest):
            raise DuplicateImage(reference.source_digest, name)
        if not is_not:
            renewal.check_alone(self.connection, reference)
        key = str(uuid.uuid4())
        self.connection.execute(
            """INSERT INTO reference
               (id, person_id, source_digest, source_name, quality, enrolled_unix_ns, is_not)
               VALUES (?, ?, ?, ?, ?, ?, ?)""",
            (
                key,
                person_id,
                reference.source_digest,
                reference.source_name,
                float(reference.quality),
                enrolled_unix_ns,
                is_not,
            ),
        )
        self.connection.execute(
            "INSERT INTO encoding VALUES (?, ?, ?, ?)", (key, reference.model, vector, zlib.crc32(vector))
        )
        if reference.crop is not None:
            self.connection.execute(
                "INSERT INTO crop VALUES (?, ?, ?)", (key, reference.crop, zlib.crc32(reference.crop))
            )

    def empty_log(self) -> bool:
        """After a removal: nothing of it is left in the write-ahead log either; False: not yet."""
        # What was removed still stands in the write-ahead log. Somebody who reads just now may keep it from
        # being emptied; then whoever closes the gallery last does it.
        with schema.explained(self.path):
            (busy, *_) = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def rewrite(self) -> bool:
        """After a removal: writes the file anew, and empties the log; False: that not yet.

        SQLite's secure_delete overwrites a row where it stood last, not where it stood before the pages
        around it were balanced: of one in some thousand removals a piece stays in the file.
        """
        with schema.explained(self.path):
            self.connection.execute("VACUUM")
        return self.empty_log()


def _as_stored(reference: NewReference) -> bytes:
    import numpy as np

    encoding = np.asarray(reference.encoding, reading.STORED)
    if encoding.ndim != 1 or not encoding.size or not np.isfinite(encoding).all():
        raise GalleryError(f"{reference.source_name}: an encoding must be one row of finite numbers")
    if not 0 <= reference.quality <= 1:
        raise GalleryError(f"{reference.source_name}: a quality is from 0 to 1, not {reference.quality}")
    return encoding.tobytes()
