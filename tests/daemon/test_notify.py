"""What systemd hears, over a real datagram socket."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.config_file import load
from daemon.engine import build_engine
from daemon.notify import EXTEND_S, STATUS_CHARACTERS, Supervisor, start_extended
from gallery.faces.machine_code import loading


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


EXTENDED = f"EXTEND_TIMEOUT_USEC={EXTEND_S * 1_000_000}"
WAIT_S = 120.0


def extending() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "start extended"]


def test_a_start_may_last_longer_for_as_long_as_it_is_busy(
    systemd: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.notify.EXTEND_EVERY_S", 0.001)
    answers = [True, True, False, False, False]
    asked = threading.Event()

    def is_busy() -> bool:
        if answers:
            return answers.pop(0)
        asked.set()
        return False

    with start_extended(is_busy, "compiling", {"NOTIFY_SOCKET": systemd.getsockname()}):
        assert asked.wait(WAIT_S)
    assert heard(systemd) == ["STATUS=compiling", EXTENDED, EXTENDED]


def test_what_hangs_for_ever_is_not_waited_for_for_ever(
    systemd: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.notify.EXTEND_EVERY_S", 0.001)
    monkeypatch.setattr("daemon.notify.EXTEND_AT_MOST_S", 0.0)
    with start_extended(lambda: True, "compiling", {"NOTIFY_SOCKET": systemd.getsockname()}):
        for thread in extending():
            thread.join(WAIT_S)
    assert heard(systemd) == []


def test_without_systemd_nobody_is_asked_whether_it_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.notify.EXTEND_EVERY_S", 0.001)
    with start_extended(lambda: True, "compiling", {}):
        assert extending() == []


def test_systemd_waits_while_the_nets_are_compiled(
    systemd: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nets load as ever; that somebody compiles is said for them."""
    monkeypatch.setattr("daemon.notify.EXTEND_EVERY_S", 0.001)
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.getsockname())
    monkeypatch.setattr(loading, "is_compiling", lambda: True)
    (tmp_path / "config.toml").write_text(f"[daemon]\nstate_dir = '{tmp_path}'\ndevice = 'cpu'\n")
    build_engine(load(tmp_path / "config.toml"))
    said = heard(systemd)
    assert said[:2] == ["STATUS=compiling the nets for this processor, this once", EXTENDED]
