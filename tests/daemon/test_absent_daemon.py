"""Nobody waits for a daemon that is certainly not there; one that hangs has its whole time."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemon.cli.app import run_command_line
from daemon.client import NobodyListens, ask
from daemon.control_client import RemoteGallery, is_running
from daemon.errors import UsageError
from tests.conftest import REPOSITORY
from tests.daemon.bus_server import bus_server

HEAD = {"op": "head"}


@pytest.fixture
def folder() -> Iterator[Path]:
    """With a short path, for sockets."""
    with tempfile.TemporaryDirectory(prefix="visaged-") as name:
        yield Path(name)


@contextmanager
def silent(path: Path) -> Iterator[None]:
    """A process that listens there, takes one at a time, and answers nobody."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(0)
        yield


@contextmanager
def crowd(path: Path) -> Iterator[None]:
    """So many who wait there already that nobody else may."""
    waiting: list[socket.socket] = []
    try:
        while True:
            waiting.append(socket.socket(socket.AF_UNIX))
            waiting[-1].setblocking(False)
            try:
                waiting[-1].connect(str(path))
            except BlockingIOError:
                break
        yield
    finally:
        for each in waiting:
            each.close()


@pytest.fixture
def nobody(folder: Path) -> Iterator[list[str]]:
    """Endpoints at which nobody listens: a port, a socket that was left behind, and nothing at all."""
    with silent(folder / "left"):
        pass
    with socket.socket() as unused:
        # Taken, so that nobody else listens there, but not listened at.
        unused.bind(("127.0.0.1", 0))
        yield [f"tcp://127.0.0.1:{unused.getsockname()[1]}", f"ipc://{folder}/left", f"ipc://{folder}/none"]


def config_of(folder: Path, replay: str) -> Path:
    file = folder / "config.toml"
    file.write_text(f"[daemon]\nstate_dir = '{folder}/state'\n[events]\nreplay = '{replay}'\n")
    return file


def test_who_need_not_wait_for_a_daemon_is_told_that_nobody_listens(nobody: list[str]) -> None:
    for endpoint in nobody:
        with pytest.raises(NobodyListens, match="nobody listens at"):
            ask(HEAD, replay=endpoint, timeout_s=60, await_daemon=False)


def test_who_waits_for_a_daemon_waits_for_all_that_time(nobody: list[str]) -> None:
    with pytest.raises(TimeoutError, match="did not answer within"):
        ask(HEAD, replay=nobody[0], timeout_s=0.3)


def test_a_daemon_that_is_there_answers_both(folder: Path) -> None:
    with bus_server() as server:
        assert ask(HEAD, replay=server.journal, await_daemon=False) == ask(HEAD, replay=server.journal)


def test_a_daemon_that_hangs_has_its_whole_time_however_many_wait_for_it(folder: Path) -> None:
    path = folder / "journal"
    with silent(path):
        with pytest.raises(TimeoutError, match="did not answer within"):
            ask(HEAD, replay=f"ipc://{path}", timeout_s=0.3, await_daemon=False)
        with crowd(path):
            assert is_running(path)
            with pytest.raises(TimeoutError, match="did not answer within"):
                ask(HEAD, replay=f"ipc://{path}", timeout_s=0.3, await_daemon=False)


def test_status_says_at_once_that_nobody_listens(
    folder: Path, nobody: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for endpoint in nobody:
        assert run_command_line(["status", "--config", str(config_of(folder, endpoint))]) == 1
        told = f"visaged: no daemon answers at {endpoint}: start one with visaged run\n"
        assert capsys.readouterr().err == told


def test_the_past_is_not_waited_for_where_nobody_has_it(
    folder: Path, nobody: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("nobody is there to be listened to")

    monkeypatch.setattr("daemon.client.Subscription.__enter__", never)
    for endpoint in nobody:
        assert run_command_line(["watch", "--since", "0", "--config", str(config_of(folder, endpoint))]) == 2
        assert f"{endpoint} does not answer: is the daemon running" in capsys.readouterr().err


def answering_once(path: Path) -> subprocess.Popen[str]:
    """A daemon that says hello, and is killed by the next question."""
    code = """
import json, os, signal, sys, zmq
context = zmq.Context()
socket = context.socket(zmq.REP)
socket.bind("ipc://" + sys.argv[1])
print("bound", flush=True)
socket.recv()
socket.send(json.dumps({"ok": {"gallery": "g.db", "model": "m", "requires_consent": False}}).encode())
socket.recv()
os.kill(os.getpid(), signal.SIGKILL)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "bound\n"
    return process


def test_an_answer_is_not_waited_for_from_a_daemon_that_died(folder: Path) -> None:
    control = folder / "control.sock"
    with (
        answering_once(control),
        RemoteGallery(control) as remote,
        pytest.raises(UsageError, match="ended before it answered"),
    ):
        remote.people()


def test_a_daemon_that_hangs_has_all_its_time_to_answer(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.control_client.ANSWER_TIMEOUT_S", 0.3)
    with silent(folder / "control.sock"), pytest.raises(UsageError, match="did not answer within"):
        RemoteGallery(folder / "control.sock")


def test_a_daemon_that_died_just_now_is_not_waited_for(folder: Path) -> None:
    with silent(folder / "control.sock"):
        pass
    with pytest.raises(UsageError, match="ended before it answered"):
        RemoteGallery(folder / "control.sock")
