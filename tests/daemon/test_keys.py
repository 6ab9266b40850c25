"""Keys as files: private whatever the umask, followed when another process changes them."""

from __future__ import annotations

import json
import logging
import os
import resource
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.errors import UsageError
from daemon.keys import Keyring, KeysUnusable, check_name, new_pair, write_client_file


@pytest.fixture
def no_umask() -> Iterator[None]:
    mask = os.umask(0)
    yield
    os.umask(mask)


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("no_umask")
def test_without_any_umask_all_files_are_0600_and_all_folders_0700(tmp_path: Path) -> None:
    keyring = Keyring.load(tmp_path / "made" / "state")
    keyring.add("desk", new_pair().public, 0)
    write_client_file(tmp_path / "made" / "desk.keys", "desk", new_pair(), keyring.server.public)
    assert modes(tmp_path) == {0o600}
    folders = [path for path in tmp_path.rglob("*") if path.is_dir()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}
    assert len(folders) == 3


def test_a_folder_of_keys_that_was_open_to_others_is_closed(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys").chmod(0o755)
    Keyring.load(tmp_path)
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_the_daemons_pair_is_made_once(tmp_path: Path) -> None:
    first = Keyring.load(tmp_path).server
    assert Keyring.load(tmp_path).server == first


def test_a_secret_does_not_show_where_a_pair_is_printed() -> None:
    pair = new_pair()
    assert pair.public in repr(pair)
    assert pair.secret not in repr(pair)


def test_the_secret_of_the_daemon_must_not_be_readable_by_others(tmp_path: Path) -> None:
    Keyring.load(tmp_path)
    (tmp_path / "keys" / "server.json").chmod(0o640)
    with pytest.raises(KeysUnusable, match="chmod 600"):
        Keyring.load(tmp_path)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("server.json", "{"),
        ("server.json", "[]"),
        ("server.json", "{}"),
        ("server.json", json.dumps({"public": new_pair().public, "secret": new_pair().secret})),
        ("server.json", json.dumps({"public": "x" * 40, "secret": "é" * 40})),
        ("server.json", "[" * 100_000),
        ("clients.json", ""),
        ("clients.json", "{}"),
        ("clients.json", '{"clients": 3}'),
        ("clients.json", '{"clients": [{}]}'),
        ("clients.json", '{"clients": [{"name": "a", "public": "short", "added_unix_ns": 0}]}'),
        ("clients.json", '{"clients": [{"name": "a", "public": "%s", "added_unix_ns": "0"}]}' % ("x" * 40)),
    ],
)
def test_damaged_keys_are_told_in_one_line_and_let_nobody_in(tmp_path: Path, file: str, content: str) -> None:
    Keyring.load(tmp_path)
    (tmp_path / "keys" / file).write_text(content)
    (tmp_path / "keys" / file).chmod(0o600)
    with pytest.raises(KeysUnusable, match="damaged") as refused:
        Keyring.load(tmp_path)
    assert "\n" not in str(refused.value)


def test_a_folder_that_cannot_be_had_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KeysUnusable, match="can't be used"):
        Keyring.load(tmp_path / "file")


def test_what_one_process_writes_another_follows(tmp_path: Path) -> None:
    here, there = Keyring.load(tmp_path), Keyring.load(tmp_path)
    public = new_pair().public
    assert here.find(public) is None
    added = there.add("desk", public, 1)
    assert here.find(public) == added
    assert here.removals() == 0
    revoked = there.revoke("desk", 2)
    assert here.find(public) == revoked
    assert revoked.revoked_unix_ns == 2
    assert (here.removals(), there.removals()) == (1, 1)
    assert here.clients() == [revoked]


def test_two_changes_within_the_same_tick_of_the_clock_are_both_followed(tmp_path: Path) -> None:
    here, there = Keyring.load(tmp_path), Keyring.load(tmp_path)
    for count in range(1, 50):
        there.add("desk", new_pair().public, 0)
        assert len(here.clients()) == count
        there.revoke("desk", 0)
        assert here.removals() == count


