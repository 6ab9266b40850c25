"""`keys gallery`, `encrypt`, `decrypt`: with journal and gallery, and what a wrong key leaves untouched."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from daemon import events
from daemon.config_file import load
from daemon.gallery_key import gallery_key
from daemon.journal import Journal
from daemon.journal_file import JournalRefused
from daemon.journal_reader import JournalReader
from gallery.encryption import Key, is_encrypted
from gallery.store import Gallery
from tests.daemon.cli.conftest import Shell
from tests.daemon.event_samples import RECOGNIZED
from tests.daemon.journaling import numbered
from tests.gallery.builders import ENROLLED_UNIX_NS, reference
from tests.gallery.test_care import content

NAME = "김연아"


def fill(shell: Shell, key: Key | None = None) -> None:
    """Somebody enrolled, and told of in the journal."""
    with Gallery.open(shell.folder / "state" / "gallery.db", key=key) as gallery:
        gallery.add(NAME, [reference("a.jpg", np.full(128, 0.25))], ENROLLED_UNIX_NS)
    with Journal.open(shell.folder / "state" / "journal.db", "epoch", key=key) as journal:
        journal.append([events.life(RECOGNIZED), *(numbered(k) for k in range(300))])


def configure(shell: Shell, key_file: Path | str) -> Key:
    shell.configure(f"[gallery]\nkey_file = '{key_file}'\n")
    key = gallery_key(load(shell.config))
    assert key is not None
    return key


def files(shell: Shell) -> dict[str, bytes]:
    state = shell.folder / "state"
    return {file.name: file.read_bytes() for file in state.iterdir() if file.is_file()}


@pytest.fixture
def key_file(visaged: Shell) -> Path:
    file = visaged.folder / "gallery.key"
    from daemon.gallery_key import make_key_file

    make_key_file(file)
    return file


def test_a_key_is_made_for_its_owner_alone_and_never_over_another(visaged: Shell) -> None:
    file = visaged.folder / "new.key"
    # It needs no configuration, and no gallery.
    from daemon.cli.app import run_command_line

    assert run_command_line(["keys", "gallery", str(file)]) == 0
    told = visaged.capture.readouterr()
    assert file.stat().st_mode & 0o777 == 0o600
    text = file.read_text()
    assert Key.parse(text) is not None
    assert text.strip() not in told.out + told.err
    assert run_command_line(["keys", "gallery", str(file)]) == 2
    assert file.read_text() == text


def test_gallery_and_journal_are_encrypted_and_taken_back(visaged: Shell, key_file: Path) -> None:
    fill(visaged)
    with Gallery.open(visaged.folder / "state" / "gallery.db") as gallery:
        before = content(gallery)
    key = configure(visaged, key_file)
    done = visaged("encrypt", "--json")
    assert (done.code, len(done.document["changed"]), done.document["in_clear"]) == (0, 2, [])
    held = files(visaged)
    assert all(is_encrypted(held[name]) for name in ("gallery.db", "journal.db"))
    secrets = (NAME.encode(), np.full(128, 0.25, np.float32).tobytes()[:16], b"visaged.face")
    assert not [(name, each) for name, body in held.items() for each in secrets if each in body]
    assert [each["name"] for each in visaged("people", "--json").document] == [NAME]
    assert visaged("encrypt", "--json").document["changed"] == []
    with Journal.open(visaged.folder / "state" / "journal.db", "epoch 2", key=key) as journal:
        assert journal.append([numbered(7)])[0].seq == 302
        with JournalReader(journal.path, key) as reader:
            assert len(reader.page(0).events) == 302
    assert visaged("decrypt").code == 0
    visaged.configure()
    with Gallery.open(visaged.folder / "state" / "gallery.db") as gallery:
        assert content(gallery) == before
        assert [each.what for each in gallery.trail()] == ["enrolled", "encrypted", "decrypted"]
    with JournalReader(visaged.folder / "state" / "journal.db") as reader:
        assert len(reader.page(0).events) == 302


@pytest.mark.parametrize("made_with_key", [True, False])
def test_a_wrong_key_exits_2_with_one_line_and_leaves_every_byte(
    visaged: Shell, key_file: Path, made_with_key: bool
) -> None:
    key = configure(visaged, key_file)
    fill(visaged, key if made_with_key else None)
    other = visaged.folder / "other.key"
    other.write_text(Key.new().text)
    other.chmod(0o600)
    if made_with_key:
        configure(visaged, other)
    before = files(visaged)
    for command in (("people",), ("run",), ("decrypt",) if made_with_key else ("people",)):
        done = visaged(*command)
        assert (done.code, done.err.count("\n"), done.out) == (2, 1, ""), done.err
        assert "key_file" in done.err
        assert key.text not in done.err
        assert other.read_text() not in done.err
        assert files(visaged) == before


def test_a_journal_of_another_key_is_refused_and_neither_saved_nor_set_aside(visaged: Shell) -> None:
    fill(visaged, Key.new())
    before = files(visaged)
    path = visaged.folder / "state" / "journal.db"
    for key in (Key.new(), None):
        with pytest.raises(JournalRefused, match="encrypted"):
            Journal.open(path, "epoch", key=key, suspected=True)
    after = files(visaged)
    assert {name: after[name] for name in ("journal.db", "gallery.db")} == {
        name: before[name] for name in ("journal.db", "gallery.db")
    }
    assert not path.with_name("journal.db.damaged").exists()


def test_a_damaged_encrypted_journal_is_saved_up_to_the_damage(visaged: Shell) -> None:
    key = Key.new()
    fill(visaged, key)
    path = visaged.folder / "state" / "journal.db"
    whole = path.read_bytes()
    middle = len(whole) // 2 // 4096 * 4096 + 100
    path.write_bytes(whole[:middle] + bytes(500) + whole[middle + 500 :])
    with Journal.open(path, "epoch", key=key, suspected=True) as journal:
        assert journal.head == 301
        with JournalReader(path, key) as reader:
            assert 0 < len(reader.page(0).events) < 301
    assert is_encrypted(path.read_bytes())
    assert is_encrypted(path.with_name("journal.db.damaged").read_bytes())


@pytest.mark.parametrize(
    ("text", "mode", "told"),
    [
        (None, 0o600, "visaged keys gallery"),
        ("secret passphrase", 0o600, "64 hexadecimal digits"),
        ("00" * 31, 0o600, "64 hexadecimal digits"),
        ("ab" * 32, 0o640, "chmod 600"),
        ("ab" * 32, 0o604, "chmod 600"),
    ],
)
def test_a_key_file_that_is_not_right_is_one_line_without_what_is_in_it(
    visaged: Shell, text: str | None, mode: int, told: str
) -> None:
    file = visaged.folder / "bad.key"
    if text is not None:
        file.write_text(text)
        file.chmod(mode)
    visaged.configure(f"[gallery]\nkey_file = '{file}'\n")
    done = visaged("people")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert told in done.err
    assert str(file) in done.err
    assert text is None or text not in done.err
    assert not (visaged.folder / "state").exists()


def test_a_credential_of_systemd_is_found_whatever_its_mode(
    visaged: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = visaged.folder / "credentials"
    folder.mkdir()
    (folder / "gallery-key").write_text(Key.new().text)
    (folder / "gallery-key").chmod(0o440)
    visaged.configure("[gallery]\nkey_file = '$CREDENTIALS_DIRECTORY/gallery-key'\n")
    done = visaged("people")
    assert (done.code, "systemd" in done.err) == (2, True)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    assert visaged("people").code == 0
    assert is_encrypted((visaged.folder / "state" / "gallery.db").read_bytes())


def test_without_the_extra_one_line_names_it(
    visaged: Shell, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(visaged, key_file)
    monkeypatch.setitem(sys.modules, "gallery.encryption_sqlcipher", None)
    done = visaged("people")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "--extra encryption" in done.err
    assert not list((visaged.folder / "state").glob("*"))


def test_encrypting_needs_a_key_and_tells_what_is_left_in_clear(visaged: Shell, key_file: Path) -> None:
    fill(visaged)
    assert "keys gallery" in visaged("encrypt").err
    (visaged.folder / "state" / "journal.db.damaged").write_bytes(files(visaged)["journal.db"])
    configure(visaged, key_file)
    done = visaged("encrypt")
    assert done.code == 0
    assert "journal.db.damaged is left in clear" in done.err


def test_decrypting_names_what_is_left_encrypted_and_needs_the_key_still(
    visaged: Shell, key_file: Path
) -> None:
    fill(visaged, configure(visaged, key_file))
    archive = visaged.folder / "backup.zip"
    assert visaged("backup", archive).code == 0
    assert visaged("restore", archive, "--force").code == 0
    kept = [str(file) for file in sorted((visaged.folder / "state").glob("*.before-*"))]
    assert len(kept) == 2
    done = visaged("decrypt", "--json")
    assert (done.code, done.document["in_clear"], done.document["still_encrypted"]) == (0, [], kept)
    done = visaged("decrypt")
    told = [line for line in done.err.splitlines() if "left encrypted and needs this key still" in line]
    assert [line.split(" is left")[0] for line in told] == kept
    assert "keep the key" in done.err
    assert all(is_encrypted(Path(file).read_bytes()) for file in kept)


def test_decrypting_with_nothing_left_says_nothing_of_it(visaged: Shell, key_file: Path) -> None:
    fill(visaged, configure(visaged, key_file))
    done = visaged("decrypt")
    assert (done.code, done.err) == (0, "now take key_file out of [gallery] in config.toml\n")
