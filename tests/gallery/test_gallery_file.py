"""A gallery's file: who may read it, what is refused, and what a kill or a damaged disk leaves."""

from __future__ import annotations

import os
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gallery.encryption import reading
from gallery.errors import (
    DuplicateImage,
    GalleryBusy,
    GalleryDamaged,
    GalleryError,
    GalleryMissing,
    GalleryRefused,
)
from gallery.migrations import MIGRATIONS
from gallery.schema import APPLICATION_ID, transaction
from gallery.store import Gallery
from tests.gallery.builders import ENROLLED_UNIX_NS, MODEL, reference
from tests.gallery.enrolling_process import REFERENCES


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gallery.db"


def fill(path: Path, people: int = 30) -> None:
    draw = np.random.default_rng(5)
    with Gallery.open(path) as gallery:
        for i in range(people):
            rows = draw.normal(size=(4, 128)).astype(np.float32)
            gallery.add(f"person {i}", [reference(f"{i}-{j}", row) for j, row in enumerate(rows)], i)
            gallery.add_not(f"person {i}", [reference(f"not {i}", -rows[0])], i)
        own = {person.id: 0.1 + 0.01 * person.references for person in gallery.people()}
        gallery.set_thresholds(own, model=MODEL, fmr=0.01, calibrated_unix_ns=1)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277])
def test_the_files_are_for_their_owner_alone_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "data" / "visaged" / "gallery.db"
    before = os.umask(umask)
    try:
        with Gallery.open(path) as gallery:
            gallery.add("Ann", [reference("a.jpg")], ENROLLED_UNIX_NS)
            modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"gallery.db": 0o600, "gallery.db-wal": 0o600, "gallery.db-shm": 0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.parent.parent.stat().st_mode & 0o777 == 0o700


def test_a_file_that_others_may_read_is_closed_to_them_at_opening(path: Path) -> None:
    fill(path, people=1)
    path.chmod(0o644)
    Gallery.open(path).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_was_there_keeps_its_mode(path: Path) -> None:
    path.parent.chmod(0o755)
    fill(path, people=1)
    assert path.parent.stat().st_mode & 0o777 == 0o755


def test_the_file_says_what_it_is_and_is_written_with_care(path: Path) -> None:
    with Gallery.open(path) as gallery:
        asked = {
            pragma: gallery.connection.execute(f"PRAGMA {pragma}").fetchone()[0]
            for pragma in (
                "application_id",
                "user_version",
                "journal_mode",
                "foreign_keys",
                "synchronous",
                "secure_delete",
            )
        }
    full = 2
    assert asked == {
        "application_id": APPLICATION_ID,
        "user_version": len(MIGRATIONS),
        "journal_mode": "wal",
        "foreign_keys": 1,
        "synchronous": full,
        "secure_delete": 1,
    }


def test_a_missing_gallery_is_told_and_not_made_unless_asked(path: Path) -> None:
    with pytest.raises(GalleryMissing, match="no gallery"):
        Gallery.open(path, create=False)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\x00", b"hello" * 400, b"\x00" * 8192])
