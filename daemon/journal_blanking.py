"""Takes names out of events that are stored: who it was is blank, and all else stays as it was published.

An event keeps its number and its length, so that it is written over the old one, byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.journal_tables import connect_to_read
from gallery.forgetting_search import mentions, without
from gallery.schema import transaction

if TYPE_CHECKING:
    from daemon.events import Json
    from daemon.journal import Journal
    from gallery.encryption import Key

BLANK = ""
"""Stands for the name of somebody forgotten; nobody else's name is empty."""
Row = tuple[int, str]
"""seq, body."""

READ_EVENTS = 1_000
"""Looked through in one read, some milliseconds, so that no reader holds up the write-ahead log."""
BITE_EVENTS = 50
"""Written in one transaction: 1 or 2 ms, so that nobody waits long for the next commit."""
CHEW_EVENTS = 1_000
"""Between two checkpoints, so that each is short: some 1.5 MB."""
PURGES = 20
"""How often it is tried to empty the write-ahead log; who reads it is done within milliseconds."""
BITE_PAGES = 64
"""Given back to the file system in one transaction."""


@dataclass(frozen=True, slots=True)
class Blanking:
    """Whose names go."""

    ids: frozenset[str]
    """Of the person, and of who was merged into them."""
    names: tuple[str, ...]
    """All they ever had; under the id of nobody who is enrolled these go too."""
    other_ids: frozenset[str]
    """Of everybody who is enrolled: they keep their names, be they the same."""
    others: tuple[str, ...]
    """The names of those."""

    @property
    def marks(self) -> tuple[bytes, ...]:
        """What stands in each event that may have to be blanked, and in few others."""
        return (*(each.encode() for each in sorted(self.ids)), *self.named)

    @property
    def named(self) -> tuple[bytes, ...]:
        """The names as they stand in events."""
        return tuple(json.dumps(name, ensure_ascii=False)[1:-1].encode() for name in self.names)


def blanked(body: str, blanking: Blanking) -> str:
    """The envelope without these names, padded with spaces to as many bytes as it had."""
    envelope = json.loads(body)
    if not _blank(envelope, blanking):
        return body
    text = json.dumps(envelope, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text + " " * (len(body.encode()) - len(text.encode()))


def names_of(path: Path, ids: frozenset[str], key: Key | None = None) -> set[str]:
    """Every name that the journal's events give these ids; sqlite3.Error where it can't be read."""
    found: set[str] = set()
    for _, body in _holding(path, tuple(each.encode() for each in ids), key):
        found.update(_names(json.loads(body), ids))
    return found - {BLANK}


def to_blank(path: Path, blanking: Blanking, key: Key | None = None) -> Iterator[Row]:
    """Number and new envelope of each event that holds such a name."""
    for seq, body in _holding(path, blanking.marks, key):
        if (text := blanked(body, blanking)) != body:
            yield seq, text


def other_names(path: Path, blanking: Blanking, key: Key | None = None) -> set[str]:
    """Names in the journal's events that hold one of these, and are others'."""
    ids = blanking.other_ids
    return {
        name
        for _, body in _holding(path, blanking.named, key)
        for name in _names(json.loads(body), ids)
        if any(own != name and own in name for own in blanking.names)
    }


def overwrite(journal: Journal, rows: Sequence[Row]) -> Generator[None, None, int]:
    """Puts these envelopes in the place of those there are, a bite at a time; how many. For who writes."""
    connection = journal.connection
    _secure(journal)
    done = 0
    for start in range(0, len(rows), BITE_EVENTS):
        # Nobody was promised that it survives a power cut just now: it is done again, and at the end synced.
        connection.execute("PRAGMA synchronous = NORMAL")
        try:
            with transaction(connection):
                bite = [(text, seq) for seq, text in rows[start : start + BITE_EVENTS]]
                done += connection.executemany("UPDATE event SET body = ? WHERE seq = ?", bite).rowcount
        finally:
            connection.execute("PRAGMA synchronous = FULL")
        yield
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    return done


def purge(journal: Journal) -> Generator[None, None, bool]:
    """Gives back what is not in use, and empties the write-ahead log; False: somebody went on reading it."""
    connection = journal.connection
    _secure(journal)
    free = journal.free_pages
    while free:
        # execute() would give back one page and no more.
        connection.executescript(f"PRAGMA incremental_vacuum({BITE_PAGES})")
        free, before = journal.free_pages, free
        if free >= before:
            break
        yield
    for _ in range(PURGES):
        (busy, *_rest) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy:
            return True
        yield
    return False


def write_anew(journal: Journal, near: Sequence[int]) -> Generator[None, None, None]:
    """Moves the events of these numbers to other places in the file, and clears those that they had."""
    connection = journal.connection
    _secure(journal)
    for start in range(0, len(near), BITE_EVENTS):
        bite = near[start : start + BITE_EVENTS]
        marks = ",".join("?" * len(bite))
        query = f"SELECT seq, topic_id, unix_us, body FROM event WHERE seq IN ({marks})"  # noqa: S608
        with transaction(connection):
            rows = connection.execute(query, bite).fetchall()
            connection.execute(f"DELETE FROM event WHERE seq IN ({marks})", bite)  # noqa: S608
            connection.executemany("INSERT INTO event VALUES (?, ?, ?, ?)", rows)
        yield


def _secure(journal: Journal) -> None:
    journal.connection.execute("PRAGMA secure_delete = ON").fetchone()


def _holding(path: Path, marks: Sequence[bytes], key: Key | None) -> Iterator[tuple[int, str]]:
    """Number and envelope of the events that hold one of these."""
    if not marks:
        return
    found = " OR ".join("instr(CAST(body AS BLOB), ?)" for _ in marks)
    query = f"SELECT seq, body FROM event WHERE seq > ? AND seq <= ? AND ({found}) ORDER BY seq"  # noqa: S608
    with closing(connect_to_read(path, key)) as connection:
        ask = connection.execute
        first, last = ask("SELECT (SELECT min(seq) FROM event), (SELECT max(seq) FROM event)").fetchone()
        for after in range((first or 1) - 1, last or 0, READ_EVENTS):
            yield from ask(query, (after, after + READ_EVENTS, *marks)).fetchall()


def _blank(value: Json, blanking: Blanking) -> bool:
    """Takes the names out of it, in place; whether there were any."""
    changed = False
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in items:
        changed |= _blank(item, blanking)
    if not isinstance(value, dict):
        return changed
    if _is_of(value, blanking):
        value["name"] = BLANK
        changed = True
    reason = value.get("reason")
    if isinstance(reason, str) and mentions(reason, blanking.names, blanking.others):
        # What a system says of a file or folder may name who is on it.
        value["reason"] = without(reason, blanking.names, blanking.others)
        changed = True
    return changed


def _is_of(person: dict[str, Json], blanking: Blanking) -> bool:
    name, key = person.get("name"), person.get("id")
    if not isinstance(name, str) or not isinstance(key, str) or name == BLANK:
        return False
    return key in blanking.ids or (name in blanking.names and key not in blanking.other_ids)


def _names(value: Json, ids: frozenset[str]) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _names(item, ids)
    elif isinstance(value, dict):
        if value.get("id") in ids and isinstance(value.get("name"), str):
            yield str(value["name"])
        for item in value.values():
            yield from _names(item, ids)
