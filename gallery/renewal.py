"""A picture that is enrolled again after a change of encoder: its reference gets the encoding it lacks."""

from __future__ import annotations

import sqlite3
import zlib

from gallery.errors import DuplicateImage
from gallery.people import NewReference

OLD_MODEL = "old_model"
"""Why references are set aside that have no encoding of the gallery's model; such a one is in use again."""


def renew(
    connection: sqlite3.Connection, person_id: str, reference: NewReference, vector: bytes, *, is_not: bool
) -> bool:
    """Within a change; whether this person has a reference of this picture that lacked such an encoding."""
    row = connection.execute(
        """SELECT id FROM reference WHERE person_id = ? AND source_digest = ? AND is_not = ? AND NOT EXISTS (
               SELECT 1 FROM encoding WHERE reference_id = reference.id AND model = ?)""",
        (person_id, reference.source_digest, is_not, reference.model),
    ).fetchone()
    if row is None:
        return False
    (key,) = row
    connection.execute(
        "INSERT INTO encoding VALUES (?, ?, ?, ?)", (key, reference.model, vector, zlib.crc32(vector))
    )
    connection.execute(
        "UPDATE reference SET set_aside = NULL WHERE id = ? AND set_aside = ?", (key, OLD_MODEL)
    )
    if reference.crop is not None:
        connection.execute(
            "INSERT OR REPLACE INTO crop VALUES (?, ?, ?)",
            (key, reference.crop, zlib.crc32(reference.crop)),
        )
    return True


def check_alone(connection: sqlite3.Connection, reference: NewReference) -> None:
    """DuplicateImage where the picture is somebody's reference, if only in another model."""
    row = connection.execute(
        """SELECT name FROM reference JOIN person ON person.id = person_id
           WHERE source_digest = ? AND is_not = 0""",
        (reference.source_digest,),
    ).fetchone()
    if row is not None:
        raise DuplicateImage(reference.source_digest, row[0])
