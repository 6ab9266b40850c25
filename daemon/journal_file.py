"""Opens a journal's file: makes, recognises, checks it, and puts what is saved in place of a damaged one."""

from __future__ import annotations

import logging
import os
import sqlite3
from pathlib import Path

from daemon.errors import UsageError
from daemon.journal_salvage import save
from daemon.journal_tables import (
    APPLICATION_ID,
    BUSY_TIMEOUT_S,
    VERSION,
    beside,
    build,
    holes,
    is_damage,
    prefix,
)
from gallery.encryption import HEADER_MAGIC, Key, check_key, connect, is_encrypted, read_header
from gallery.errors import KeyRefused

logger = logging.getLogger(__name__)

HEADER_BYTES = 100
CHECKPOINT_PAGES = 8_000
"""32 MB: the write-ahead log is moved into the file by whoever finds it so long. Mostly the idle moments
have done it before (Journal.tidy)."""
LOG_BYTES = 16 << 20
"""Of the write-ahead log's file once it was moved into the journal."""


class JournalRefused(UsageError):
    """The file is not ours to write to: one line that says what would be right."""


def open_connection(
    path: Path, *, ours: bool, head: int, sound: bool, key: Key | None = None
) -> sqlite3.Connection:
    """A connection to a sound journal, made or saved where need be; any thread may use it, one at a time.

    ours: a mark lies beside it, so whatever is there was a journal of ours. head: the number up to which it
    should reach. sound: if it does, it need not be read through. key: of encryption. JournalRefused,
    sqlite3.Error or OSError where it can't be had.
    """
    _sweep(path)
    if not path.exists():
        # SQLite would play an old log into whatever is put beside it.
        _set_aside(path)
        _put(build(path, key=key), path)
    try:
        _recognise(path, ours, key)
        return _connect_checked(path, head if sound else None, key)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        logger.error("%s is damaged (%s): what can be read of it is saved", path, error)
    saved = 0

    def fill(connection: sqlite3.Connection) -> None:
        nonlocal saved
        saved = save(path, connection, key)

    # Where there is no room for it, all stays as it was.
    new = build(path, fill, key)
    kept = _set_aside(path)
    _put(new, path)
    logger.error("%s events of %s are saved; the damaged file stays as %s", saved, path, kept.name)
    return _connect_checked(path, 0, key)


def _connect_checked(path: Path, trusted_head: int | None, key: Key | None) -> sqlite3.Connection:
    """trusted_head: it is read through if it does not reach so far; None: in any case."""
    # Opened by whoever starts the daemon, used by the thread that writes.
    connection = connect(path, key, mode="rw", timeout_s=BUSY_TIMEOUT_S, check_same_thread=False)
    try:
        # A restore that was killed leaves it without.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
        _check_version(connection, path)
        if trusted_head is None or _head(connection) < trusted_head:
            _check(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID:
        raise _of_another_program(path)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise JournalRefused(
            f"{path}: made by a newer visaged (version {version}, we know {VERSION}): update visaged"
        )
    for table in ("event LIMIT 1", "topic", "hole"):
        connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608


def _head(connection: sqlite3.Connection) -> int:
    query = "SELECT max(coalesce((SELECT max(seq) FROM event), 0), coalesce((SELECT max(last) FROM hole), 0))"
    return int(connection.execute(query).fetchone()[0])


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


def _recognise(path: Path, ours: bool, key: Key | None) -> None:
    """Looks at the header alone, so that another program's file is not even opened as a database."""
    if not path.is_file():
        raise JournalRefused(f"{path}: not a file; [journal] path must name a journal's file")
    header = read_header(path, HEADER_BYTES)
    try:
        check_key(path, header, key)
    except KeyRefused as error:
        raise JournalRefused(str(error)) from None
    whole = len(header) == HEADER_BYTES and (header.startswith(HEADER_MAGIC) or is_encrypted(header))
    if not whole and ours:
        raise sqlite3.DatabaseError("its beginning is not a journal's")
    # In an encrypted one it can't be seen yet.
    if not whole or not (is_encrypted(header) or int.from_bytes(header[68:72], "big") == APPLICATION_ID):
        raise _of_another_program(path)
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)


def _of_another_program(path: Path) -> JournalRefused:
    return JournalRefused(f"{path}: another program's file; [journal] path must name a journal's file")


def _set_aside(path: Path) -> Path:
    """Gives a damaged journal a second name, over the one of an earlier time; and its log only that one."""
    kept = beside(path, ".damaged")
    if path.exists() or beside(path, "-wal").exists():
        for suffix in ("-wal", ""):
            beside(kept, suffix).unlink(missing_ok=True)
    if beside(path, "-wal").exists():
        beside(path, "-wal").replace(beside(kept, "-wal"))
    if path.exists():
        try:
            os.link(path, kept)
        except OSError:
            # A file system without links: for a moment there is none in its place.
            path.replace(kept)
    # An index into the log, made anew by whoever opens it.
    beside(path, "-shm").unlink(missing_ok=True)
    return kept


def _put(new: Path, path: Path) -> None:
    """In one step; and it is there also after the power went."""
    new.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(path: Path) -> None:
    """Removes what a kill has left of a journal that was being made."""
    for left in path.parent.iterdir():
        if left.name.startswith(prefix(path)):
            left.unlink(missing_ok=True)
