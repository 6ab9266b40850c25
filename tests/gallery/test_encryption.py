"""Encryption at rest: what is in the files, which key opens them, and how they are changed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import numpy as np
import pytest

from gallery.encryption import MARK, Key, connect
from gallery.encryption_change import SUFFIX, change, is_there_encrypted
from gallery.errors import (
    DuplicateImage,
    GalleryBusy,
    GalleryDamaged,
    GalleryError,
    GalleryMissing,
    KeyRefused,
)
from gallery.schema import APPLICATION_ID
from gallery.store import Gallery
from tests.gallery.builders import ENROLLED_UNIX_NS, MODEL, reference
from tests.gallery.test_care import content

KEY, OTHER = Key(bytes(range(32))), Key(bytes(32))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gallery.db"


def fill(path: Path, key: Key | None, people: int = 5) -> list[bytes]:
    """What must not be found in an encrypted gallery's files."""
    draw = np.random.default_rng(3)
    secrets = []
    with Gallery.open(path, key=key) as gallery:
        for i in range(people):
            rows = draw.normal(size=(3, 128)).astype(np.float32)
            references = [reference(f"picture-{i}-{j}.jpg", row) for j, row in enumerate(rows)]
            gallery.add(f"Personname {i}", references, i, {"note": f"noteword {i}"})
            secrets += [row.tobytes() for row in rows]
    return [*secrets, b"Personname", b"picture-", b"noteword", b"CREATE TABLE", b"SQLite format"]


