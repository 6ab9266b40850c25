"""Backup and restore: two state folders with equal galleries and journals, and numbers that never repeat."""

from __future__ import annotations

import io
import os
import sqlite3
import stat
import zlib
from contextlib import closing
from pathlib import Path

import pytest

from daemon.errors import UsageError
from daemon.journal import Journal
from daemon.journal_tables import connect_to_read
from daemon.keeping import GALLERY, LEAP_PER_S, Places, Restored, back_up, restore
from gallery import archive_file, backup, forgetting
from gallery.encryption import Key
from gallery.errors import ArchiveRefused, GalleryBusy, GalleryMissing, KeyRefused
from gallery.migrations import MIGRATIONS
from gallery.schema import APPLICATION_ID, migrate
from gallery.store import Gallery
from tests.daemon.journaling import EPOCH, kept, numbered, numbers
from tests.gallery.builders import ENROLLED_UNIX_NS, reference
from tests.gallery.carrying import Rows, fill, rows

FORGETTING = 4
"""The version since which it is noted who is being forgotten."""


def places(folder: Path, key: Key | None = None) -> Places:
    folder.mkdir(exist_ok=True)
    return Places(folder / "gallery.db", folder / "journal.db", folder, key)


def filled(folder: Path, events: int = 7) -> Places:
    made = places(folder)
    fill(made.gallery)
    store(made, 0, events)
    return made


def store(where: Places, first: int, count: int) -> list[int | None]:
    with Journal.open(where.journal, EPOCH) as journal:
        return [each.seq for each in journal.append([numbered(i) for i in range(first, first + count)])]


def backed_up(where: Places) -> bytes:
    target = io.BytesIO()
    back_up(where, target)
    return target.getvalue()


def restored(where: Places, content: bytes, *, force: bool = False) -> Restored:
    return restore(where, io.BytesIO(content), who="ann", force=force)


def whole(where: Places) -> tuple[Rows, list[int]]:
    return rows(where.gallery), numbers(kept(where.journal))


def names(where: Places) -> list[str]:
    return sorted(file.name for file in where.state.iterdir())


def test_restored_into_another_folder_gallery_and_journal_are_equal(tmp_path: Path) -> None:
    one, other = filled(tmp_path / "one"), places(tmp_path / "other")
    report = restored(other, backed_up(one))
    assert (report.people, report.kept, report.forgotten_since) == (3, (), ())
    assert names(other) == ["gallery.db", "journal.db", "journal.db.head"]
    modes = {stat.S_IMODE(file.stat().st_mode) for file in other.state.iterdir()}
    assert modes == {0o600}
    assert whole(other) == whole(one)
    with Gallery.open(one.gallery) as before, Gallery.open(other.gallery) as after:
        assert after.trail()[:-1] == before.trail()
        assert (after.trail()[-1].what, after.trail()[-1].who) == ("restored", "ann")
        assert after.revision > before.revision


def test_a_backup_is_of_one_moment_while_others_write(tmp_path: Path) -> None:
    one, other = filled(tmp_path / "one"), places(tmp_path / "other")
    with Gallery.open(one.gallery) as gallery, Journal.open(one.journal, EPOCH) as journal:
        gallery.add("in the log", [reference("log", [1.0] * 16)], ENROLLED_UNIX_NS)
        journal.append([numbered(7)])
        assert one.gallery.with_name("gallery.db-wal").stat().st_size
        content = backed_up(one)
        gallery.forget("in the log")
    restored(other, content)
    with Gallery.open(other.gallery) as gallery:
        assert gallery.person("in the log").references == 1
    assert numbers(kept(other.journal)) == list(range(8))


def test_numbers_that_were_given_since_the_backup_are_not_given_again(tmp_path: Path) -> None:
    one = filled(tmp_path / "one")
    content = backed_up(one)
    store(one, 7, 5)
    report = restored(one, content, force=True)
    assert report.journal_next == 13
    assert store(one, 100, 1) == [13]
    assert numbers(kept(one.journal)) == [*range(7), 100]
    with closing(connect_to_read(one.journal)) as journal:
        assert journal.execute("SELECT first, last FROM hole").fetchall() == [(8, 12)]


def test_where_no_mark_tells_how_far_numbers_were_given_they_leap(tmp_path: Path) -> None:
    one, other = filled(tmp_path / "one"), places(tmp_path / "other")
    report = restored(other, backed_up(one))
    assert report.journal_next is not None
    assert report.journal_next > 7 + LEAP_PER_S
    (number,) = store(other, 100, 1)
    assert number == report.journal_next


