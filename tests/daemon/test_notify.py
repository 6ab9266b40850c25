"""What systemd hears, over a real datagram socket."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.notify import STATUS_CHARACTERS, Supervisor


@pytest.fixture
def systemd() -> Iterator[socket.socket]:
    with (
        tempfile.TemporaryDirectory(prefix="visaged-") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener,
    ):
        listener.bind(str(Path(folder) / "notify"))
        listener.setblocking(False)
        yield listener


def heard(listener: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(listener.recv(4096).decode())
        except BlockingIOError:
            return found


def test_ready_status_and_stopping_are_told_once(systemd: socket.socket) -> None:
    with Supervisor({"NOTIFY_SOCKET": systemd.getsockname()}) as supervisor:
        supervisor.ready()
        supervisor.status("door online,\nyard offline")
        supervisor.status("door online, yard offline")
        supervisor.stopping()
    assert heard(systemd) == ["READY=1", "STATUS=door online, yard offline", "STOPPING=1"]


def test_signs_of_life_come_at_a_third_of_the_period(
    systemd: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {"NOTIFY_SOCKET": systemd.getsockname(), "WATCHDOG_USEC": "30000000"}
    supervisor = Supervisor(environment | {"WATCHDOG_PID": str(os.getpid())})
    for moment_s in (0.0, 0.1, 9.9, 10.0, 19.9, 20.0):
        monkeypatch.setattr("daemon.notify.time.monotonic", lambda moment_s=moment_s: moment_s)
        supervisor.alive()
    assert heard(systemd) == ["WATCHDOG=1"] * 3


@pytest.mark.parametrize(
    "watchdog",
    [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "9", "WATCHDOG_PID": "1"}],
)
def test_no_sign_of_life_where_nobody_waits_for_one(systemd: socket.socket, watchdog: dict[str, str]) -> None:
    Supervisor({"NOTIFY_SOCKET": systemd.getsockname()} | watchdog).alive()
    assert heard(systemd) == []


def test_an_abstract_socket_is_reached() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0visaged-{os.getpid()}")
        listener.setblocking(False)
        Supervisor({"NOTIFY_SOCKET": f"@visaged-{os.getpid()}"}).ready()
        assert heard(listener) == ["READY=1"]


def test_without_systemd_or_with_one_that_is_gone_nothing_happens(tmp_path: Path) -> None:
    for environment in ({}, {"NOTIFY_SOCKET": str(tmp_path / "gone")}):
        with Supervisor(environment) as supervisor:
            supervisor.ready()
            supervisor.alive()


def test_a_supervisor_that_does_not_read_holds_nobody_up(systemd: socket.socket) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": systemd.getsockname()})
    for number in range(10_000):
        supervisor.status(str(number))
    assert 0 < len(heard(systemd)) < 10_000


def test_a_long_status_is_cut(systemd: socket.socket) -> None:
    Supervisor({"NOTIFY_SOCKET": systemd.getsockname()}).status("x" * 1000)
    assert heard(systemd) == ["STATUS=" + "x" * STATUS_CHARACTERS]
