"""Takes a person out of the gallery, and keeps what has to be looked for elsewhere until that is done."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from gallery import schema, trail
from gallery.errors import PersonUnknown
from gallery.forgetting_search import mentions, without
from gallery.store import Gallery

Why = Literal["asked", "expired"]

PIECE_BYTES = 16
"""Of a picture, in three places: enough to find it again by, and no picture."""


@dataclass(frozen=True, slots=True, eq=False)
class Forgetting:
    """Somebody who is gone from the gallery and perhaps not yet from everywhere else."""

    person_id: str
    """UUID; random, so it tells nothing of who it was."""
    why: Why
    """Whether somebody asked for it, or their time was up."""
    who: str
    """In whose name, as in the trail."""
    began_unix_ns: int
    """When."""
    references: int
    """How many were removed."""
    crops: int
    """How many pictures were removed with them."""
    events: int
    """In how many events of the journal the name was blanked so far."""
    ids: tuple[str, ...]
    """Theirs, and those of people who were merged into them."""
    names: tuple[str, ...] | None
    """All that are known, also earlier ones; None: nothing is looked for any more."""
    encodings: bytes
    """float32, little-endian, one encoding after the other."""
    pictures: tuple[bytes, ...]
    """Pieces of the pictures that were removed."""
    files: int
    """How many are looked through; 0: that is not known yet."""
    files_left: int
    """In how many of them something was found before the names were dropped."""


@dataclass(frozen=True, slots=True)
class Owed:
    """Somebody who is forgotten, and of whom subscribers were not told that yet."""

    person_id: str
    """UUID."""
    why: Why
    """As Forgetting's."""
    merged: tuple[str, ...]
    """Ids of people who were merged into them."""
    verified: bool
    """Whether all files were searched and nothing was found."""


def find(gallery: Gallery, name: str | None, person_id: str | None) -> str:
    """The id of whom a name or an id means; PersonUnknown.

    Somebody who is no longer enrolled is known by their id as long as the trail tells of them.
    """
    if name is not None:
        return gallery.person(name).id
    with schema.explained(gallery.path):
        known = gallery.connection.execute(
            "SELECT 1 FROM person WHERE id = ?1 UNION ALL SELECT 1 FROM trail WHERE person_id = ?1 LIMIT 1",
            (person_id,),
        ).fetchone()
    if known is None:
        raise PersonUnknown(f"{person_id}: nobody has this id; visaged people --json lists them")
    return str(person_id)


