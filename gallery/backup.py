"""Copies a database while others write to it, and puts another in its place in one step."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from gallery import schema, soundness
from gallery.archive_file import sync_folder
from gallery.encryption import Key, connect
from gallery.errors import GalleryBusy, GalleryDamaged, GalleryError, KeyRefused
from gallery.store import Gallery

WORKSHOP = ".visaged-carrying-"
"""With which the names of folders begin where archives are made and opened."""
BUSY_TIMEOUT_S = 5.0


@contextmanager
def workshop(folder: Path) -> Iterator[Path]:
    """A folder within this one, ours alone, that is gone afterwards; what a kill left of others is swept."""
    sweep(folder)
    made = Path(tempfile.mkdtemp(prefix=WORKSHOP, dir=folder))
    # Held open and locked for as long as we live, so that nobody sweeps it from under us.
    lock = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _lock(lock)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(lock)


def sweep(folder: Path) -> None:
    """Removes what a kill has left of archives that were being made or opened here."""
    if not folder.is_dir():
        return
    for left in folder.iterdir():
        if not left.name.startswith(WORKSHOP):
            continue
        try:
            lock = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            if _lock(lock):
                shutil.rmtree(left, ignore_errors=True)
        finally:
            os.close(lock)


def copy(source: sqlite3.Connection, target: Path, key: Key | None) -> None:
    """All of one moment of a live database, by SQLite's backup, into a file that is made; synced."""
    target.touch(mode=0o600, exist_ok=False)
    with closing(connect(target, key, mode="rw", timeout_s=BUSY_TIMEOUT_S)) as connection:
        # All pages in one go: that reads one snapshot, and holds up nobody who writes.
        source.backup(connection)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    _sync(target)


def copy_gallery(path: Path, target: Path, key: Key | None) -> None:
    """A sound gallery's copy; GalleryError where there is none, or it is damaged."""
    with Gallery.open(path, create=False, key=key) as gallery, schema.explained(path):
        copy(gallery.connection, target, key)


@contextmanager
def held(path: Path, key: Key | None) -> Iterator[bool]:
    """A database all to ourselves, with its write-ahead log moved into it and gone; False: it is damaged.

    GalleryBusy where any other process has it open. While this lasts nobody can open it.
    """
    with closing(_Holding(path, key)) as holding:
        yield holding.is_sound


class _Holding:
    def __init__(self, path: Path, key: Key | None) -> None:
        self.is_sound = False
        self._connection: sqlite3.Connection | None = None
        try:
            self._connection = connect(path, key, mode="rw", timeout_s=BUSY_TIMEOUT_S)
            self._take(path)
            self.is_sound = True
        except (sqlite3.DatabaseError, UnicodeDecodeError, KeyRefused) as error:
            self.close()
            if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                raise GalleryBusy(f"{path} is in use by another program: end that first") from error

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _take(self, path: Path) -> None:
        assert self._connection is not None
        execute = self._connection.execute
        execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        # Only who is alone can leave WAL. Then there is no log that could be played into another file.
        execute("PRAGMA journal_mode = DELETE").fetchone()
        execute("BEGIN EXCLUSIVE")


@contextmanager
def putting(new: Path, path: Path, key: Key | None, kept: Path | None) -> Iterator[None]:
    """Puts a whole, synced database in the place of what is there, which stays as `kept`, if that is wanted.

    That is done at the end of the block; until then what is there is held, and it stays if the block fails.
    GalleryBusy where another process has it open.
    """
    if not path.exists():
        yield
        _drop_logs(path, None)
        new.replace(path)
        sync_folder(path.parent)
        return
    with held(path, key) as is_sound:
        yield
        if kept is not None:
            _link(path, kept)
        if not is_sound:
            # Its log may hold what it lacks, and must not be played into the other.
            _drop_logs(path, kept)
        sync_folder(path.parent)
        new.replace(path)
        sync_folder(path.parent)


def prepare(path: Path, key: Key | None, before: Path, who: str) -> list[str]:
    """Makes a copied gallery ready to follow the one at `before`; ids of who was forgotten since the copy.

    Its revision is above both, so that nobody takes it for one they know; what the other's trail tells beyond
    its own is carried on, and the trail says that it was restored. ArchiveRefused where it holds what no
    visaged wrote.
    """
    with Gallery.open(path, create=False, key=key) as gallery:
        soundness.check_gallery(gallery.connection)
        if gallery.model is not None:
            # Reads every encoding.
            gallery.index(gallery.model)
        gallery.who = who
        revision, later = _since(gallery, before, key)
        people = {person.id for person in gallery.people()}
        with gallery.change() as note:
            gallery.connection.executemany("INSERT INTO trail VALUES (?, ?, ?, ?, ?, ?)", later)
            gallery.connection.execute("UPDATE gallery SET revision = max(revision, ?)", (revision,))
            note("restored", None, people=len(people))
        # Into the file, so that it is whole by itself.
        gallery.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    _sync(path)
    return sorted({str(row[4]) for row in later if row[3] == "forgotten"} & people)


TRAIL = "SELECT number, unix_ns, who, what, person_id, detail FROM trail ORDER BY number"


def _since(copied: Gallery, before: Path, key: Key | None) -> tuple[int, list[tuple[object, ...]]]:
    """The revision of the gallery that is there, and the rows of its trail that the copy has not yet."""
    if not before.exists():
        return 0, []
    try:
        with Gallery.open(before, create=False, key=key) as there:
            theirs = there.connection.execute(TRAIL).fetchall()
            revision = there.revision
    except (GalleryDamaged, KeyRefused):
        return 0, []
    ours = copied.connection.execute(TRAIL).fetchall()
    return revision, theirs[len(ours) :] if theirs[: len(ours)] == ours else []


def _drop_logs(path: Path, kept: Path | None) -> None:
    for suffix in ("-wal", "-shm", "-journal"):
        log = path.with_name(path.name + suffix)
        if log.exists():
            if kept is not None and suffix != "-shm":
                _link(log, kept.with_name(kept.name + suffix))
            log.unlink()


def _link(file: Path, other: Path) -> None:
    """A second name, or where the file system has no such thing, a copy."""
    try:
        os.link(file, other)
    except OSError:
        shutil.copy2(file, other)
        _sync(other)


def _sync(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def is_empty(path: Path, key: Key | None) -> bool:
    """Whether there is no gallery, or one with nobody in it; of one that can't be read: False."""
    if not path.exists():
        return True
    try:
        with Gallery.open(path, create=False, key=key) as gallery:
            return not gallery.people()
    except GalleryError:
        return False
