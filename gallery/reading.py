"""Reads a gallery's rows: people, their references, their thresholds, and everybody at once as an index."""

from __future__ import annotations

import sqlite3
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from gallery import schema
from gallery.people import Person, PersonName, PersonThreshold, Reference, check_model

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gallery.matcher import Index

STORED = "<f4"
"""How an encoding stands in the file, whatever the machine's byte order."""

PEOPLE = """
    SELECT person.id, person.name, count(reference.id), person.enrolled_unix_ns,
           max(person.enrolled_unix_ns, ifnull(max(reference.enrolled_unix_ns), 0))
    FROM person LEFT JOIN reference
         ON reference.person_id = person.id AND reference.is_not = 0 AND reference.set_aside IS NULL
"""


def people(connection: sqlite3.Connection) -> list[Person]:
    """Everybody, by name."""
    return [Person(*row) for row in connection.execute(PEOPLE + "GROUP BY person.id ORDER BY person.name")]


def person(connection: sqlite3.Connection, name: str) -> Person | None:
    """Who has this name, which is clean."""
    query = PEOPLE + "WHERE person.name = ? GROUP BY person.id"
    row = connection.execute(query, (name,)).fetchone()
    return None if row is None else Person(*row)


def references(
    connection: sqlite3.Connection, path: Path, person_id: str, *, is_not: bool
) -> list[Reference]:
    """What a person is known by, or told not to be, oldest first, in the gallery's model; also set aside."""
    import numpy as np

    rows = connection.execute(
        """SELECT reference.id, vector, checksum, encoding.model, source_digest, source_name, quality,
                  enrolled_unix_ns, set_aside
           FROM reference JOIN encoding ON encoding.reference_id = reference.id
           WHERE person_id = ? AND is_not = ? AND encoding.model = (SELECT model FROM gallery)
           ORDER BY enrolled_unix_ns, reference.rowid""",
        (person_id, is_not),
    )
    return [
        Reference(key, np.frombuffer(sound(path, key, vector, checksum), STORED).astype(np.float32), *rest)
        for key, vector, checksum, *rest in rows
    ]


def thresholds(connection: sqlite3.Connection, path: Path) -> list[PersonThreshold]:
    """Everybody who has a threshold of their own, by name."""
    rows = connection.execute(
        """SELECT person.id, person.name, distance, model, fmr, people, calibrated_unix_ns, checksum
           FROM threshold JOIN person ON person.id = person_id ORDER BY person.name"""
    )
    found = []
    for person_id, name, distance, model, fmr, count, calibrated_unix_ns, checksum in rows:
        if threshold_checksum(person_id, distance, model) != checksum:
            raise schema.damaged(path, f"the threshold of person {person_id} is not what was written")
        person = PersonName(person_id, name)
        found.append(PersonThreshold(person, distance, model, fmr, count, calibrated_unix_ns))
    return found


def threshold_checksum(person_id: str, distance: float, model: str) -> int:
    """CRC-32 of a threshold, whose it is, and of which model."""
    return zlib.crc32(struct.pack("<d", distance) + f"{person_id} {model}".encode())


def index(connection: sqlite3.Connection, path: Path, model: str | None) -> Index:
    """Everybody's encodings, thresholds and vetoes of one moment; ModelMismatch where they are another's."""
    import numpy as np

    from gallery.matcher import Index

    # One read transaction: all of the same moment.
    connection.execute("BEGIN")
    try:
        revision, kept = connection.execute("SELECT revision, model FROM gallery").fetchone()
        everybody = connection.execute(
            "SELECT id, name FROM person ORDER BY enrolled_unix_ns, rowid"
        ).fetchall()
        rows = connection.execute(
            """SELECT reference_id, person_id, vector, checksum, is_not
               FROM encoding JOIN reference ON reference.id = reference_id
               WHERE model = ? AND set_aside IS NULL
               ORDER BY reference.rowid""",
            (kept,),
        ).fetchall()
        own = {each.person.id: each.distance for each in thresholds(connection, path) if each.model == kept}
    finally:
        connection.execute("COMMIT")
    if model is not None:
        check_model(kept, model)
    place = {person_id: i for i, (person_id, _) in enumerate(everybody)}
    table = matrix(path, [sound(path, key, vector, checksum) for key, _, vector, checksum, _ in rows])
    owners = np.array([place[person_id] for _, person_id, *_ in rows], np.intp)
    is_not = np.array([bool(row[-1]) for row in rows], np.bool_)
    return Index.of(
        [PersonName(*row) for row in everybody],
        owners[~is_not],
        table[~is_not],
        model=model or kept or "",
        revision=revision,
        thresholds=[own.get(person_id) for person_id, _ in everybody],
        not_owners=owners[is_not],
        not_encodings=table[is_not],
    )


def sound(path: Path, reference_id: str, vector: bytes, checksum: int) -> bytes:
    """A vector as it was written; GalleryDamaged where it is another."""
    if zlib.crc32(vector) != checksum:
        raise schema.damaged(path, f"the encoding of reference {reference_id} is not what was written")
    return vector


def matrix(path: Path, vectors: list[bytes]) -> NDArray[np.float32]:
    """float32[n, d] from vectors, which must all be of one length; none at all are float32[0, 0]."""
    import numpy as np

    if not vectors:
        return np.zeros((0, 0), np.float32)
    if len({len(vector) for vector in vectors}) > 1:
        raise schema.damaged(path, "encodings of one model have several lengths")
    flat = np.frombuffer(b"".join(vectors), STORED).astype(np.float32, copy=False)
    return flat.reshape(len(vectors), -1)