def begin(gallery: Gallery, person_id: str, why: Why, now_unix_ns: int) -> Forgetting:
    """Removes all that the gallery has of a person, and notes what is to be looked for elsewhere.

    From then on nobody is given the name. Begun twice, it is the same forgetting.
    """
    with gallery.change() as note:
        ask = gallery.connection.execute
        known = ask("SELECT 1 FROM forgetting WHERE person_id = ? AND verified IS NULL", (person_id,))
        if known.fetchone() is None:
            pictures = _pieces(gallery, person_id)
            encodings = ask(
                """SELECT vector FROM encoding JOIN reference ON reference.id = reference_id
                   WHERE person_id = ? AND is_not = 0 ORDER BY reference.rowid""",
                (person_id,),
            ).fetchall()
            names = [row[0] for row in ask("SELECT name FROM person WHERE id = ?", (person_id,))]
            (references,) = ask("SELECT count(*) FROM reference WHERE person_id = ?", (person_id,)).fetchone()
            # A face of theirs may also have been kept as what somebody else is not.
            taken = ask(
                """DELETE FROM reference WHERE is_not = 1 AND person_id != ?1 AND source_digest IN (
                       SELECT source_digest FROM reference WHERE is_not = 0 AND person_id = ?1)""",
                (person_id,),
            )
            references += taken.rowcount
            ask(
                """INSERT OR REPLACE INTO forgetting (person_id, why, who, began_unix_ns, references_gone,
                                                      crops_gone, ids, names, encodings, pictures)
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
                (
                    person_id,
                    why,
                    gallery.who,
                    now_unix_ns,
                    references,
                    len(pictures) // 3,
                    json.dumps(_ids(gallery, person_id)),
                    json.dumps(names, ensure_ascii=False),
                    b"".join(row[0] for row in encodings),
                    b"".join(pictures),
                ),
            )
            ask("DELETE FROM person WHERE id = ?", (person_id,))
            # With nobody left, the next to be enrolled may be of another model.
            ask("UPDATE gallery SET model = NULL WHERE NOT EXISTS (SELECT 1 FROM encoding)")
            note("forgetting", person_id, why=why, references=references, crops=len(pictures) // 3)
    gallery.empty_log()
    return next(each for each in begun(gallery) if each.person_id == person_id)


def begun(gallery: Gallery) -> list[Forgetting]:
    """Who is being forgotten, the first first."""
    with schema.explained(gallery.path):
        rows = gallery.connection.execute(
            """SELECT person_id, why, who, began_unix_ns, references_gone, crops_gone, events_blanked,
                      ids, names, encodings, pictures, files_searched, files_left
               FROM forgetting WHERE verified IS NULL ORDER BY began_unix_ns, rowid"""
        ).fetchall()
    return [_read(row) for row in rows]


def current(gallery: Gallery, forgetting: Forgetting) -> Forgetting:
    """As it is noted now; as it is in hand, where another process was quicker and has dropped the names."""
    noted = [each for each in begun(gallery) if each.person_id == forgetting.person_id]
    return next((each for each in noted if each.names is not None), forgetting)


def learn_names(gallery: Gallery, person_id: str, names: Collection[str]) -> None:
    """These are theirs too, as the journal knew."""
    with schema.explained(gallery.path), schema.transaction(gallery.connection):
        row = gallery.connection.execute(
            "SELECT names FROM forgetting WHERE person_id = ? AND names IS NOT NULL", (person_id,)
        ).fetchone()
        if row is None:
            # Another process was quicker.
            return
        known = json.loads(row[0])
        known += sorted(set(names).difference(known))
        gallery.connection.execute(
            "UPDATE forgetting SET names = ? WHERE person_id = ?",
            (json.dumps(known, ensure_ascii=False), person_id),
        )


def count_events(gallery: Gallery, person_id: str, events: int) -> None:
    """So many more events are blank."""
    with schema.explained(gallery.path), schema.transaction(gallery.connection):
        gallery.connection.execute(
            "UPDATE forgetting SET events_blanked = events_blanked + ? WHERE person_id = ?",
            (events, person_id),
        )


def clear_labels(gallery: Gallery, names: Collection[str], others: Collection[str]) -> int:
    """Takes the names out of what others' pictures are called; of how many. others: texts that stay."""
    with schema.explained(gallery.path), schema.transaction(gallery.connection):
        rows = gallery.connection.execute("SELECT id, source_name FROM reference").fetchall()
        cleared = [
            (without(label, names, others), key) for key, label in rows if mentions(label, names, others)
        ]
        gallery.connection.executemany("UPDATE reference SET source_name = ? WHERE id = ?", cleared)
    return len(cleared)


def drop_sought(gallery: Gallery, person_id: str, files: int, left: int) -> None:
    """Names and encodings are looked for no more but in the gallery's own file, which they leave for good.

    files: how many are looked through, with that. left: in how many of them something was found.
    """
    with schema.explained(gallery.path), schema.transaction(gallery.connection):
        gallery.connection.execute(
            """UPDATE forgetting SET names = NULL, encodings = NULL, pictures = NULL,
                      files_searched = ?, files_left = ? WHERE person_id = ?""",
            (files, left, person_id),
        )
    gallery.empty_log()


def finish(gallery: Gallery, forgetting: Forgetting, events: int, files: int, left: int) -> None:
    """It is done: an entry of the trail says how, and it is owed to subscribers to tell them.

    left: in how many of the files something was found. What another process has finished stays as it is.
    """
    what = "forgotten" if forgetting.why == "asked" else "expired"
    with schema.explained(gallery.path), schema.transaction(gallery.connection):
        done = gallery.connection.execute(
            "UPDATE forgetting SET verified = ? WHERE person_id = ? AND verified IS NULL",
            (files > 0 and left == 0, forgetting.person_id),
        )
        if not done.rowcount:
            return
        trail.note(
            gallery.connection,
            forgetting.who,
            what,
            forgetting.person_id,
            references=forgetting.references,
            crops=forgetting.crops,
            events=events,
            files=files,
            left=left,
        )
    gallery.empty_log()


def owed(gallery: Gallery) -> list[Owed]:
    """Of whom subscribers are to be told that they are forgotten, the first first."""
    with schema.explained(gallery.path):
        rows = gallery.connection.execute(
            """SELECT person_id, why, ids, verified FROM forgetting WHERE verified IS NOT NULL
               ORDER BY began_unix_ns, rowid"""
        ).fetchall()
    return [Owed(key, why, tuple(json.loads(ids)[1:]), bool(verified)) for key, why, ids, verified in rows]


def told(gallery: Gallery, person_id: str) -> None:
    """Subscribers were told, or will be by the journal."""
    with schema.explained(gallery.path), schema.transaction(gallery.connection):
        gallery.connection.execute(
            "DELETE FROM forgetting WHERE person_id = ? AND verified IS NOT NULL", (person_id,)
        )


def expired(gallery: Gallery, now_unix_ns: int) -> list[str]:
    """The ids of those whom nobody may keep any longer."""
    with schema.explained(gallery.path):
        rows = gallery.connection.execute(
            "SELECT id FROM person WHERE expires_unix_ns <= ? ORDER BY expires_unix_ns, rowid", (now_unix_ns,)
        ).fetchall()
    return [str(row[0]) for row in rows]


def _read(row: tuple[Any, ...]) -> Forgetting:
    (person_id, why, who, began_unix_ns, references, crops, events, *sought, files, files_left) = row
    ids, names, encodings, pictures = sought
    return Forgetting(
        person_id=person_id,
        why=why,
        who=who,
        began_unix_ns=began_unix_ns,
        references=references,
        crops=crops,
        events=events,
        ids=tuple(json.loads(ids)),
        names=None if names is None else tuple(json.loads(names)),
        encodings=encodings or b"",
        pictures=_split(pictures or b""),
        files=files,
        files_left=files_left,
    )


def _ids(gallery: Gallery, person_id: str) -> list[str]:
    """The person's, and of all who were merged into them; the trail knows."""
    merged = [
        (entry.person_id, str(entry.detail["person"]))
        for entry in trail.entries(gallery.connection)
        if entry.what == "merged" and "person" in entry.detail
    ]
    found = [person_id]
    for known in found:
        found += [gone for stays, gone in merged if stays == known and gone not in found]
    return found


def _pieces(gallery: Gallery, person_id: str) -> list[bytes]:
    """Three of each picture."""
    rows = gallery.connection.execute(
        """SELECT image FROM crop JOIN reference ON reference.id = reference_id WHERE person_id = ?""",
        (person_id,),
    ).fetchall()
    pieces = []
    for (image,) in rows:
        # Not its beginning, in which all pictures of a kind are alike.
        for place in (len(image) // 3, len(image) // 2, len(image) * 4 // 5):
            piece = image[place : place + PIECE_BYTES]
            pieces.append(piece.ljust(PIECE_BYTES, b"\0"))
    return pieces


def _split(pictures: bytes) -> tuple[bytes, ...]:
    return tuple(pictures[place : place + PIECE_BYTES] for place in range(0, len(pictures), PIECE_BYTES))
