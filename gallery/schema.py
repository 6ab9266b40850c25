"""What a gallery's file is: its tables, how one is made, and how one is recognised."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from gallery.encryption import HEADER_MAGIC, Key, check_key, connect, is_encrypted, read_header
from gallery.errors import GalleryBusy, GalleryDamaged, GalleryError, GalleryMissing, GalleryRefused
from gallery.migrations import MIGRATIONS

APPLICATION_ID = 0x76534744
"""Stands in the file's header and says whose file it is ("vSGD")."""

BUSY_TIMEOUT_S = 5.0
"""How long we wait for another process to finish its change."""

HEADER_BYTES = 100

CAUSES = {
    "SQLITE_READONLY": "this user may not write it, or in its folder",
    "SQLITE_PERM": "this user may not write it",
    "SQLITE_CANTOPEN": "it or its folder can't be opened by this user, or the disk is full",
    "SQLITE_IOERR": "the disk is full or fails",
    "SQLITE_FULL": "the disk is full",
}
"""What SQLite's codes mean to whoever owns the file."""


def open_connection(path: Path, create: bool, key: Key | None = None) -> sqlite3.Connection:
    """A connection to a gallery that was found sound; with `create` a missing one is made, of this key."""
    try:
        if not path.exists():
            _make(path, create, key)
        _recognise(path, key)
        _close_to_others(path)
    except OSError as error:
        raise GalleryRefused(f"{path}: cannot be opened: {error.strerror}") from error
    connection = _connect_checked(path, key)
    try:
        with explained(path):
            # A restore that was killed leaves it without.
            connection.execute("PRAGMA journal_mode = WAL")
            migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def migrate(connection: sqlite3.Connection, to_version: int | None = None) -> None:
    """Brings an older file to a version (None: this visaged's), whole or not at all."""
    wanted = len(MIGRATIONS) if to_version is None else to_version
    if _pragma(connection, "user_version") == wanted:
        return
    with transaction(connection):
        # Asked again under the lock: another process may have been quicker.
        version = _pragma(connection, "user_version")
        for statements in MIGRATIONS[version:wanted]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {wanted}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Everything within is written together or not at all; nobody else writes meanwhile."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns what SQLite says of a file into one line for its owner; what is our own fault stays as it is."""
    try:
        yield
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        explanation = _explanation(path, error)
        if explanation is None:
            raise
        raise explanation from error


def damaged(path: Path, finding: str) -> GalleryDamaged:
    """The one line about a file that can't be trusted."""
    return GalleryDamaged(f"{path}: the gallery is damaged ({finding}): restore a backup, or move it away")


def _explanation(path: Path, error: Exception) -> GalleryError | None:
    # Without a code it is Python's own: text in the file, or in SQLite's complaint of it, is not UTF-8.
    name = getattr(error, "sqlite_errorname", "SQLITE_CORRUPT")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return damaged(path, str(error))
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return GalleryBusy(f"{path}: another program has it locked; try again when that is done")
    cause = next((cause for code, cause in CAUSES.items() if name.startswith(code)), None)
    return None if cause is None else GalleryError(f"{path}: {cause} ({error}); nothing was changed")


def _make(path: Path, create: bool, key: Key | None) -> None:
    wal = path.with_name(path.name + "-wal")
    if wal.exists():
        # SQLite would play it into whatever is put beside it.
        raise damaged(path, f"the file is gone and its {wal.name} is still there")
    if not create:
        raise GalleryMissing(f"{path}: there is no gallery; enrolling somebody makes one")
    _make_folder(path.parent)
    # Made under another name and linked into place when it is whole: a kill leaves no file of length 0,
    # which SQLite would take for an empty database, and of two makers one wins.
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", suffix=".new", dir=path.parent)
    os.close(handle)
    new = Path(name)
    try:
        new.chmod(0o600)
        with explained(path), closing(connect_unchecked(new, key)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            migrate(connection)
        os.link(new, path)
    except FileExistsError:
        pass
    finally:
        # On a full disk SQLite leaves its log.
        for suffix in ("", "-wal", "-shm"):
            new.with_name(new.name + suffix).unlink(missing_ok=True)


def _make_folder(folder: Path) -> None:
    if folder.exists():
        return
    _make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)


def _recognise(path: Path, key: Key | None) -> None:
    """Looks at the header alone, so that another program's file is not even opened as a database."""
    if not path.is_file():
        raise GalleryRefused(f"{path}: not a file; [gallery] path must name a gallery's file")
    header = read_header(path, HEADER_BYTES)
    check_key(path, header, key)
    if len(header) == HEADER_BYTES and is_encrypted(header):
        return
    if len(header) < HEADER_BYTES or not header.startswith(HEADER_MAGIC):
        raise damaged(path, "its beginning is not a gallery's")
    if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise _of_another_program(path)


def _of_another_program(path: Path) -> GalleryRefused:
    return GalleryRefused(f"{path}: another program's database; [gallery] path must name a gallery's file")


def _close_to_others(path: Path) -> None:
    # SQLite gives the -wal and -shm files the mode of the database.
    if path.stat().st_mode & 0o777 != 0o600:
        path.chmod(0o600)


def connect_unchecked(path: Path, key: Key | None) -> sqlite3.Connection:
    """A connection to an empty or known file, set up as a gallery's; nothing is checked."""
    connection = connect(path, key, mode="rw", timeout_s=BUSY_TIMEOUT_S)
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_checked(path: Path, key: Key | None) -> sqlite3.Connection:
    try:
        with ExitStack() as opened:
            connection = opened.enter_context(closing(connect_unchecked(path, key)))
            _check(connection, path)
            opened.pop_all()
            return connection
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        # Nothing but the file's content can have made the reading fail.
        raise _explanation(path, error) or damaged(path, str(error)) from error


def _check(connection: sqlite3.Connection, path: Path) -> None:
    # An encrypted file's header can be read by now alone.
    if _pragma(connection, "application_id") != APPLICATION_ID:
        raise _of_another_program(path)
    version = _pragma(connection, "user_version")
    if version > len(MIGRATIONS):
        raise GalleryRefused(
            f"{path}: made by a newer visaged (version {version}, we know {len(MIGRATIONS)}): update visaged"
        )
    (finding,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if finding != "ok":
        raise damaged(path, " ".join(finding.split()))
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as model:
        migrate(model, version)
        if _columns(connection) != _columns(model):
            raise damaged(path, f"its tables are not those of version {version}")


def _columns(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    query = """SELECT entry.name, own.* FROM sqlite_master AS entry, pragma_table_info(entry.name) AS own
               ORDER BY entry.name, own.cid"""
    return connection.execute(query).fetchall()


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)
