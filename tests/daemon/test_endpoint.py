"""Where a socket may be bound, and whose it stays."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from daemon.endpoint import BindRefused, Endpoint, check_bind, claim


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


def test_the_folder_of_a_socket_is_private_where_we_make_it(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        claim(tmp_path / "run" / "events.sock")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700


def test_a_socket_that_nobody_has_open_makes_way(tmp_path: Path) -> None:
    path = tmp_path / "events.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    claim(path)
    assert not path.exists()


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
