"""`keys new`, `keys list`, `keys revoke`: with a running daemon over its socket, without one on the files."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemon.cli.app import run_command_line
from daemon.control import ControlServer, Facts, Live
from daemon.keys import Keyring
from gallery.store import Gallery
from tests.daemon.cli.conftest import Shell


@contextmanager
def daemon_of(visaged: Shell, state: Path) -> Iterator[None]:
    """A control socket where the configuration says, whose daemon keeps its keys in `state`."""
    Gallery.open(state / "gallery.db").close()
    facts = Facts("1.0", str(state / "gallery.db"), "test-model", str(state))
    with ControlServer(
        visaged.folder / "state" / "control.sock", facts, Live(lambda camera: None, lambda track: None, dict)
    ):
        yield


def test_a_key_is_given_listed_and_revoked(visaged: Shell) -> None:
    file = visaged.folder / "kiosk.keys"
    done = visaged("keys", "new", "kiosk", "--out", file)
    assert (done.code, done.out) == (0, f"{file}: kiosk may listen with it\n")
    held = json.loads(file.read_text())
    assert set(held) == {"name", "public", "secret", "server"}
    (listed,) = visaged("keys", "list", "--json").document
    assert (listed["name"], listed["public"], listed["revoked"]) == ("kiosk", held["public"], None)
    assert visaged("keys", "revoke", "kiosk").code == 0
    (listed,) = visaged("keys", "list", "--json").document
    assert listed["revoked"] >= listed["added"]
    (client,) = Keyring.load(visaged.folder / "state").clients()
    assert client.revoked_unix_ns is not None


def test_no_command_prints_a_secret(visaged: Shell) -> None:
    file = visaged.folder / "kiosk.keys"
    told = [
        visaged("keys", "new", "kiosk", "--out", file, "--json"),
        visaged("keys", "list"),
        visaged("keys", "list", "--json"),
        visaged("keys", "revoke", "kiosk", "--json"),
    ]
    secrets = [json.loads(file.read_text())["secret"], Keyring.load(visaged.folder / "state").server.secret]
    for done in told:
        assert done.code == 0
        assert not any(secret in done.out + done.err for secret in secrets)


def test_the_file_lies_where_one_stands_and_has_the_name_of_the_key(
    visaged: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(visaged.folder)
    done = visaged("keys", "new", "kiosk", "--json")
    assert done.document["file"] == "kiosk.keys"
    assert set(done.document) == {"name", "public", "file"}
    assert stat.S_IMODE((visaged.folder / "kiosk.keys").stat().st_mode) == 0o600


def test_without_any_umask_nobody_else_may_read_what_is_written(visaged: Shell) -> None:
    mask = os.umask(0)
    try:
        assert visaged("keys", "new", "kiosk", "--out", visaged.folder / "kiosk.keys").code == 0
    finally:
        os.umask(mask)
    written = [visaged.folder / "kiosk.keys", *(visaged.folder / "state").rglob("*")]
    assert {stat.S_IMODE(each.stat().st_mode) for each in written if each.is_file()} == {0o600}
    assert {stat.S_IMODE(each.stat().st_mode) for each in written if each.is_dir()} == {0o700}


def test_what_cannot_be_is_one_line_and_leaves_nothing(visaged: Shell) -> None:
    file = visaged.folder / "kiosk.keys"
    assert visaged("keys", "new", "kiosk", "--out", file).code == 0
    other = visaged.folder / "other.keys"
    for arguments, words in (
        (("new", "kiosk", "--out", other), "kiosk has a key already"),
        (("new", "desk", "--out", file), "is there already: --out"),
        (("new", "a/b", "--out", other), "a key's name is"),
        (("new", "desk", "--out", visaged.folder / "no" / "where"), "can't be written: No such file"),
        (("revoke", "desk"), "nobody named desk has a key; those who have: kiosk"),
        (("list", "--out", other), "No such option"),
    ):
        done = visaged("keys", *arguments)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), done
        assert words in done.err
    assert not other.exists()
    assert [each["name"] for each in visaged("keys", "list", "--json").document] == ["kiosk"]


def test_keys_alone_is_a_question_that_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["keys"]) == 2
    assert capsys.readouterr().err == (
        "visaged: keys needs to know what: keys new NAME, keys list, keys revoke NAME or keys gallery FILE\n"
    )


def test_where_nobody_has_a_key_it_says_how_to_begin(visaged: Shell) -> None:
    done = visaged("keys", "list")
    assert (done.code, done.out) == (0, "")
    assert "visaged keys new NAME" in done.err
    assert visaged("keys", "list", "--json").document == []


def test_listing_makes_nothing_also_where_a_daemon_runs(visaged: Shell) -> None:
    state = visaged.folder / "state"
    assert visaged("keys", "list").code == 0
    assert not state.exists()
    with daemon_of(visaged, state):
        assert visaged("keys", "list", "--json").document == []
    assert not (state / "keys").exists()


def test_a_running_daemon_is_asked_and_its_own_files_are_changed(visaged: Shell) -> None:
    theirs = visaged.folder / "elsewhere"
    file = visaged.folder / "kiosk.keys"
    with daemon_of(visaged, theirs):
        assert visaged("keys", "new", "kiosk", "--out", file).code == 0
        keyring = Keyring.load(theirs)
        held = json.loads(file.read_text())
        assert held["server"] == keyring.server_public
        assert [client.public for client in keyring.clients()] == [held["public"]]
        assert [each["name"] for each in visaged("keys", "list", "--json").document] == ["kiosk"]
        done = visaged("keys", "new", "kiosk", "--out", visaged.folder / "other.keys")
        assert (done.code, done.err.count("\n")) == (2, 1)
        assert "visaged: kiosk has a key already" in done.err
        assert visaged("keys", "revoke", "kiosk").code == 0
        assert keyring.removals() == 1
        assert visaged("keys", "revoke", "kiosk").code == 2
    assert not (visaged.folder / "state" / "keys").exists()


def test_damaged_keys_are_told_in_one_line_also_by_a_running_daemon(visaged: Shell) -> None:
    state = visaged.folder / "state"
    Keyring.load(state)
    (state / "keys" / "clients.json").write_text("?")
    told = [visaged("keys", "list")]
    with daemon_of(visaged, state):
        told.append(visaged("keys", "list"))
    for done in told:
        assert (done.code, done.err.count("\n")) == (2, 1)
        assert f"visaged: {state / 'keys' / 'clients.json'} is damaged: restore it" in done.err