def test_a_file_with_another_beginning_is_damaged_and_stays_as_it_is(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(GalleryDamaged, match=r"gallery\.db: the gallery is damaged"):
        Gallery.open(path)
    assert path.read_bytes() == content


def test_another_programs_database_is_refused_and_not_touched(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE bookmarks (url TEXT)")
        other.commit()
    before = path.read_bytes()
    with pytest.raises(GalleryRefused, match="another program"):
        Gallery.open(path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["gallery.db"]


def test_a_folder_is_refused(path: Path) -> None:
    path.mkdir()
    with pytest.raises(GalleryRefused, match="not a file"):
        Gallery.open(path)


def test_a_newer_visageds_gallery_is_refused_and_not_touched(path: Path) -> None:
    fill(path, people=1)
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = path.read_bytes()
    with pytest.raises(GalleryRefused, match="newer visaged"):
        Gallery.open(path)
    assert path.read_bytes() == before


def test_an_older_gallery_is_brought_forward_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(path, people=2)
    more = (*MIGRATIONS, ("ALTER TABLE person ADD COLUMN later TEXT",))
    monkeypatch.setattr("gallery.schema.MIGRATIONS", more)
    for _ in range(2):
        with Gallery.open(path) as gallery:
            assert len(gallery.people()) == 2
            assert gallery.connection.execute("PRAGMA user_version").fetchone() == (len(more),)
            assert gallery.connection.execute("SELECT later FROM person").fetchall() == [(None,), (None,)]


def test_a_file_of_version_1_keeps_everybody_and_takes_what_came_later(path: Path) -> None:
    shutil.copy(Path(__file__).with_name("version-1.db"), path)
    with Gallery.open(path) as gallery:
        assert [(person.name, person.references) for person in gallery.people()] == [
            ("Ann", 2),
            ("김연아", 1),
        ]
        assert gallery.index(MODEL).encodings.tolist() == [[0.25, 0.5], [0.5, 0.5], [-1.0, 0.0]]
        assert gallery.owner(reference("k.jpg").source_digest) is not None
        with pytest.raises(DuplicateImage):
            gallery.add("Ann", [reference("k.jpg")], ENROLLED_UNIX_NS)
        gallery.add_not("Ann", [reference("k.jpg", [-1.0, 0.0])], ENROLLED_UNIX_NS)
        ids = {person.name: person.id for person in gallery.people()}
        gallery.set_thresholds({ids["Ann"]: 0.4}, model=MODEL, fmr=0.01, calibrated_unix_ns=9)
    with Gallery.open(path) as gallery:
        assert gallery.revision == 6
        assert gallery.connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        index = gallery.index(MODEL)
        assert (len(index), index.not_encodings.tolist()) == (3, [[-1.0, 0.0]])
        assert [each.distance for each in gallery.thresholds()] == [0.4]


def test_a_migration_that_fails_leaves_the_gallery_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(path, people=2)
    with monkeypatch.context() as patch:
        patch.setattr(
            "gallery.schema.MIGRATIONS",
            (*MIGRATIONS, ("ALTER TABLE person ADD COLUMN later TEXT", "SELECT nonsense")),
        )
        with pytest.raises(sqlite3.OperationalError, match="nonsense"):
            Gallery.open(path)
    with Gallery.open(path) as gallery:
        columns = gallery.connection.execute("SELECT name FROM pragma_table_info('person')").fetchall()
    assert ("later",) not in columns


@pytest.mark.parametrize("kept", [100, 4096, 5000, 0.5, 0.99])
def test_a_truncated_gallery_is_damaged(path: Path, kept: float) -> None:
    fill(path)
    size = path.stat().st_size
    os.truncate(path, int(kept * size) if kept < 1 else int(kept))
    with pytest.raises(GalleryDamaged):
        Gallery.open(path)


def test_a_log_whose_gallery_is_gone_is_not_taken_for_an_empty_gallery(path: Path) -> None:
    fill(path, people=1)
    path.rename(path.with_name("elsewhere"))
    path.with_name("gallery.db-wal").write_bytes(b"something")
    with pytest.raises(GalleryDamaged, match="is gone"):
        Gallery.open(path)
    assert not path.exists()


@pytest.fixture(scope="module")
def sound_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "gallery.db"
    fill(path)
    return path


def content(gallery: Gallery) -> dict[str, tuple[object, ...]]:
    """What a decision could depend on; times and file names may be damaged without harm to it."""
    index = gallery.index(MODEL)
    found: dict[str, tuple[object, ...]] = {}
    thresholds = {each.person.id: each.distance for each in gallery.thresholds()}
    for person in gallery.people():
        digests = sorted(kept.source_digest for kept in gallery.references(person.name))
        rows = [
            [
                row.tobytes()
                for row, owner in zip(encodings, owners, strict=True)
                if index.people[owner].id == person.id
            ]
            for encodings, owners in (
                (index.encodings, index.owners),
                (index.not_encodings, index.not_owners),
            )
        ]
        found[person.id] = (person.name, digests, rows, thresholds.get(person.id))
    return found


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), length=st.integers(1, 600), seed=st.integers(0, 2**32))
def test_overwritten_bytes_are_noticed_or_did_no_harm(
    path: Path, sound_copy: Path, place: float, length: int, seed: int
) -> None:
    data = sound_copy.read_bytes()
    path.write_bytes(data)
    with Gallery.open(path) as gallery:
        sound = content(gallery)
    at = int(place * len(data))
    noise = random.Random(seed).randbytes(length)
    path.write_bytes((data[:at] + noise + data[at + length :])[: len(data)])
    try:
        with Gallery.open(path) as gallery:
            found = content(gallery)
    except GalleryError:
        return
    assert found == sound


def test_a_changed_number_within_an_encoding_is_noticed(path: Path) -> None:
    fill(path, people=1)
    with Gallery.open(path) as gallery:
        vector = gallery.references("person 0")[2].encoding.tobytes()
    data = path.read_bytes()
    at = data.index(vector) + 77
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with Gallery.open(path) as gallery:
        with pytest.raises(GalleryDamaged, match="encoding of reference"):
            gallery.index(MODEL)
        with pytest.raises(GalleryDamaged):
            gallery.references("person 0")


def test_a_table_that_is_not_as_it_was_made_is_noticed(path: Path) -> None:
    fill(path, people=1)
    path.write_bytes(path.read_bytes().replace(b"source_name      TEXT", b"source_nano      TEXT"))
    with pytest.raises(GalleryDamaged, match="tables"):
        Gallery.open(path)


def test_a_gallery_that_another_holds_is_busy(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gallery.schema.BUSY_TIMEOUT_S", 0.05)
    with Gallery.open(path) as gallery, Gallery.open(path) as other, transaction(other.connection):
        with pytest.raises(GalleryBusy, match="locked"):
            gallery.add("Ann", [reference("a.jpg")], ENROLLED_UNIX_NS)
        assert gallery.people() == []


@pytest.mark.parametrize("most_bytes", [100, 5_000, 40_000])
def test_on_a_full_disk_no_gallery_is_made_and_one_line_says_so(path: Path, most_bytes: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        with pytest.raises(GalleryError, match="the disk is full"):
            Gallery.open(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(path.parent.iterdir()) == []
    Gallery.open(path).close()


def test_two_processes_that_make_a_gallery_at_once_make_one(path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from gallery.store import Gallery;"
        "from tests.gallery.builders import reference; sys.stdin.read(1);"
        "g = Gallery.open(Path(sys.argv[1])); g.add(sys.argv[2], [reference(sys.argv[2])], 1); g.close()"
    )
    names = ["a", "b", "c", "d"]
    makers = [
        subprocess.Popen([sys.executable, "-c", code, str(path), name], stdin=subprocess.PIPE)
        for name in names
    ]
    for maker in makers:
        assert maker.stdin is not None
        maker.stdin.close()
    assert [maker.wait(60) for maker in makers] == [0] * len(names)
    with Gallery.open(path) as gallery:
        assert [person.name for person in gallery.people()] == names
    assert [file.name for file in path.parent.iterdir()] == ["gallery.db"]


def test_a_kill_in_the_middle_leaves_nothing_half(path: Path) -> None:
    draw = random.Random(1)
    revision = -1
    # However slow the disk is: at least eight times, and until several changes were written.
    for kills in range(100):
        if kills >= 8 and revision > 8:
            break
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.gallery.enrolling_process", str(path)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        time.sleep(draw.uniform(0.0, 0.15))
        process.kill()
        process.wait(30)
        process.stdout.close()
        with Gallery.open(path, create=False) as gallery:
            people = gallery.people()
            assert {person.references for person in people} <= {REFERENCES}
            index = gallery.index(MODEL) if people else None
            # Killed before its first commit, it changed nothing.
            assert gallery.revision >= revision
            revision = gallery.revision
        if index is not None:
            rows = index.encodings.reshape(len(people), REFERENCES, 128)
            assert (rows == rows[:, :1]).all()
    assert revision > 8


def bytes_beside(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(path.parent.iterdir()))


def test_what_is_forgotten_is_in_no_file_though_the_gallery_stays_open(path: Path) -> None:
    draw = np.random.default_rng(9)
    with Gallery.open(path) as gallery, Gallery.open(path) as watcher:
        gone: list[bytes] = []
        for i in range(60):
            rows = draw.normal(size=(draw.integers(1, 6), 128)).astype(np.float32)
            gallery.add(
                f"person number {i:02}", [reference(f"{i}-{j}", row) for j, row in enumerate(rows)], i
            )
            if i % 2:
                gone += [b"person number %02d" % i, *(row.tobytes() for row in rows)]
                gone += [reference(f"{i}-{j}").source_digest.encode() for j in range(len(rows))]
        assert watcher.people()
        assert all(trace in bytes_beside(path) for trace in gone)
        for i in draw.permutation(60):
            if i % 2:
                gallery.forget(f"person number {i:02}")
        left = bytes_beside(path)
        assert [trace for trace in gone if trace in left] == []


def test_a_former_name_is_in_no_file(path: Path) -> None:
    with Gallery.open(path) as gallery:
        gallery.add("Formerly Known", [reference("a.jpg")], ENROLLED_UNIX_NS)
        gallery.rename("Formerly Known", "Prince")
        assert b"Formerly" not in bytes_beside(path)


def test_a_second_opening_in_one_process_leaves_the_first_ones_log_to_it(path: Path) -> None:
    # What a daemon does, and a command beside it: closing a descriptor would let go of SQLite's locks.
    opening = "from pathlib import Path; from gallery.store import Gallery; Gallery.open(Path({!r})).close()"
    counting = (
        "import sqlite3; print(*sqlite3.connect({!r}).execute('SELECT count(*) FROM person').fetchone())"
    )
    with Gallery.open(path) as gallery:
        gallery.add("Ann", [reference("a.jpg")], ENROLLED_UNIX_NS)
        Gallery.open(path).close()
        for file in path.parent.iterdir():
            with reading(file) as descriptor:
                os.pread(descriptor, 1, 0)
        subprocess.run([sys.executable, "-c", opening.format(str(path))], check=True)
        assert path.with_name("gallery.db-wal").exists()
        gallery.add("Bob", [reference("b.jpg")], ENROLLED_UNIX_NS)
        command = [sys.executable, "-c", counting.format(str(path))]
        seen = subprocess.run(command, capture_output=True, text=True, check=True)
    assert seen.stdout == "2\n"