@pytest.mark.parametrize("events", [2, 50])
def test_the_mark_of_another_journal_says_nothing_of_these_numbers(tmp_path: Path, events: int) -> None:
    one, other = filled(tmp_path / "one"), filled(tmp_path / "other", events)
    report = restored(other, backed_up(one), force=True)
    assert report.journal_next is not None
    assert report.journal_next > max(7, events) + LEAP_PER_S


def test_the_mark_alone_is_enough_where_the_journal_is_gone(tmp_path: Path) -> None:
    one = filled(tmp_path / "one")
    content = backed_up(one)
    store(one, 7, 5)
    one.journal.unlink()
    assert restored(one, content, force=True).journal_next == 13


def test_what_was_there_stays_beside_and_is_whole(tmp_path: Path) -> None:
    one = filled(tmp_path / "one")
    content = backed_up(one)
    with Gallery.open(one.gallery) as gallery:
        gallery.add("later", [reference("later", [1.0] * 16)], ENROLLED_UNIX_NS)
        late = gallery.revision
    before = rows(one.gallery)
    report = restored(one, content, force=True)
    journal, old = (Path(each) for each in report.kept)
    assert old.name.startswith("gallery.db.before-2")
    assert rows(old) == before
    assert numbers(kept(journal)) == list(range(7))
    with Gallery.open(one.gallery) as gallery:
        assert gallery.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert gallery.revision > late
        # What was done since is still answered for.
        assert [entry.what for entry in gallery.trail()][-2:] == ["enrolled", "restored"]


def test_twice_in_a_second_nothing_that_was_kept_is_lost(tmp_path: Path) -> None:
    one = filled(tmp_path / "one")
    content = backed_up(one)
    paths = [path for _ in range(3) for path in restored(one, content, force=True).kept]
    assert len(set(paths)) == 6
    assert all(Path(path).exists() for path in paths)


def test_who_was_forgotten_since_and_is_here_again_is_told(tmp_path: Path) -> None:
    one = filled(tmp_path / "one")
    content = backed_up(one)
    with Gallery.open(one.gallery) as gallery:
        gone = gallery.forget("person 1")
    assert restored(one, content, force=True).forgotten_since == (gone.id,)


def test_a_gallery_with_somebody_in_it_is_not_replaced_unasked(tmp_path: Path) -> None:
    one, other = filled(tmp_path / "one"), filled(tmp_path / "other")
    with Gallery.open(other.gallery) as gallery:
        gallery.rename("person 1", "mine")
    before = whole(other), names(other)
    content = backed_up(one)
    with pytest.raises(UsageError, match="--force"):
        restored(other, content)
    assert (whole(other), names(other)) == before


def test_while_a_daemon_writes_the_journal_nothing_is_restored(tmp_path: Path) -> None:
    one = filled(tmp_path / "one")
    content = backed_up(one)
    before = rows(one.gallery)
    with Journal.open(one.journal, EPOCH), pytest.raises(UsageError, match="daemon runs"):
        restored(one, content, force=True)
    assert rows(one.gallery) == before


def test_a_gallery_that_another_program_has_open_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gallery.backup.BUSY_TIMEOUT_S", 0.05)
    one = filled(tmp_path / "one")
    content = backed_up(one)
    with Gallery.open(one.gallery) as gallery:
        before, journal = gallery.people(), one.journal.stat().st_ino
        with pytest.raises(GalleryBusy, match="in use"):
            restored(one, content, force=True)
        assert gallery.people() == before
        # Nor is the journal: both, or none of them.
        assert one.journal.stat().st_ino == journal
        assert not list(one.state.glob("*.before-*"))
        gallery.add("still mine", [reference("mine", [1.0] * 16)], ENROLLED_UNIX_NS)


@pytest.mark.parametrize("spoil", ["middle", "empty", "log"])
def test_a_damaged_gallery_is_replaced_and_its_log_is_not_played_into_the_other(
    tmp_path: Path, spoil: str
) -> None:
    one = filled(tmp_path / "one")
    content = backed_up(one)
    expected = rows(one.gallery)
    if spoil == "log":
        with Gallery.open(one.gallery) as gallery:
            gallery.rename("person 1", "in the log")
            log = one.gallery.with_name("gallery.db-wal").read_bytes()
            gallery.rename("in the log", "person 1")
        one.gallery.write_bytes(one.gallery.read_bytes()[:100] + bytes(9000))
        one.gallery.with_name("gallery.db-wal").write_bytes(log)
    elif spoil == "middle":
        data = one.gallery.read_bytes()
        one.gallery.write_bytes(data[:5000] + bytes(8000) + data[13000:])
    else:
        one.gallery.write_bytes(b"")
    with pytest.raises(UsageError, match="can't be read"):
        restored(one, content)
    restored(one, content, force=True)
    assert rows(one.gallery) == expected


