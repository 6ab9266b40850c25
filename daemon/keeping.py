"""Backup and restore: gallery and journal of one moment in one archive, and back in their places."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

from daemon.errors import UsageError
from daemon.head_mark import HeadMark, JournalInUse
from daemon.journal_file import JournalRefused, open_connection
from daemon.journal_tables import TABLES, beside, connect_to_read
from daemon.private_file import make_folder
from daemon.version import version
from gallery import archive_file, backup
from gallery.archive_file import Opened
from gallery.errors import ArchiveRefused, GalleryDamaged, GalleryError, GalleryRefused, KeyRefused
from gallery.schema import explained, transaction
from gallery.soundness import LARGEST_COUNT, definitions
from gallery.store import Gallery

if TYPE_CHECKING:
    from gallery.encryption import Key

KIND = "backup"
GALLERY, JOURNAL = "gallery.db", "journal.db"
LEAP_PER_S = 1000
"""Numbers of events that are passed over for each second since the backup, where no mark tells how far they
were given: more than any daemon publishes, and 2^53 is far away."""
HEAD = """SELECT max(coalesce((SELECT max(seq) FROM event), 0), coalesce((SELECT max(last) FROM hole), 0),
    coalesce((SELECT max(last_seq) FROM topic), 0))"""


@dataclass(frozen=True, slots=True)
class Places:
    """Where gallery and journal are."""

    gallery: Path
    """Of the gallery's file."""
    journal: Path
    """Of the journal's file."""
    state: Path
    """The folder in which archives are made."""
    key: Key | None
    """With what both are encrypted."""


@dataclass(frozen=True, slots=True)
class BackedUp:
    """What is in an archive."""

    made_unix_ns: int
    """Before the copying began."""
    people: int
    """In the gallery."""
    journal_head: int | None
    """The number of the newest event; None: there was no journal."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What became of a restore."""

    gallery: str
    """Path of what was put in place."""
    people: int
    """In the gallery."""
    made_unix_ns: int
    """When the backup was made."""
    journal: str | None
    """Path; None: the backup holds none, and the one here stays."""
    journal_next: int | None
    """The number that the next event will have."""
    kept: tuple[str, ...]
    """Paths of what was there before."""
    forgotten_since: tuple[str, ...]
    """Ids of people who were forgotten after the backup was made, and are here again."""


def back_up(places: Places, target: IO[bytes]) -> BackedUp:
    """Fills an empty file with an archive of both, also while a daemon writes to them."""
    made_unix_ns = time.time_ns()
    with backup.workshop(places.state) as folder:
        gallery, journal = folder / GALLERY, folder / JOURNAL
        backup.copy_gallery(places.gallery, gallery, places.key)
        with Gallery.open(gallery, create=False, key=places.key) as copied:
            people, revision = len(copied.people()), copied.revision
        members = {GALLERY: gallery}
        head = None
        if places.journal.exists():
            head = _copy_journal(places, journal)
            members[JOURNAL] = journal
        told = {
            "made_unix_ns": made_unix_ns,
            "made": datetime.fromtimestamp(made_unix_ns / 1e9, UTC).isoformat(timespec="seconds"),
            "visaged": version(),
            "people": people,
            "revision": revision,
            "journal_head": head,
            "encrypted": places.key is not None,
        }
        archive_file.write(target, KIND, told, members)
    return BackedUp(made_unix_ns, people, head)


def restore(places: Places, source: IO[bytes], *, who: str, force: bool) -> Restored:
    """Puts what a backup holds in the places of both; what was there stays beside, named by the date.

    No daemon may run. UsageError where there is somebody in the gallery and not `force`. The gallery is put
    last: a kill leaves the one that was, or the one that was wanted.
    """
    make_folder(places.gallery.parent)
    make_folder(places.journal.parent)
    with ExitStack() as stack:
        archive = stack.enter_context(archive_file.opened(source, KIND))
        told = _read_told(archive)
        mark = stack.enter_context(_marked(places.journal))
        if not force and not backup.is_empty(places.gallery, places.key):
            raise UsageError(
                f"{places.gallery} is a gallery with people in it, or can't be read: --force puts it aside"
            )
        folder = stack.enter_context(backup.workshop(places.gallery.parent))
        gallery = _extracted(archive, GALLERY, folder)
        with _refusing(gallery):
            forgotten = backup.prepare(gallery, places.key, places.gallery, who)
        kept: list[str] = []
        head = None
        if JOURNAL in archive.members:
            beside_journal = stack.enter_context(backup.workshop(places.journal.parent))
            journal = _extracted(archive, JOURNAL, beside_journal)
            with _refusing(journal):
                head = _continue(journal, places, mark, told)
        # Held before anything is put: where another program has it open, the journal stays too.
        with _putting(gallery, places.gallery, places.key) as gallery_kept:
            if head is not None:
                # Before the journal is there: whatever happens, no number is given twice.
                mark.write(head)
                mark.sync()
                with _putting(journal, places.journal, places.key) as journal_kept:
                    pass
                kept += journal_kept
        kept += gallery_kept
    return Restored(
        gallery=str(places.gallery),
        people=told.people,
        made_unix_ns=told.made_unix_ns,
        journal=None if head is None else str(places.journal),
        journal_next=None if head is None else head + 1,
        kept=tuple(kept),
        forgotten_since=tuple(forgotten),
    )


