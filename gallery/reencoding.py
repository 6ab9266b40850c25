"""A change of encoder: a second space of encodings grows beside the first, and takes its place when whole.

At any moment one space alone is matched with, the one of the gallery's model.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gallery import face_crop, reading, schema
from gallery.errors import GalleryError, ModelMismatch
from gallery.faces.types import Encoder
from gallery.people import PersonName, check_model
from gallery.store import Gallery

BATCH = 16
"""Pictures that are encoded at once, and whose encodings are stored in one change."""


@dataclass(frozen=True, slots=True)
class Lacking:
    """A reference that has no encoding of a model yet."""

    id: str
    """The reference's."""
    person: PersonName
    """Whose."""
    image: str
    """The base name of the picture that it was made from."""
    in_use: bool
    """It is matched with; False: it was set aside."""
    has_crop: bool
    """A picture is kept from which it can be encoded."""


@dataclass(frozen=True, slots=True)
class Reencoded:
    """What a run came to."""

    encoded: int
    """References that have an encoding of the model now, and had none before."""
    left: tuple[Lacking, ...]
    """Those in use that still have none: the model can't be changed to before these are done."""


def lacking(gallery: Gallery, model: str) -> list[Lacking]:
    """What the space of this model still lacks, in order of enrolment."""
    with schema.explained(gallery.path):
        rows = gallery.connection.execute(
            """SELECT reference.id, person.id, name, source_name, set_aside IS NULL,
                      EXISTS (SELECT 1 FROM crop WHERE reference_id = reference.id)
               FROM reference JOIN person ON person.id = person_id
               WHERE NOT EXISTS (
                   SELECT 1 FROM encoding WHERE reference_id = reference.id AND model = ?)
               ORDER BY reference.rowid""",
            (model,),
        ).fetchall()
    return [
        Lacking(key, PersonName(person_id, name), image, bool(in_use), bool(has_crop))
        for key, person_id, name, image, in_use, has_crop in rows
    ]


def crops(gallery: Gallery, references: Sequence[str]) -> dict[str, bytes]:
    """The pictures kept of these references, by their ids; some may be gone by now."""
    found: dict[str, bytes] = {}
    with schema.explained(gallery.path):
        for key in references:
            row = gallery.connection.execute(
                "SELECT image, checksum FROM crop WHERE reference_id = ?", (key,)
            ).fetchone()
            if row is None:
                continue
            if zlib.crc32(row[0]) != row[1]:
                raise schema.damaged(gallery.path, f"the picture of reference {key} is not what was written")
            found[key] = row[0]
    return found


def put(gallery: Gallery, model: str, references: Sequence[str], rows: NDArray[np.float32]) -> int:
    """Stores encodings (float32[n, d]) of these references beside those of other models, in one change.

    Who was forgotten meanwhile is left out; how many were stored.
    """
    table = np.asarray(rows, reading.STORED)
    if table.ndim != 2 or len(table) != len(references) or not np.isfinite(table).all() or not table.size:
        raise GalleryError("encodings must be rows of finite numbers, one a reference")
    if not model or model == gallery.model:
        raise GalleryError(f"encodings of the gallery's own model, {model}, come with the pictures alone")
    with gallery.change() as note:
        # One stands for all: this is what keeps them equal.
        known = gallery.connection.execute(
            "SELECT length(vector) FROM encoding WHERE model = ? LIMIT 1", (model,)
        ).fetchone()
        if known is not None and known[0] != table[0].nbytes:
            raise GalleryError(f"{gallery.path}: encodings of one model must have one length")
        stored = 0
        for key, row in zip(references, table, strict=True):
            vector = row.tobytes()
            done = gallery.connection.execute(
                """INSERT OR IGNORE INTO encoding SELECT id, ?, ?, ? FROM reference WHERE id = ?""",
                (model, vector, zlib.crc32(vector), key),
            )
            stored += done.rowcount
        note("reencoded", None, model=model, references=stored)
    return stored


def switch(gallery: Gallery, model: str) -> bool:
    """Makes this the gallery's model where every reference in use has an encoding of it; whether it is now.

    False: the gallery has none yet. ModelMismatch, and nothing changed, where any reference lacks one.
    """
    if gallery.model in (None, model):
        return gallery.model == model
    with gallery.change() as note:
        # Counted under the lock: somebody may be enrolled just now.
        left = sum(each.in_use for each in lacking(gallery, model))
        if left:
            begun = gallery.connection.execute("SELECT 1 FROM encoding WHERE model = ? LIMIT 1", (model,))
            if begun.fetchone() is None:
                check_model(gallery.model, model)
            raise ModelMismatch(
                f"{left} references have no encoding of {model} yet, so that the gallery stays with "
                f"{gallery.model}: visaged reencode goes on, or set [encoder] and [detector] back"
            )
        note("model_changed", None, before=gallery.model, after=model)
        gallery.connection.execute("UPDATE gallery SET model = ?", (model,))
    return True


def encode(encoder: Encoder, pictures: Mapping[str, bytes]) -> NDArray[np.float32]:
    """float32[n, d]: one encoding a picture, in their order."""
    read = [face_crop.read(content) for content in pictures.values()]
    return np.concatenate(encoder.encode_many([bgr for bgr, _ in read], [faces for _, faces in read]))


def fill(
    encoder: Encoder,
    todo: Sequence[Lacking],
    get: Callable[[Sequence[str]], Mapping[str, bytes]],
    store: Callable[[Sequence[str], NDArray[np.float32]], int],
    progress: Callable[[object], None] = lambda reference: None,
) -> int:
    """Encodes what has a picture, batch by batch, each stored at once: a later run goes on from there."""
    ids = [each.id for each in todo if each.has_crop]
    stored = 0
    for first in range(0, len(ids), BATCH):
        pictures = get(ids[first : first + BATCH])
        if pictures:
            stored += store(list(pictures), encode(encoder, pictures))
        for key in ids[first : first + BATCH]:
            progress(key)
    return stored