def test_without_a_journal_the_one_that_is_there_stays(tmp_path: Path) -> None:
    one, other = places(tmp_path / "one"), filled(tmp_path / "other")
    fill(one.gallery)
    report = restored(other, backed_up(one), force=True)
    assert (report.journal, report.journal_next) == (None, None)
    assert whole(other) == (rows(one.gallery), list(range(7)))


def test_without_a_gallery_there_is_no_backup(tmp_path: Path) -> None:
    with pytest.raises(GalleryMissing):
        backed_up(places(tmp_path / "one"))


def test_a_damaged_or_truncated_backup_is_refused_whole(tmp_path: Path) -> None:
    one, other = filled(tmp_path / "one"), filled(tmp_path / "other", events=2)
    content = backed_up(one)
    before = whole(other), names(other)
    for at in [*range(0, len(content), len(content) // 40), len(content) - 1]:
        changed = bytearray(content)
        changed[at] ^= 0x20
        with pytest.raises(ArchiveRefused):
            restored(other, bytes(changed), force=True)
        with pytest.raises(ArchiveRefused):
            restored(other, content[:at], force=True)
    assert (whole(other), names(other)) == before


def test_what_a_kill_left_is_swept_and_what_is_at_work_is_not(tmp_path: Path) -> None:
    left = tmp_path / f"{backup.WORKSHOP}left"
    left.mkdir()
    (left / "gallery.db").write_bytes(b"faces")
    with backup.workshop(tmp_path) as first, backup.workshop(tmp_path) as second:
        assert first.exists()
        assert second.exists()
        assert not left.exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_restores_into_a_services_folder_is_the_services(tmp_path: Path) -> None:
    one, other = filled(tmp_path / "one"), places(tmp_path / "other")
    os.chown(other.state, 12345, 12345)
    restored(other, backed_up(one))
    assert {file.stat().st_uid for file in other.state.iterdir()} == {12345}


def test_an_encrypted_gallery_stays_encrypted_and_needs_its_key(tmp_path: Path) -> None:
    pytest.importorskip("sqlcipher3")
    key = Key.new()
    one, other = places(tmp_path / "one", key), places(tmp_path / "other", key)
    with Gallery.open(one.gallery, key=key) as gallery:
        gallery.add("Ann Lee", [reference("a", [1.0] * 16)], ENROLLED_UNIX_NS)
    with Journal.open(one.journal, EPOCH, key=key) as journal:
        journal.append([numbered(0)])
    content = backed_up(one)
    assert b"Ann Lee" not in content
    with pytest.raises(KeyRefused):
        restored(places(tmp_path / "third"), content)
    with pytest.raises(KeyRefused):
        restored(places(tmp_path / "fourth", Key.new()), content)
    restored(other, content)
    with Gallery.open(other.gallery, key=key) as gallery:
        assert gallery.person("Ann Lee").references == 1


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_a_backup_of_an_older_visaged_is_restored(tmp_path: Path, version: int) -> None:
    file, key = tmp_path / "old.db", "9bf8d0cd-b556-42f2-8524-3956f666c447"
    # Somebody whose picture's name nobody would take today.
    texts = (key, key, "a" * 64, "\x07.jpg", 0.5, ENROLLED_UNIX_NS)
    vector = b"\0\0\x80\x3f" * 4
    with closing(sqlite3.connect(file, isolation_level=None)) as old:
        old.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        migrate(old, version)
        old.execute("INSERT INTO person (id, name, enrolled_unix_ns) VALUES (?, 'Ann', 1)", (key,))
        old.execute(
            """INSERT INTO reference (id, person_id, source_digest, source_name, quality, enrolled_unix_ns)
               VALUES (?, ?, ?, ?, ?, ?)""",
            texts,
        )
        old.execute("INSERT INTO encoding VALUES (?, 'm', ?, ?)", (key, vector, zlib.crc32(vector)))
        old.execute("UPDATE gallery SET model = 'm', revision = 1")
        if version >= FORGETTING:
            old.execute(
                """INSERT INTO forgetting
                   (person_id, why, who, began_unix_ns, references_gone, crops_gone, ids)
                   VALUES (?1, 'asked', 'ann', 1, 1, 0, '["' || ?1 || '"]')""",
                (key.replace("9", "8"),),
            )
    content = io.BytesIO()
    told = {"made_unix_ns": 1, "people": 1, "journal_head": None}
    archive_file.write(content, "backup", told, {GALLERY: file})
    here = places(tmp_path / "here")
    restored(here, content.getvalue())
    with Gallery.open(here.gallery) as gallery:
        assert [(each.name, each.references) for each in gallery.people()] == [("Ann", 1)]
        assert len(forgetting.begun(gallery)) == (version >= FORGETTING)
