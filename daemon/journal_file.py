"""What a journal's file is: how one is made, recognised, checked, and saved when it is damaged."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from daemon.errors import UsageError
from daemon.events import stream_of

logger = logging.getLogger(__name__)

APPLICATION_ID = 0x7653474A
"""Stands in the file's header and says whose file it is ("vSGJ")."""
VERSION = 1
HEADER_MAGIC = b"SQLite format 3\x00"
HEADER_BYTES = 100
BUSY_TIMEOUT_S = 1.0
"""For another program that has the file locked. Readers never lock a writer out."""
CHECKPOINT_PAGES = 8_000
"""32 MB: the write-ahead log is moved into the file by whoever finds it so long. Mostly the idle moments
have done it before (Journal.tidy)."""
LOG_BYTES = 16 << 20
"""Of the write-ahead log's file once it was moved into the journal."""

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

Row = tuple[int, str, int, str]
"""seq, topic, unix_us, body."""


FAILURES = (sqlite3.Error, OSError)
"""What reading or writing a journal raises when the disk, or another program, is in the way."""


class JournalRefused(UsageError):
    """The file is not ours to write to: one line that says what would be right."""


def open_connection(path: Path, *, ours: bool, checked: bool) -> sqlite3.Connection:
    """A connection to a sound journal, made or saved where need be; any thread may use it, one at a time.

    ours: a mark lies beside it, so whatever is there was a journal of ours. checked: it was closed in order
    and need not be read through. JournalRefused, sqlite3.Error or OSError where it can't be had.
    """
    if not path.exists():
        if _beside(path, "-wal").exists():
            # SQLite would play it into whatever is put beside it.
            _set_aside(path)
        make(path)
    try:
        _recognise(path, ours)
        return _connect_checked(path, checked)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        logger.error("%s is damaged (%s): what can be read of it is saved", path, error)
    kept = _set_aside(path)
    saved = make(path, kept)
    logger.error("%s events of %s are saved; the damaged file stays as %s", saved, path, kept.name)
    return _connect_checked(path, checked=True)


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


def make(path: Path, damaged: Path | None = None) -> int:
    """Puts a whole new journal in place in one step, with the longest beginning of a damaged one that can be
    read; how many events that is.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", suffix=".new", dir=path.parent)
    os.close(handle)
    new = Path(name)
    try:
        with closing(sqlite3.connect(new, isolation_level=None)) as connection:
            # Before anything else is written; lets the file become smaller again.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
            with transaction(connection):
                for statement in TABLES:
                    connection.execute(statement)
                saved = 0 if damaged is None else _save(damaged, connection)
        new.replace(path)
    except BaseException:
        for suffix in ("", "-wal", "-shm"):
            _beside(new, suffix).unlink(missing_ok=True)
        raise
    return saved


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Everything within is written together or not at all."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def readable(path: Path) -> Iterator[Row]:
    """The longest beginning of a damaged journal that can be read."""
    newest: int | None = None
    try:
        with closing(_connect_to_read(path)) as connection:
            after_hole = {last + 1 for _, last in holes(connection)}
            for seq, made_us, body in connection.execute("SELECT seq, unix_us, body FROM event ORDER BY seq"):
                topic = _topic(seq, body)
                follows = newest is None or seq == newest + 1 or seq in after_hole
                if topic is None or not follows or not isinstance(made_us, int):
                    return
                newest = seq
                yield seq, topic, made_us, body
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        # What was read until here is it.
        return


def holes(connection: sqlite3.Connection) -> list[tuple[int, int]]:
    """First and last number of each stretch that was given and then lost, in order."""
    return list(connection.execute("SELECT first, last FROM hole ORDER BY first"))


def unix_us(time: str) -> int:
    """Microseconds since 1970 of an RFC 3339 time; ValueError if it is none, or has no zone."""
    moment = datetime.fromisoformat(time)
    if moment.tzinfo is None:
        raise ValueError("a time needs its zone: Z, or such as +02:00")
    return round(moment.timestamp() * 1e6)


def _connect_checked(path: Path, checked: bool) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=rw"
    # Opened by whoever starts the daemon, used by the thread that writes.
    connection = sqlite3.connect(
        uri, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
        _check_version(connection, path)
        if not checked:
            _check(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise JournalRefused(
            f"{path}: made by a newer visaged (version {version}, we know {VERSION}): update visaged"
        )
    for table in ("event LIMIT 1", "topic", "hole"):
        connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608


def _check(connection: sqlite3.Connection) -> None:
    (finding,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if finding != "ok":
        raise sqlite3.DatabaseError(" ".join(finding.split()))
    first, last, count = connection.execute("SELECT min(seq), max(seq), count(*) FROM event").fetchone()
    lost = sum(end - begin + 1 for begin, end in holes(connection) if count and first < begin < last)
    if count and last - first + 1 - lost != count:
        raise sqlite3.DatabaseError("events are missing in the middle")
    # SQLite does not notice a page of zeros where the end of a long text should be.
    spoilt = "SELECT seq FROM event WHERE json_extract(body, '$.data.seq') IS NOT seq LIMIT 1"
    if connection.execute(spoilt).fetchone() is not None:
        raise sqlite3.DatabaseError("events are not what they were")


def _recognise(path: Path, ours: bool) -> None:
    """Looks at the header alone, so that another program's file is not even opened as a database."""
    if not path.is_file():
        raise JournalRefused(f"{path}: not a file; [journal] path must name a journal's file")
    with path.open("rb") as file:
        header = file.read(HEADER_BYTES)
    whole = len(header) == HEADER_BYTES and header.startswith(HEADER_MAGIC)
    if not whole and ours:
        raise sqlite3.DatabaseError("its beginning is not a journal's")
    if not whole or int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise JournalRefused(f"{path}: another program's file; [journal] path must name a journal's file")
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _set_aside(path: Path) -> Path:
    """Moves a damaged journal out of the way, with its log, over the one of an earlier time."""
    kept = _beside(path, ".damaged")
    for suffix in ("", "-wal"):
        _beside(kept, suffix).unlink(missing_ok=True)
        if _beside(path, suffix).exists():
            _beside(path, suffix).replace(_beside(kept, suffix))
    # An index into the log, made anew by whoever opens it.
    _beside(path, "-shm").unlink(missing_ok=True)
    return kept


def _save(damaged: Path, connection: sqlite3.Connection) -> int:
    topics: dict[str, int] = {}
    newest = saved = 0
    for seq, topic, made_us, body in readable(damaged):
        number = topics.setdefault(topic, len(topics) + 1)
        connection.execute("INSERT INTO event VALUES (?, ?, ?, ?)", (seq, number, made_us, body))
        newest, saved = seq, saved + 1
    rows = [(number, topic) for topic, number in topics.items()]
    connection.executemany("INSERT INTO topic VALUES (?, ?, 0)", rows)
    with suppress(sqlite3.DatabaseError), closing(_connect_to_read(damaged)) as old:
        known = [hole for hole in holes(old) if hole[1] < newest]
        connection.executemany("INSERT INTO hole VALUES (?, ?)", known)
    return saved


def _connect_to_read(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def _topic(seq: int, body: object) -> str | None:
    """The topic that an envelope belongs to; None: it is no event of this number."""
    try:
        event: Any = json.loads(body) if isinstance(body, str) else None
        if event["data"]["seq"] != seq:
            return None
        _, area, kind = event["type"].split(".")
        topic = "/".join(filter(None, (area, event.get("subject"), kind))) + "/"
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return topic if stream_of(topic) else None
