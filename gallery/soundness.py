"""What no table's types, keys and checks refuse, and no code of ours ever wrote: values that somebody forged.

Asked of what comes in an archive, before anything else of it is believed.
"""

from __future__ import annotations

import json
import math
import re
import sqlite3
import zlib
from collections.abc import Iterable
from contextlib import closing

from gallery import reading, schema
from gallery.errors import ArchiveRefused, NameRefused
from gallery.people import clean_name

LONGEST_TEXT = 4096
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""As people and references have: a UUID."""
LARGEST_COUNT = 1 << 53
"""Of revisions and numbers: the last that JSON's readers tell apart from the next."""
MOST_DISTANCE = 1e6
COMMENT = re.compile(r"--[^\n]*")
BYTES_OF_A_NUMBER, BYTES_OF_A_PIECE = 4, 16


def check_gallery(connection: sqlite3.Connection) -> None:
    """All of a database that was found to be a gallery's of this version; ArchiveRefused."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as made:
        schema.migrate(made)
        if definitions(connection) != definitions(made):
            raise ArchiveRefused("its tables are not defined as a gallery's are")
    if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
        raise ArchiveRefused("a row of it belongs to somebody who is not there")
    counts = connection.execute("SELECT revision FROM gallery").fetchall()
    counts += connection.execute("SELECT coalesce(max(number), 0) FROM trail").fetchall()
    counts += connection.execute("SELECT seq FROM sqlite_sequence").fetchall()
    if len(counts) < 2 or not all(0 <= count < LARGEST_COUNT for (count,) in counts):
        raise ArchiveRefused("its revision, or the trail's numbers, are none")
    # The owner's own gallery may have come by text that can't be shown, and its backup is all that is left.
    check_values(connection, shown=False)
    _check_encodings(connection)
    for who, what, person_id, detail in connection.execute("SELECT who, what, person_id, detail FROM trail"):
        _check_printable("trail", (who, what, person_id, *_flat(detail)))
    for row in connection.execute(
        "SELECT person_id, why, who, ids, names, encodings, pictures FROM forgetting"
    ):
        _check_forgetting(*row)


def check_values(connection: sqlite3.Connection, *, shown: bool) -> None:
    """Names, ids, digests and the like, that reach a terminal or a comparison; ArchiveRefused.

    shown: all text must be fit for a terminal.
    Ids stay in trail, receipts and events for ever, and are parts of topics and of files' names.
    """
    for (name,) in connection.execute("SELECT name FROM person"):
        try:
            if clean_name(name) != name:
                raise ArchiveRefused(f"{name!a} is not composed (NFC)")
        except NameRefused as error:
            raise ArchiveRefused(str(error)) from error
    for table in ("person", "reference"):
        for row in connection.execute(f"SELECT id, * FROM {table}"):  # noqa: S608
            if not ID.fullmatch(row[0]):
                raise ArchiveRefused(f"a row of {table} has an id that is none")
            if shown:
                _check_printable(table, row)
    query = """SELECT count(*) FROM reference WHERE quality NOT BETWEEN 0 AND 1 OR length(source_digest) != 64
               OR id NOT IN (SELECT reference_id FROM encoding)"""
    if connection.execute(query).fetchone()[0]:
        raise ArchiveRefused("a reference has no encoding, or a digest or quality that is none")
    for *kept, fmr, checksum in connection.execute(
        "SELECT person_id, distance, model, fmr, checksum FROM threshold"
    ):
        if reading.threshold_checksum(*kept) != checksum:
            raise ArchiveRefused("a threshold is not what was written")
        if not (kept[1] <= MOST_DISTANCE and 0 <= fmr <= 1):
            raise ArchiveRefused("a threshold is no distance, or was asked for with no probability")
    for table in ("encoding", "threshold", "gallery"):
        for row in connection.execute(f"SELECT DISTINCT model FROM {table}"):  # noqa: S608
            if row[0] is not None and not is_line(row[0]):
                raise ArchiveRefused(f"a row of {table} has a model that is none")


def definitions(connection: sqlite3.Connection) -> set[tuple[object, ...]]:
    """Tables, indexes, triggers and views as they were written down, without comments and line breaks."""
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master")
    return {(*row, " ".join(COMMENT.sub("", sql or "").split())) for *row, sql in rows}


def _check_encodings(connection: sqlite3.Connection) -> None:
    import numpy as np

    lengths: dict[str, int] = {}
    for model, vector, checksum in connection.execute("SELECT model, vector, checksum FROM encoding"):
        whole = vector and len(vector) % BYTES_OF_A_NUMBER == 0 and zlib.crc32(vector) == checksum
        alike = lengths.setdefault(model, len(vector)) == len(vector)
        if not (whole and alike and np.isfinite(np.frombuffer(vector, reading.STORED)).all()):
            raise ArchiveRefused("it holds what is no encoding")


def _check_forgetting(
    person_id: str, why: str, who: str, ids: str, names: str | None, encodings: bytes, pictures: bytes
) -> None:
    lists = [json.loads(text) for text in (ids, names) if text is not None]
    if not all(isinstance(each, list) and all(isinstance(one, str) for one in each) for each in lists):
        raise ArchiveRefused("whom it is forgetting is not said")
    if not all(ID.fullmatch(key) for key in (person_id, *lists[0])):
        raise ArchiveRefused("a row of forgetting has an id that is none")
    if len(encodings or b"") % BYTES_OF_A_NUMBER or len(pictures or b"") % BYTES_OF_A_PIECE:
        raise ArchiveRefused("what it looks for of somebody is no encoding, or no piece of a picture")
    _check_printable("forgetting", (why, who))


def _flat(detail: str) -> list[object]:
    """An entry's values, which hold no others."""
    found = json.loads(detail)
    if not isinstance(found, dict):
        raise ArchiveRefused("an entry of the trail has a detail that is none")
    for value in found.values():
        if not isinstance(value, str | int | float | None) or (
            isinstance(value, float) and not math.isfinite(value)
        ):
            raise ArchiveRefused("an entry of the trail has a detail that is none")
    return [*found, *found.values()]


def _check_printable(table: str, values: Iterable[object]) -> None:
    if any(isinstance(value, str) and not is_printable(value) for value in values):
        raise ArchiveRefused(f"a row of {table} holds text that can't be shown")


def is_line(text: str) -> bool:
    """Whether it can stand in the one line that an error has."""
    return is_printable(text) and "\n" not in text


def is_printable(text: str) -> bool:
    """Whether it can go to a terminal, and is not absurdly long."""
    return len(text) <= LONGEST_TEXT and not any(
        (ord(character) < 32 and character not in "\n\t") or 0x7F <= ord(character) < 0xA0
        for character in text
    )
