"""`visaged status`, asked of a real bus and a real control socket."""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon import events
from daemon.bus import Bus
from daemon.cli.app import run_command_line
from daemon.config_file import load
from daemon.control import ControlServer, Facts, Live
from daemon.keys import Keyring, new_pair, write_client_file
from daemon.status import SILENT_S
from gallery.store import Gallery

PULSE = events.CameraPulse(
    *("door", "offline", 30, 20, 10, [events.Unfit("blurred", 4)]),
    reason="no picture for 5 s",
    since="2026-03-01T08:30:00.000000Z",
    frame_age_s=6.25,
    reopened=[events.Reopened("silent", 2)],
)
STARTED = events.daemon(events.Started("0.1.0", "CPU, 2 threads", "dlib-mtcnn-0", 12, ["door"]))


@pytest.fixture
def folder() -> Iterator[Path]:
    """With a short path, for sockets."""
    with tempfile.TemporaryDirectory(prefix="visaged-") as name:
        yield Path(name)


def config_of(folder: Path, replay: str = "", extra: str = "", client: str = "") -> Path:
    file = folder / "config.toml"
    file.write_text(
        f"[daemon]\nstate_dir = '{folder}/state'\n[events]\nbind = 'ipc://{folder}/events'\n"
        f"replay = '{replay or f'ipc://{folder}/replay'}'\n{extra}\n[client]\n{client}\n"
    )
    return file


def beat() -> events.Event:
    return events.daemon(
        events.Heartbeat(
            *(3725.2, 1, [PULSE], [events.Refused("unknown_key", 3)]),
            *(events.GalleryPulse(12, 2, 7), 412.5, 130.0),
        )
    )


def say(bus: Bus) -> None:
    """As the daemon does, and waits until it was published."""
    bus.send(STARTED)
    bus.send(beat())
    deadline_s = time.monotonic() + 30
    while bus.status()["heartbeat"] is None:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_everything_is_told_over_the_replay_socket(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = config_of(folder)
    with Bus(load(file), ["door"], insecure=False) as bus:
        say(bus)
        assert run_command_line(["status", "--json", "--config", str(file)]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["version"] == "0.1.0"
        assert found["device"] == "CPU, 2 threads"
        assert found["journal"] == {"ok": True, "reason": None}
        assert found["head"] == 1
        assert found["cameras"] == [events.plain(PULSE)]
        assert found["gallery"] == {"revision": 12, "people": 2, "references": 7}
        assert run_command_line(["status", "--config", str(file)]) == 0
        table = capsys.readouterr().out
    for told in ("1:02:05", "2 people, 7 references", "412.5 MB, 130 MB of the GPU", "unknown_key 3"):
        assert told in table
    for told in ("offline", "6.2 s", "silent 2", "blurred 4", "no picture for 5 s"):
        assert told in table


def test_where_peers_need_a_key_it_is_asked_with_the_clients(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keyring, pair = Keyring.load(folder / "state"), new_pair()
    write_client_file(folder / "me.keys", "me", pair, keyring.server_public)
    keyring.add("me", pair.public, time.time_ns())
    file = config_of(folder, extra="curve = true", client=f"keys = '{folder}/me.keys'")
    with Bus(load(file), ["door"], insecure=False) as bus:
        say(bus)
        assert run_command_line(["status", "--json", "--config", str(file)]) == 0
    assert json.loads(capsys.readouterr().out)["uptime_s"] == 3725.2


@pytest.mark.parametrize("extra", ["", "curve = true"])
def test_without_replay_or_key_it_goes_over_the_control_socket(
    folder: Path, extra: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = config_of(folder, replay="" if extra else "off", extra=extra)
    config = load(file)
    Gallery.open(config.gallery_path).close()
    facts = Facts("0.1.0", str(config.gallery_path), "dlib-mtcnn-0", str(config.state_dir))
    with Bus(config, ["door"], insecure=False) as bus:
        live = Live(lambda camera: None, lambda track: None, bus.status)
        with ControlServer(config.control_path, facts, live):
            say(bus)
            assert run_command_line(["status", "--json", "--config", str(file)]) == 0
    assert json.loads(capsys.readouterr().out)["epoch"]


@pytest.mark.parametrize("replay", ["", "off"])
def test_without_a_daemon_one_line_says_so(
    folder: Path, replay: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("daemon.status.ANSWER_S", 0.2)
    assert run_command_line(["status", "--json", "--config", str(config_of(folder, replay))]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("visaged: no daemon answers at ")
    assert told.err.count("\n") == 1


def test_a_loop_that_is_stuck_and_one_that_has_not_begun_are_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = config_of(folder)
    with Bus(load(file), ["door"], insecure=False) as bus:
        assert run_command_line(["status", "--config", str(file)]) == 1
        assert "only starting" in capsys.readouterr().err
        say(bus)
        assert bus._presence._heard_s is not None
        bus._presence._heard_s -= SILENT_S + 1
        assert run_command_line(["status", "--config", str(file)]) == 1
        stuck = re.search(r"stuck for (\d+) s", capsys.readouterr().err)
        assert stuck
        assert SILENT_S + 1 <= int(stuck[1]) < SILENT_S + 30