def _copy_journal(places: Places, target: Path) -> int:
    """Its head, as the copy has it."""
    try:
        with closing(connect_to_read(places.journal, places.key)) as source:
            backup.copy(source, target, places.key)
        with closing(connect_to_read(target, places.key)) as copied:
            (finding,) = copied.execute("PRAGMA integrity_check(1)").fetchone()
            if finding != "ok":
                raise sqlite3.DatabaseError(finding)
            (head,) = copied.execute(HEAD).fetchone()
    except sqlite3.Error as error:
        raise GalleryError(f"{places.journal} can't be backed up: {error}") from error
    return int(head)


def _read_told(archive: Opened) -> BackedUp:
    made, people, head = (archive.told.get(key) for key in ("made_unix_ns", "people", "journal_head"))
    whole = isinstance(made, int) and isinstance(people, int) and isinstance(head, int | None)
    if not whole or not {GALLERY} <= set(archive.members) <= {GALLERY, JOURNAL}:
        raise ArchiveRefused("its manifest is not one of a backup")
    assert isinstance(made, int)
    assert isinstance(people, int)
    assert isinstance(head, int | None)
    if not (0 <= made < 1 << 63 and people >= 0 and 0 <= (head or 0) < LARGEST_COUNT):
        raise ArchiveRefused("its manifest is not one of a backup")
    return BackedUp(made, people, head)


@contextmanager
def _marked(journal: Path) -> Iterator[HeadMark]:
    """The mark beside the journal, which a daemon holds as long as it runs."""
    try:
        with HeadMark(beside(journal, ".head")) as mark:
            _give(mark.path, journal.parent)
            yield mark
    except JournalInUse:
        raise UsageError(f"a daemon runs and writes to {journal}: stop it before restoring") from None


def _extracted(archive: Opened, member: str, folder: Path) -> Path:
    file = folder / member
    with file.open("xb") as target:
        os.fchmod(target.fileno(), 0o600)
        archive.extract(member, target)
        target.flush()
        os.fsync(target.fileno())
    _give(file, folder.parent)
    return file


def _give(file: Path, folder: Path) -> None:
    """To whom the folder belongs, where root restores a service's."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.chown(file, owner.st_uid, owner.st_gid)


def _continue(journal: Path, places: Places, mark: HeadMark, told: BackedUp) -> int:
    """Notes in the copy which numbers were given since it was made; the highest of them."""
    # Refuses what is no journal; what is not whole would have been refused before.
    with closing(open_connection(journal, ours=False, head=0, sound=False, key=places.key)) as connection:
        (stored,) = connection.execute(HEAD).fetchone()
        _check_journal(connection, stored)
        given = 0 if mark.found is None else mark.found.head
        if given >= stored and given and _is_continued(connection, places):
            head = given
        else:
            # Another machine, or all was lost: whoever listened may have seen numbers beyond the backup's.
            since_s = max(0, time.time_ns() - told.made_unix_ns) // 1_000_000_000 + 1
            head = max(given, stored, told.journal_head or 0) + LEAP_PER_S * since_s
        if head > stored:
            with transaction(connection):
                connection.execute("INSERT INTO hole VALUES (?, ?)", (stored + 1, head))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return int(head)


def _check_journal(connection: sqlite3.Connection, head: int) -> None:
    """ArchiveRefused where it holds what no visaged wrote."""
    with closing(sqlite3.connect(":memory:")) as made:
        for statement in TABLES:
            made.execute(statement)
        if definitions(connection) != definitions(made):
            raise ArchiveRefused("its tables are not defined as a journal's are")
    (lowest,) = connection.execute("SELECT coalesce(min(seq), 1) FROM event").fetchone()
    backwards = connection.execute("SELECT 1 FROM hole WHERE first < 1 OR last < first").fetchone()
    if backwards is not None or not 1 <= lowest <= LARGEST_COUNT or not head < LARGEST_COUNT:
        raise ArchiveRefused("its events have numbers that are none")


@contextmanager
def _refusing(file: Path) -> Iterator[None]:
    """What is wrong with a database that came in an archive becomes ArchiveRefused, and names the member."""
    try:
        with explained(file):
            yield
    except (GalleryDamaged, GalleryRefused, JournalRefused) as error:
        if str(file) not in str(error):
            # What is here, and not what came.
            raise
        raise ArchiveRefused(str(error).replace(f"{file.parent}/", "")) from error
    except (GalleryError, UsageError):
        raise
    except (sqlite3.Error, OverflowError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ArchiveRefused(f"{file.name} holds what no visaged wrote: {error}") from error


def _is_continued(copied: sqlite3.Connection, places: Places) -> bool:
    """Whether the journal that is here goes on from the copy; one that can't be read is no objection."""
    ids = "SELECT seq, json_extract(body, '$.id') FROM event"
    newest = copied.execute(f"{ids} ORDER BY seq DESC LIMIT 1").fetchone()
    if newest is None or not places.journal.exists():
        return True
    try:
        with closing(connect_to_read(places.journal, places.key)) as here:
            same = here.execute(f"{ids} WHERE seq = ?", (newest[0],)).fetchone()
            (oldest,) = here.execute("SELECT min(seq) FROM event").fetchone()
    except (sqlite3.Error, KeyRefused):
        return True
    # What is too old is not kept.
    return same == newest if same is not None else oldest is None or bool(oldest > newest[0])


@contextmanager
def _putting(new: Path, path: Path, key: Key | None) -> Iterator[list[str]]:
    """At the end of the block it is there; paths of what was there before."""
    kept = None
    if path.exists():
        kept = _free(path, f".before-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    with backup.putting(new, path, key, kept):
        yield [] if kept is None else [str(kept)]


def _free(path: Path, suffix: str) -> Path:
    found, number = beside(path, suffix), 1
    while found.exists():
        number += 1
        found = beside(path, f"{suffix}-{number}")
    return found
