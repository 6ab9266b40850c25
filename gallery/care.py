"""Mends a gallery: sets references aside and takes them back, and makes one person of two."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

from gallery import reading, schema
from gallery.audit_findings import AuditedReference, Material
from gallery.errors import GalleryError
from gallery.people import Person, PersonName
from gallery.store import Gallery

FEWEST_CHARACTERS = 4
"""Of a reference's id, where only its beginning is given."""


def material(gallery: Gallery) -> Material:
    """Everything that an audit looks at, of one moment."""
    import numpy as np

    connection = gallery.connection
    with schema.explained(gallery.path):
        connection.execute("BEGIN")
        try:
            (model,) = connection.execute("SELECT model FROM gallery").fetchone()
            people = connection.execute(
                "SELECT id, name FROM person ORDER BY enrolled_unix_ns, rowid"
            ).fetchall()
            rows = connection.execute(
                """SELECT reference.id, person_id, source_name, quality, set_aside, vector, checksum
                   FROM reference LEFT JOIN encoding ON reference_id = reference.id AND model = ?
                   WHERE is_not = 0 ORDER BY reference.rowid""",
                (model,),
            ).fetchall()
        finally:
            connection.execute("COMMIT")
        place = {person_id: i for i, (person_id, _) in enumerate(people)}
        kept = [row for row in rows if row[-1] is not None]
        table = reading.matrix(
            gallery.path, [reading.sound(gallery.path, row[0], row[-2], row[-1]) for row in kept]
        )
    return Material(
        model=model or "",
        people=tuple(PersonName(*row) for row in people),
        references=tuple(AuditedReference(row[0], place[row[1]], *row[2:5]) for row in kept),
        encodings=np.ascontiguousarray(table),
        old=tuple(AuditedReference(row[0], place[row[1]], *row[2:5]) for row in rows if row[-1] is None),
    )


def set_aside(gallery: Gallery, codes: Mapping[str, str]) -> int:
    """Keeps references, by their ids, from being matched with, for the reason given as a code; how many.

    All of these or none; GalleryError where one is not there. One that is set aside already stays as it is.
    """
    changed = 0
    with gallery.change() as note:
        for reference_id, code in codes.items():
            person_id = _owner(gallery, reference_id)
            done = gallery.connection.execute(
                "UPDATE reference SET set_aside = ? WHERE id = ? AND set_aside IS NULL", (code, reference_id)
            )
            if done.rowcount:
                note("set_aside", person_id, reference=reference_id, code=code)
                changed += 1
    return changed


def reinstate(gallery: Gallery, references: Sequence[str]) -> list[str]:
    """Takes back what was set aside, by ids or their beginnings; the ids. All of these or none."""
    found: list[str] = []
    with gallery.change() as note:
        for wanted in references:
            reference_id = _complete(gallery, wanted)
            done = gallery.connection.execute(
                "UPDATE reference SET set_aside = NULL WHERE id = ? AND set_aside IS NOT NULL",
                (reference_id,),
            )
            if not done.rowcount:
                raise GalleryError(f"{wanted}: this reference is in use; nothing was changed")
            note("reinstated", _owner(gallery, reference_id), reference=reference_id)
            found.append(reference_id)
    return found


def merge(gallery: Gallery, name: str, into: str) -> Person:
    """Gives all that `name` is known by to `into`, who keeps name, id and threshold; `name` is gone.

    What one was told not to be and the other is known by is dropped: whoever merges says that they are one.
    """
    with gallery.change() as note:
        gone, stays = gallery.person(name), gallery.person(into)
        if gone.id == stays.id:
            raise GalleryError(f"{stays.name} can't be merged with themselves; name two people")
        note("merged", stays.id, person=gone.id, references=gone.references)
        both = {"gone": gone.id, "stays": stays.id}
        for statement in _MERGING:
            gallery.connection.execute(statement, both)
    gallery.empty_log()
    return gallery.person(into)


_MERGING = (
    # Of what contradicts, or is there twice, only one can stay.
    """DELETE FROM reference WHERE is_not = 1 AND person_id IN (:gone, :stays) AND source_digest IN (
           SELECT source_digest FROM reference WHERE is_not = 0 AND person_id IN (:gone, :stays))""",
    """DELETE FROM reference WHERE is_not = 1 AND person_id = :gone AND source_digest IN (
           SELECT source_digest FROM reference WHERE is_not = 1 AND person_id = :stays)""",
    "UPDATE reference SET person_id = :stays WHERE person_id = :gone",
    # The stricter word counts: who agreed to less must not be kept for longer.
    """UPDATE person SET expires_unix_ns = (
           SELECT min(expires_unix_ns) FROM person WHERE id IN (:gone, :stays)) WHERE id = :stays""",
    # They are one: what was agreed to under the other name holds where nothing was noted under this one.
    """UPDATE person SET (consent_basis, consent_reference, consent_date) = (
           SELECT consent_basis, consent_reference, consent_date FROM person WHERE id = :gone)
       WHERE id = :stays AND consent_basis IS NULL""",
    "DELETE FROM person WHERE id = :gone",
)


def crops(gallery: Gallery, name: str) -> dict[str, bytes]:
    """The pictures kept of a person's references, PNG or JPEG, by the reference's id; most keep none."""
    person = gallery.person(name)
    with schema.explained(gallery.path):
        rows = gallery.connection.execute(
            """SELECT reference_id, image, checksum FROM crop JOIN reference ON reference.id = reference_id
               WHERE person_id = ?""",
            (person.id,),
        ).fetchall()
    for key, image, checksum in rows:
        if zlib.crc32(image) != checksum:
            raise schema.damaged(gallery.path, f"the picture of reference {key} is not what was written")
    return {key: image for key, image, _ in rows}


def _owner(gallery: Gallery, reference_id: str) -> str:
    row = gallery.connection.execute(
        "SELECT person_id FROM reference WHERE id = ?", (reference_id,)
    ).fetchone()
    if row is None:
        raise GalleryError(f"{reference_id}: there is no such reference; it may have been forgotten")
    return str(row[0])


def _complete(gallery: Gallery, beginning: str) -> str:
    if len(beginning) < FEWEST_CHARACTERS:
        raise GalleryError(f"{beginning}: give at least {FEWEST_CHARACTERS} characters of a reference's id")
    rows = gallery.connection.execute(
        "SELECT id FROM reference WHERE substr(id, 1, length(?1)) = ?1", (beginning,)
    ).fetchall()
    if len(rows) != 1:
        raise GalleryError(
            f"{beginning}: {'several references begin so' if rows else 'there is no such reference'}; "
            "visaged people NAME lists a person's"
        )
    return str(rows[0][0])
