"""SIGHUP to `visaged run` as it is: cameras of three kinds come, change and go; one left alone goes on."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.process_tree import descendants, is_alive
from daemon.client import Received, Subscription, subscribe
from tests.daemon.capturing import write_video
from tests.daemon.mjpeg_server import MjpegServer
from tests.daemon.rtsp import RtspServer
from tests.daemon.running import Home, running

WAIT_S = 60.0
GONE_S = 30.0


@dataclass(frozen=True)
class Run:
    """The daemon, with the file `door`, the MJPEG camera `gate` and the RTSP camera `yard`."""

    home: Home
    daemon: subprocess.Popen[str]
    events: Subscription
    clip: Path

    def hang_up(self, home: Home, more: str = "") -> None:
        """Another configuration, and the signal; more: lines that belong to the last camera."""
        home.config.write_text(home.config.read_text() + more)
        self.daemon.send_signal(signal.SIGHUP)

    def pulses(self) -> dict[str, Any]:
        """Each camera's part of the next heartbeat."""
        beat = next(event for event in self.events if event.topic == "daemon/heartbeat/")
        return {camera["name"]: camera for camera in beat.data["cameras"]}

    def told_until(self, *topics: str) -> list[Received]:
        """What cameras tell until all of these came."""
        told: list[Received] = []
        for event in self.events:
            if event.topic.startswith("camera/"):
                told.append(event)
            if {each.topic for each in told}.issuperset(topics):
                return told
        raise AssertionError(f"not all of {topics} came: {[each.topic for each in told]}")

    def log_until(self, words: str) -> str:
        """The line of the log with these words."""
        assert self.daemon.stderr is not None
        return next(line for line in self.daemon.stderr if words in line)

    def door_process(self) -> int:
        """The process that has the door's file open."""
        (pid,) = (pid for pid in descendants(self.daemon.pid) if self.clip in opened_by(pid))
        return pid


def opened_by(pid: int) -> set[Path]:
    found = set()
    # It may end meanwhile, and close what it has open.
    with suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                found.add(entry.readlink())
    return found


@pytest.fixture
def run() -> Iterator[Run]:
    with tempfile.TemporaryDirectory(prefix="visaged-") as name, MjpegServer() as gate, RtspServer() as yard:
        clip = write_video(Path(name) / "door.avi", 25 * 240)
        cameras = (("door", str(clip), True), ("gate", gate.url(), False), ("yard", yard.url(), False))
        home = Home(Path(name), cameras)
        with running(home) as daemon, subscribe(home.endpoint, timeout_s=WAIT_S) as events:
            made = Run(home, daemon, events, clip)
            deadline_s = time.monotonic() + WAIT_S
            while [each["state"] for each in made.pulses().values()] != ["online"] * 3:
                assert time.monotonic() < deadline_s
            yield made


def test_sighup_adds_changes_and_removes_cameras_and_leaves_the_others_process_alone(run: Run) -> None:
    door, gate, yard = run.home.cameras
    door_process, before = run.door_process(), run.pulses()
    others = set(descendants(run.daemon.pid)) - {door_process}
    assert len(others) == 2
    attic = ("attic", yard[1], False)
    run.hang_up(replace(run.home, cameras=(door, attic, gate)), "max_fps = 5.0\n")
    told = run.told_until("camera/attic/online/", "camera/gate/online/", "camera/yard/ended/")
    assert {event.topic.split("/")[1] for event in told} == {"attic", "gate", "yard"}
    after = run.pulses()
    assert list(after) == ["door", "attic", "gate"]
    assert run.door_process() == door_process
    assert (after["door"]["since"], after["door"]["reopened"]) == (before["door"]["since"], [])
    assert after["door"]["frames_processed"] > before["door"]["frames_processed"]
    # It counts on, with other settings.
    assert after["gate"]["frames_read"] >= before["gate"]["frames_read"]
    deadline_s = time.monotonic() + GONE_S
    while any(map(is_alive, others)):
        assert time.monotonic() < deadline_s, "the process of a camera that is changed or gone outlives it"
        time.sleep(0.05)
    assert len(descendants(run.daemon.pid)) == 3


def test_sighup_with_a_mistake_keeps_every_camera_and_says_where_it_is(run: Run) -> None:
    processes = descendants(run.daemon.pid)
    before = run.pulses()
    run.hang_up(replace(run.home, cameras=run.home.cameras[:1]), "max_fpss = 5.0\n")
    line = run.log_until("the configuration stays as it was")
    assert "camera[0].max_fpss: unknown key; did you mean max_fps?" in line
    after = run.pulses()
    assert {name: each["since"] for name, each in after.items()} == {
        name: each["since"] for name, each in before.items()
    }
    assert descendants(run.daemon.pid) == processes
    # And once it is right, it is taken.
    run.hang_up(replace(run.home, cameras=run.home.cameras[:1]))
    run.told_until("camera/gate/ended/", "camera/yard/ended/")
    assert list(run.pulses()) == ["door"]
