"""Encrypts a database that is there, or takes that away: made anew, compared, put in place in one step."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from gallery.encryption import (
    HEADER_MAGIC,
    Key,
    check_key,
    connect,
    connect_sqlcipher,
    is_encrypted,
    read_header,
)
from gallery.errors import GalleryBusy, GalleryDamaged, GalleryError, KeyRefused

if TYPE_CHECKING:
    from gallery.encryption_sqlcipher import Connection

BUSY_TIMEOUT_S = 2.0
CHUNK_BYTES = 1 << 20
SUFFIX = ".changing"
"""Of the file that is being made."""


def is_there_encrypted(path: Path) -> bool | None:
    """Whether a database is encrypted; None: there is none. KeyRefused where it is none of ours."""
    if not path.exists():
        return None
    header = read_header(path)
    if not is_encrypted(header) and header != HEADER_MAGIC:
        raise KeyRefused(f"{path}: not a database that can be encrypted or decrypted; nothing was touched")
    return is_encrypted(header)


def change(path: Path, old: Key | None, new: Key | None) -> None:
    """Writes a database anew with another key (None: in clear), and overwrites the file that was there.

    Nobody else may have it open: GalleryBusy. KeyRefused, GalleryDamaged or GalleryError where it can't be
    read or written. Until the new file is whole and equal to the old, that one stays as it was.
    """
    check_key(path, read_header(path), old)
    for left in path.parent.glob(f".{path.name}-*{SUFFIX}*"):
        left.unlink(missing_ok=True)
    try:
        _change(path, old, new)
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise GalleryBusy(f"{path}: another program has it open; stop that first") from None
        raise GalleryError(f"{path}: {error}; nothing was changed") from error
    except OSError as error:
        raise GalleryError(f"{path}: {error.strerror}; nothing was changed") from error


def _change(path: Path, old: Key | None, new: Key | None) -> None:
    fresh = _empty_beside(path)
    try:
        with _alone(path, old) as source:
            _check(path, source)
            cast("Connection", source).export(fresh, None if new is None else new.secret + new.new_salt())
            with closing(connect(fresh, new, mode="rw", timeout_s=BUSY_TIMEOUT_S)) as target:
                _check(fresh, target)
                if _content(source) != _content(target):
                    raise GalleryDamaged(f"{path}: its copy is not equal to it; nothing was changed")
            _sync(fresh)
            with _overwritten(path, path.with_name(path.name + "-wal")):
                # The new file must not find the old one's log beside it.
                source.execute("PRAGMA journal_mode = DELETE").fetchone()
                fresh.replace(path)
                _sync(path.parent)
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            fresh.with_name(fresh.name + suffix).unlink(missing_ok=True)


def _empty_beside(path: Path) -> Path:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", suffix=SUFFIX, dir=path.parent)
    os.fchmod(handle, 0o600)
    if os.geteuid() == 0:
        # Whose service it is, who must be able to read it afterwards.
        found = path.stat()
        os.fchown(handle, found.st_uid, found.st_gid)
    os.close(handle)
    return Path(name)


@contextmanager
def _alone(path: Path, key: Key | None) -> Iterator[sqlite3.Connection]:
    """A connection beside which there is no other until it is closed."""
    with closing(connect_sqlcipher(path, key, "rw", BUSY_TIMEOUT_S)) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE").fetchone()
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("COMMIT")
        yield connection


def _check(path: Path, connection: sqlite3.Connection) -> None:
    (finding,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if finding != "ok":
        raise GalleryDamaged(f"{path}: it is damaged ({' '.join(finding.split())}); nothing was changed")


def _content(connection: sqlite3.Connection) -> str:
    """A digest of all that a database holds, in the order in which it was written."""
    digest = hashlib.sha256()
    for name in ("application_id", "user_version", "auto_vacuum", "journal_mode"):
        digest.update(repr(connection.execute(f"PRAGMA {name}").fetchone()).encode())
    parts = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name").fetchall()
    digest.update(repr(parts).encode())
    for kind, name, _ in parts:
        if kind == "table":
            for row in connection.execute(f'SELECT * FROM "{name}" ORDER BY rowid'):  # noqa: S608
                digest.update(repr(row).encode())
    return digest.hexdigest()


@contextmanager
def _overwritten(*files: Path) -> Iterator[None]:
    """At the end zeros stand where these files had their content, under whatever name they are by then."""
    with ExitStack() as opened:
        handles = []
        for file in files:
            if file.exists():
                handles.append(handle := os.open(file, os.O_WRONLY))
                opened.callback(os.close, handle)
        sizes = [os.fstat(handle).st_size for handle in handles]
        yield
        for handle, size in zip(handles, sizes, strict=True):
            for place in range(0, size, CHUNK_BYTES):
                os.pwrite(handle, bytes(min(CHUNK_BYTES, size - place)), place)
            os.fsync(handle)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
