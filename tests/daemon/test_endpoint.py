"""Where a socket may be bound, and whose it stays."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import zmq

from daemon.claim import claim
from daemon.endpoint import BindRefused, Endpoint, check_bind
from tests.conftest import REPOSITORY


@pytest.mark.parametrize(
    ("bind", "uri", "ipv6"),
    [
        ("tcp://127.0.0.1:5556", "tcp://127.0.0.1:5556", False),
        ("tcp://127.8.8.8:0", "tcp://127.8.8.8:0", False),
        ("tcp://127.0.0.1:*", "tcp://127.0.0.1:*", False),
        ("tcp://localhost:5556", "tcp://127.0.0.1:5556", False),
        ("tcp://[::1]:5556", "tcp://[::1]:5556", True),
    ],
)
def test_loopback_is_bound(bind: str, uri: str, ipv6: bool) -> None:
    assert check_bind(bind) == Endpoint(uri, ipv6, local=True, path=None)


EXPOSED = [
    "tcp://*:5556",
    "tcp://0.0.0.0:5556",
    "tcp://[::]:5556",
    "tcp://192.168.1.4:5556",
    "tcp://[fe80::1]:5556",
    "tcp://[::ffff:192.168.1.4]:5556",
    "tcp://128.0.0.1:5556",
    "tcp://eth0:5556",
    # Loopback on most machines, but not in our hands.
    "tcp://lo:5556",
    "tcp://localhost.localdomain:5556",
    "tcp://127.0.0.1.example.org:5556",
    "tcp://127.1:5556",
    "tcp://0:5556",
]


@pytest.mark.parametrize("bind", EXPOSED)
def test_what_others_could_reach_is_refused_in_one_line_with_the_way_out(bind: str) -> None:
    with pytest.raises(BindRefused, match="--insecure") as refused:
        check_bind(bind)
    assert bind in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("bind", EXPOSED)
def test_what_others_could_reach_is_bound_where_insecure_is_said(bind: str) -> None:
    endpoint = check_bind(bind, insecure=True)
    assert (endpoint.uri, endpoint.local) == (bind, False)


@pytest.mark.parametrize(
    "bind",
    [
        "",
        "127.0.0.1:5556",
        "udp://127.0.0.1:5556",
        "inproc://events",
        "tcp://",
        "tcp://127.0.0.1",
        "tcp://:5556",
        "tcp://127.0.0.1:",
        "tcp://127.0.0.1:http",
        "tcp://127.0.0.1:65536",
        "tcp://127.0.0.1:-1",
        "tcp://127.0.0.1: 5556",
        "tcp://127.0.0.1:٥٥٥٦",
        "tcp://::1:5556",
        "tcp://[127.0.0.1]:5556",
        "tcp://[::1:5556",
        "tcp://127.0.0.1;127.0.0.1:5556",
        "tcp://user@127.0.0.1:5556",
        "ipc://",
        "ipc://*",
        "ipc://events.sock",
        "ipc://@abstract",
        "ipc:///run/" + "a" * 103,
        "ipc:///run/" + "é" * 52,
    ],
)
def test_what_is_no_place_to_bind_is_refused_whatever_else_is_said(bind: str) -> None:
    with pytest.raises(BindRefused):
        check_bind(bind, insecure=True)


def test_a_path_of_a_socket_is_bound(tmp_path: Path) -> None:
    path = tmp_path / "events.sock"
    assert check_bind(f"ipc://{path}") == Endpoint(f"ipc://{path}", ipv6=False, local=True, path=path)


@pytest.mark.parametrize("bind", EXPOSED)
def test_what_others_could_reach_is_bound_where_only_listed_keys_get_in(bind: str) -> None:
    endpoint = check_bind(bind, key="replay", curve=True)
    assert (endpoint.uri, endpoint.local) == (bind, False)


def test_a_refusal_names_the_key_of_the_configuration() -> None:
    with pytest.raises(BindRefused, match=r"\[events\] replay .* curve = true"):
        check_bind("tcp://*:5557", key="replay")


def test_the_folders_of_a_socket_are_private_where_we_make_them(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        claimed = claim(tmp_path / "run" / "visaged" / "events.sock")
    finally:
        os.umask(mask)
    for folder in (tmp_path / "run", tmp_path / "run" / "visaged"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (lock,) = (tmp_path / "run" / "visaged").iterdir()
    assert stat.S_IMODE(lock.stat().st_mode) == 0o600
    claimed.release()
    assert not lock.exists()


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770, 0o702])
def test_a_folder_that_others_may_write_into_is_refused(tmp_path: Path, mode: int) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run").chmod(mode)
    with pytest.raises(BindRefused, match="others may write there"):
        claim(tmp_path / "run" / "events.sock")
    # Also before anything slow is loaded.
    with pytest.raises(BindRefused, match="others may write there"):
        check_bind(f"ipc://{tmp_path}/run/events.sock")


def test_a_folder_that_others_may_only_look_into_will_do(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    claim(tmp_path / "events.sock").release()


def test_a_socket_that_nobody_has_open_makes_way(tmp_path: Path) -> None:
    path = tmp_path / "events.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    claimed = claim(path)
    assert not path.exists()
    claimed.release()


def test_of_many_that_claim_a_path_at_once_one_has_it(tmp_path: Path) -> None:
    path = tmp_path / "events.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    code = (
        "import sys, time; from pathlib import Path; from daemon.claim import BindRefused, claim\n"
        "sys.stdin.readline()\n"
        "try: claimed = claim(Path(sys.argv[1])); print('mine', flush=True); sys.stdin.readline()\n"
        "except BindRefused as refused: print(refused)"
    )
    rivals = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        )
        for _ in range(8)
    ]
    try:
        for rival in rivals:
            assert rival.stdin is not None
            rival.stdin.write("go\n")
            rival.stdin.flush()
        told = [rival.stdout.readline().strip() for rival in rivals if rival.stdout is not None]
        assert sorted(told) == sorted([f"ipc://{path} is taken: another visaged has it"] * 7 + ["mine"])
    finally:
        for rival in rivals:
            rival.kill()
            rival.communicate()
    # The one that had it was killed without any chance to let go.
    claim(path).release()


def test_whoever_waits_for_a_path_gets_it_when_it_is_released(tmp_path: Path) -> None:
    path = tmp_path / "events.sock"
    first = claim(path)
    for _ in range(2):
        with pytest.raises(BindRefused, match="another visaged"):
            claim(path)
    first.release()
    first.release()
    second = claim(path)
    first.release()
    with pytest.raises(BindRefused, match="another visaged"):
        claim(path)
    second.release()
    assert list(tmp_path.iterdir()) == []


def test_a_socket_that_is_put_in_our_place_is_noticed_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "events.sock"
    claimed = claim(path)
    assert not claimed.is_stolen()
    with zmq.Context() as context, context.socket(zmq.PUB) as ours, context.socket(zmq.PUB) as thief:
        ours.bind(f"ipc://{path}")
        claimed.bound()
        assert not claimed.is_stolen()
        thief.bind(f"ipc://{path}")
        assert claimed.is_stolen()
        claimed.release()
        assert path.is_socket()


def test_a_socket_that_somebody_listens_on_stays(tmp_path: Path) -> None:
    path = tmp_path / "events.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        with pytest.raises(BindRefused, match="taken"):
            claim(path)
        assert path.exists()


def test_a_file_that_is_no_socket_stays(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("dear")
    with pytest.raises(BindRefused, match="no socket"):
        claim(path)
    assert path.read_text() == "dear"


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BindRefused, match=r"events\.sock can't be had: "):
        claim(tmp_path / "file" / "events.sock")
