"""What a journal's file holds: its tables, and the few things that all who use it need."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

from gallery.encryption import Key, connect
from gallery.schema import transaction

APPLICATION_ID = 0x7653474A
"""Stands in the file's header and says whose file it is ("vSGJ")."""
VERSION = 1
BUSY_TIMEOUT_S = 1.0
"""For another program that has the file locked. Readers never lock a writer out."""

TABLES = (
    """CREATE TABLE event (
        seq      INTEGER PRIMARY KEY,
        topic_id INTEGER NOT NULL,
        unix_us  INTEGER NOT NULL,  -- when it was made
        body     TEXT NOT NULL      -- the envelope, as it was published
    ) STRICT""",
    "CREATE INDEX event_of_topic ON event (topic_id, seq)",
    """CREATE TABLE topic (
        id       INTEGER PRIMARY KEY,
        name     TEXT NOT NULL UNIQUE,
        last_seq INTEGER NOT NULL   -- of its newest event that is no longer kept; 0: none
    ) STRICT""",
    # Numbers that were given, and whose events a damaged disk has lost.
    "CREATE TABLE hole (first INTEGER PRIMARY KEY, last INTEGER NOT NULL) STRICT",
)

FAILURES = (sqlite3.Error, OSError)
"""What reading or writing a journal raises when the disk, or another program, is in the way."""


def is_damage(error: Exception) -> bool:
    """Whether it is the file's content that is wrong, and not the disk or another program."""
    ours = isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError)
    if ours or not isinstance(error, sqlite3.DatabaseError):
        return False
    # Without a code it is our own finding, or Python's: text that is not UTF-8.
    name = getattr(error, "sqlite_errorname", "SQLITE_CORRUPT")
    # SQLITE_ERROR: a table is missing.
    return name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR"))


def is_full(error: Exception) -> bool:
    """Whether there is no room, and nothing else wrong."""
    return getattr(error, "sqlite_errorname", "") == "SQLITE_FULL"


def is_locked(error: Exception) -> bool:
    """Whether only somebody else is at it just now."""
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def build(
    path: Path, fill: Callable[[sqlite3.Connection], None] | None = None, key: Key | None = None
) -> Path:
    """A whole new journal beside `path`, to be put in its place in one step; key: it is encrypted with it."""
    handle, name = tempfile.mkstemp(prefix=prefix(path), suffix=".new", dir=path.parent)
    os.close(handle)
    new = Path(name)
    try:
        with closing(connect(new, key, mode="rw", timeout_s=BUSY_TIMEOUT_S)) as connection:
            # Before anything else is written; lets the file become smaller again.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
            with transaction(connection):
                for statement in TABLES:
                    connection.execute(statement)
                if fill is not None:
                    fill(connection)
    except BaseException:
        for suffix in ("", "-wal", "-shm"):
            beside(new, suffix).unlink(missing_ok=True)
        raise
    return new


def holes(connection: sqlite3.Connection) -> list[tuple[int, int]]:
    """First and last number of each stretch that was given and then lost, in order."""
    return list(connection.execute("SELECT first, last FROM hole ORDER BY first"))


def unix_us(time: str) -> int:
    """Microseconds since 1970 of an RFC 3339 time; ValueError if it is none, or has no zone."""
    moment = datetime.fromisoformat(time)
    if moment.tzinfo is None:
        raise ValueError("a time needs its zone: Z, or such as +02:00")
    return round(moment.timestamp() * 1e6)


def prefix(path: Path) -> str:
    """With which the name of a journal begins that is to take the place of this one."""
    return f".{path.name}-"


def beside(path: Path, suffix: str) -> Path:
    """The file whose name is longer by this."""
    return path.with_name(path.name + suffix)


def connect_to_read(path: Path, key: Key | None = None) -> sqlite3.Connection:
    """A connection that changes nothing."""
    return connect(path, key, mode="ro", timeout_s=BUSY_TIMEOUT_S)
