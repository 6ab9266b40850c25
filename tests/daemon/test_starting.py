"""A daemon that is on its way up: what commands say of it, and what becomes of what they do meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from daemon.cli.app import run_command_line
from daemon.config import Config
from daemon.config_file import load
from daemon.control_client import RemoteGallery, is_running
from daemon.errors import UsageError
from daemon.people_desk import open_desk
from daemon.starting import Starting, is_starting, starting_process
from gallery.people import NewReference
from gallery.store import Gallery
from tests.conftest import REPOSITORY
from tests.daemon.running import Home, environment
from tests.daemon.serving import NoNets

WAIT_S = 120.0
ANN = NewReference(np.ones(128, np.float32), NoNets.model, "a" * 64, "ann.jpg", 1.0)


@pytest.fixture
def folder() -> Iterator[Path]:
    """With a short path, for sockets."""
    with tempfile.TemporaryDirectory(prefix="visaged-") as name:
        yield Path(name)


def until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


@contextmanager
def loading(home: Home) -> Iterator[subprocess.Popen[str]]:
    """A daemon whose nets load until the file `go` is there; killed at the end of the block."""
    command = [sys.executable, "-m", "tests.daemon.slow_start", str(home.folder / "go")]
    process = subprocess.Popen(
        [*command, "run", "--config", str(home.config)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env=environment(),
    )
    try:
        until(lambda: is_starting(home.control), process)
        yield process
    finally:
        process.kill()
        process.communicate()


def test_status_tells_of_a_daemon_that_is_starting_until_it_answers(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Home(folder, (("door", str(folder / "none.mp4"), True),))
    with loading(home) as process:
        for _ in range(2):
            assert run_command_line(["status", "--json", "--config", str(home.config)]) == 1
            told = capsys.readouterr()
            assert told.out == ""
            assert told.err.startswith(f"visaged: a daemon is starting (process {process.pid}): ")
            assert told.err.count("\n") == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0
    assert not is_starting(home.control)
    assert run_command_line(["status", "--config", str(home.config)]) == 1
    assert "no daemon answers at " in capsys.readouterr().err


def test_who_is_enrolled_while_it_starts_is_known_to_it_once(folder: Path) -> None:
    home = Home(folder, (("door", "rtsp://127.0.0.1:9/nothing", False),))
    with loading(home) as process:
        config = load(home.config)
        with open_desk(config, create=True) as desk:
            desk.add("Ann", [ANN], 0)
        (folder / "go").touch()
        until(lambda: is_running(home.control), process)
        until(lambda: not is_starting(home.control), process)
        with open_desk(config) as desk:
            assert isinstance(desk, RemoteGallery)
            assert [(person.name, person.references) for person in desk.people()] == [("Ann", 1)]


def test_a_second_daemon_does_not_start_beside_one_that_is_starting(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Home(folder, (("door", "rtsp://127.0.0.1:9/nothing", False),))
    with loading(home) as process:
        command = [sys.executable, "-m", "daemon", "run", "--config", str(home.config)]
        second = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, env=environment())
        assert second.returncode == 2
        assert f"is taken: a daemon is starting there (process {process.pid})" in second.stderr
        assert is_starting(home.control)


@pytest.mark.parametrize("command", [["restore", "{folder}/backup.zip"], ["encrypt"]])
def test_what_needs_a_stopped_daemon_is_refused_while_one_starts(
    folder: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    key = folder / "gallery.key"
    assert run_command_line(["keys", "gallery", str(key)]) == 0
    home = Home(folder, extra=f"[gallery]\nkey_file = {json.dumps(str(key))}\n")
    with Starting(home.control):
        arguments = [word.replace("{folder}", str(folder)) for word in command]
        assert run_command_line([*arguments, "--config", str(home.config)]) == 2
        assert "stop it" in capsys.readouterr().err


def test_while_the_service_starts_nobody_is_enrolled_elsewhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("STATE_DIRECTORY", "RUNTIME_DIRECTORY", "VISAGED_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "own"))
    service = folder / "run" / "control.sock"
    monkeypatch.setattr("daemon.config.SERVICE_CONTROL", service)
    with Starting(service):
        assert Config().reached_path == service
        with pytest.raises(UsageError, match="the service is starting"), open_desk(Config(), create=True):
            pass
        assert not (folder / "own").exists()
    assert Config().reached_path == Config().control_path
    with open_desk(Config(), create=True) as desk:
        assert isinstance(desk, Gallery)


def test_nothing_is_left_of_a_start_and_a_needed_folder_stays(folder: Path) -> None:
    control = folder / "new" / "state" / "control.sock"
    with Starting(control):
        assert starting_process(control) == os.getpid()
    assert list(folder.iterdir()) == []
    with Starting(control) as starting:
        (control.parent / "gallery.db").touch()
        starting.end()
        assert not is_starting(control)
    assert [path.name for path in control.parent.iterdir()] == ["gallery.db"]


def test_a_sign_that_a_killed_daemon_left_is_none(folder: Path) -> None:
    home = Home(folder, (("door", "rtsp://127.0.0.1:9/nothing", False),))
    with loading(home) as process:
        process.kill()
        process.wait(WAIT_S)
        assert list(home.control.parent.iterdir()) != []
        assert starting_process(home.control) is None
    with Starting(home.control):
        assert starting_process(home.control) == os.getpid()


def test_a_folder_that_takes_no_sign_keeps_nobody_from_starting(folder: Path) -> None:
    (folder / "state").write_text("in the way")
    with Starting(folder / "state" / "control.sock"):
        assert not is_starting(folder / "state" / "control.sock")