def everything(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_nothing_of_an_encrypted_gallery_is_readable_in_any_of_its_files(path: Path) -> None:
    secrets = fill(path, KEY)
    with Gallery.open(path, key=KEY) as gallery:
        gallery.add("Personname 99", [reference("picture-x.jpg", np.zeros(128))], ENROLLED_UNIX_NS)
        assert (path.parent / "gallery.db-wal").stat().st_size
        files = everything(path.parent)
    assert not [(name, secret) for name, held in files.items() for secret in secrets if secret in held]
    assert path.read_bytes().startswith(MARK)
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_encrypted_gallery_is_a_gallery_like_any(path: Path) -> None:
    fill(path, KEY)
    with Gallery.open(path, create=False, key=KEY) as gallery:
        assert len(gallery.people()) == 5
        index = gallery.index(MODEL)
        assert len(index) == 15
        with pytest.raises(DuplicateImage):
            gallery.add("Eve", [reference("picture-0-0.jpg", np.zeros(128))], ENROLLED_UNIX_NS)
        gallery.forget("Personname 0")
        assert gallery.changed()
        asked = ("application_id", "journal_mode", "secure_delete", "foreign_keys", "synchronous")
        pragmas = [gallery.connection.execute(f"PRAGMA {name}").fetchone()[0] for name in asked]
    assert pragmas == [APPLICATION_ID, "wal", 1, 1, 2]


@pytest.mark.parametrize(("made_with", "key"), [(KEY, OTHER), (KEY, None), (None, KEY)])
def test_a_wrong_key_is_one_line_and_touches_nothing(
    path: Path, made_with: Key | None, key: Key | None
) -> None:
    fill(path, made_with)
    before = everything(path.parent)
    stamps = path.stat().st_mtime_ns
    with pytest.raises(KeyRefused) as told:
        Gallery.open(path, key=key)
    assert "\n" not in str(told.value)
    assert str(path) in str(told.value)
    assert "[gallery] key_file" in str(told.value)
    assert everything(path.parent) == before
    assert path.stat().st_mtime_ns == stamps
    for secret in (KEY, OTHER):
        assert secret.text not in str(told.value) + repr(secret) + repr(told.value)


def test_damage_is_told_as_damage_and_not_as_a_wrong_key(path: Path) -> None:
    fill(path, KEY)
    whole = path.read_bytes()
    for place in (20, 5000, len(whole) - 10):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(GalleryDamaged, match="damaged"):
            Gallery.open(path, key=KEY)
    path.write_bytes(b"?" * len(whole))
    with pytest.raises(GalleryDamaged):
        Gallery.open(path, key=KEY)


def test_two_galleries_of_one_key_begin_differently(tmp_path: Path) -> None:
    for name in ("a.db", "b.db"):
        Gallery.open(tmp_path / name, key=KEY).close()
    first, second = ((tmp_path / name).read_bytes()[:16] for name in ("a.db", "b.db"))
    assert first != second
    assert KEY.fits(first)
    assert not OTHER.fits(first)


@pytest.mark.parametrize("text", ["", "00", "zz" * 32, "00" * 31, "00" * 33, "passphrase of a person"])
def test_what_is_no_key_is_none(text: str) -> None:
    assert Key.parse(text) is None


def test_a_key_is_64_digits_of_any_case_with_white_space_around() -> None:
    assert Key.parse(f" {KEY.text.upper()}\n") == KEY
    assert Key.new() != Key.new()


def test_a_gallery_is_encrypted_and_taken_back_with_equal_content(path: Path) -> None:
    secrets = fill(path, None)
    with Gallery.open(path) as gallery:
        gallery.forget("Personname 1")
        before, trail = content(gallery), gallery.trail()
    assert is_there_encrypted(path) is False
    change(path, None, KEY)
    assert is_there_encrypted(path) is True
    files = everything(path.parent)
    assert sorted(files) == ["gallery.db"]
    assert not [secret for secret in secrets if secret in files["gallery.db"]]
    assert path.stat().st_mode & 0o777 == 0o600
    with Gallery.open(path, key=KEY) as gallery:
        assert (content(gallery), gallery.trail()) == (before, trail)
    change(path, KEY, OTHER)
    change(path, OTHER, None)
    with Gallery.open(path) as gallery:
        assert (content(gallery), gallery.trail()) == (before, trail)
        assert gallery.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_the_file_that_was_there_is_overwritten(path: Path) -> None:
    secrets = fill(path, None)
    with path.open("rb") as old, Gallery.open(path) as gallery:
        gallery.add("Personname 9", [reference("picture-9.jpg", np.zeros(128))], ENROLLED_UNIX_NS)
        gallery.close()
        change(path, None, KEY)
        left = old.read()
    assert left
    assert not [secret for secret in secrets if secret in left]
    assert set(left) == {0}


HOLDING = """
import sys, time
from pathlib import Path
from gallery.store import Gallery
with Gallery.open(Path(sys.argv[1])) as gallery:
    gallery.people()
    print("open", flush=True)
    time.sleep(60)
"""


def test_who_has_it_open_is_in_the_way_and_nothing_is_changed(path: Path) -> None:
    fill(path, None)
    with subprocess.Popen([sys.executable, "-c", HOLDING, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        with pytest.raises(GalleryBusy, match="open"):
            change(path, None, KEY)
        process.kill()
    assert is_there_encrypted(path) is False
    assert not list(path.parent.glob(f"*{SUFFIX}"))


def test_a_wrong_key_a_damaged_file_and_one_of_somebody_else_are_not_changed(path: Path) -> None:
    fill(path, KEY)
    whole = path.read_bytes()
    with pytest.raises(KeyRefused):
        change(path, OTHER, None)
    with pytest.raises(KeyRefused):
        change(path, None, KEY)
    assert everything(path.parent) == {"gallery.db": whole}
    path.write_bytes(whole[:9000] + bytes(100) + whole[9100:])
    with pytest.raises(GalleryError, match="nothing was changed"):
        change(path, KEY, None)
    path.write_bytes(b"hello" * 1000)
    with pytest.raises(KeyRefused, match="nothing was touched"):
        is_there_encrypted(path)
    assert is_there_encrypted(path.with_name("none.db")) is None


CHANGING = """
import sys
from pathlib import Path
from gallery.encryption import Key
from gallery.encryption_change import change
import gallery.encryption_sqlcipher
keys = [None if text == "-" else Key.parse(text) for text in sys.argv[2:4]]
print("go", flush=True)
change(Path(sys.argv[1]), *keys)
"""


def test_a_kill_leaves_the_gallery_as_before_or_as_after(path: Path) -> None:
    fill(path, None, people=200)
    with Gallery.open(path) as gallery:
        before = content(gallery)
    draw = Random(4)
    states = set()
    for _ in range(8):
        encrypted = is_there_encrypted(path)
        keys = (KEY.text, "-") if encrypted else ("-", KEY.text)
        process = subprocess.Popen(
            [sys.executable, "-c", CHANGING, str(path), *keys], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"go\n"
        time.sleep(draw.uniform(0, 0.25))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        now = is_there_encrypted(path)
        states.add(now)
        with Gallery.open(path, create=False, key=KEY if now else None) as gallery:
            assert content(gallery) == before
    change(path, KEY if now else None, OTHER)
    assert not list(path.parent.glob(f"*{SUFFIX}*"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_services_gallery_stays_the_services_when_root_encrypts_it(path: Path) -> None:
    fill(path, None, people=1)
    os.chown(path, 12345, 23456)
    change(path, None, KEY)
    assert (path.stat().st_uid, path.stat().st_gid, path.stat().st_mode & 0o777) == (12345, 23456, 0o600)


def test_a_missing_gallery_stays_missing(path: Path) -> None:
    with pytest.raises(GalleryMissing):
        Gallery.open(path, create=False, key=KEY)
    assert list(path.parent.iterdir()) == []


def test_without_sqlcipher_one_line_names_the_extra(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gallery.encryption_sqlcipher", None)
    path.touch()
    with pytest.raises(KeyRefused, match="extra encryption"):
        connect(path, KEY, mode="rw", timeout_s=1)