def test_a_name_is_free_again_after_its_key_was_revoked(tmp_path: Path) -> None:
    keyring = Keyring.load(tmp_path)
    first, second = new_pair().public, new_pair().public
    keyring.add("desk", first, 1)
    with pytest.raises(UsageError, match="has a key already"):
        keyring.add("desk", second, 2)
    keyring.revoke("desk", 3)
    keyring.add("desk", second, 4)
    with pytest.raises(UsageError, match="given away before"):
        keyring.add("kiosk", first, 5)
    assert [client.revoked_unix_ns for client in keyring.clients()] == [3, None]
    keyring.revoke("desk", 6)
    assert [client.revoked_unix_ns for client in keyring.clients()] == [3, 6]


def test_nobody_of_that_name_is_told_with_those_who_are(tmp_path: Path) -> None:
    keyring = Keyring.load(tmp_path)
    with pytest.raises(UsageError, match="those who have: nobody"):
        keyring.revoke("desk", 0)
    keyring.add("kiosk", new_pair().public, 0)
    with pytest.raises(UsageError, match="those who have: kiosk"):
        keyring.revoke("desk", 0)


def test_keys_that_become_unreadable_stay_as_they_were_and_are_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keyring = Keyring.load(tmp_path)
    public = new_pair().public
    keyring.add("desk", public, 0)
    (tmp_path / "keys" / "clients.json").write_text("{")
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert keyring.find(public) is not None
    assert len(caplog.records) == 1
    with pytest.raises(KeysUnusable, match="damaged"):
        keyring.revoke("desk", 0)


def test_when_the_list_of_clients_is_removed_nobody_is_let_in(tmp_path: Path) -> None:
    keyring = Keyring.load(tmp_path)
    public = new_pair().public
    keyring.add("desk", public, 0)
    (tmp_path / "keys" / "clients.json").unlink()
    assert keyring.find(public) is None
    assert keyring.removals() == 1


@pytest.mark.parametrize("name", ["", ".", "..", "-x", "a/b", "a b", "ann\n", "é", "a" * 65])
def test_what_is_no_name_of_a_key_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="begins with"):
        check_name(name)


@pytest.mark.parametrize("name", ["a", "7", "kiosk-2.hall_b", "a" * 64])
def test_names_of_letters_digits_and_three_signs_are_taken(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("public", ["", "x" * 39, "x" * 41, "'" * 40, "é" * 40])
def test_what_is_no_key_is_not_let_in(tmp_path: Path, public: str) -> None:
    with pytest.raises(UsageError, match="40 characters"):
        Keyring.load(tmp_path).add("desk", public, 0)


def test_a_clients_file_holds_what_it_needs_and_overwrites_nothing(tmp_path: Path) -> None:
    pair, server = new_pair(), new_pair().public
    file = tmp_path / "desk.keys"
    write_client_file(file, "desk", pair, server)
    told = {"name": "desk", "public": pair.public, "secret": pair.secret, "server": server}
    assert json.loads(file.read_text()) == told
    with pytest.raises(UsageError, match="there already"):
        write_client_file(file, "desk", new_pair(), server)
    assert json.loads(file.read_text()) == told


def test_a_link_is_not_followed_to_write_a_secret(tmp_path: Path) -> None:
    (tmp_path / "desk.keys").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="there already"):
        write_client_file(tmp_path / "desk.keys", "desk", new_pair(), new_pair().public)
    assert not (tmp_path / "elsewhere").exists()


def test_a_key_that_does_not_fit_on_the_disk_leaves_no_file_that_would_pass_for_one(tmp_path: Path) -> None:
    file = tmp_path / "desk.keys"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(UsageError, match=r"desk\.keys can't be written: "):
            write_client_file(file, "desk", new_pair(), new_pair().public)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())
    write_client_file(file, "desk", new_pair(), new_pair().public)
