"""SIGHUP: another configuration while the daemon runs, on real cameras' processes and sockets."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from daemon.cli.run import StopSignals
from daemon.client import Received, Subscription, subscribe
from daemon.config import CameraConfig, Config, EncoderConfig, EventsConfig, TrackerConfig
from daemon.reload import CameraChanges, camera_changes, merged
from daemon.service import Service
from tests.daemon.serving import NoNets, serving, write_pictures

WAIT_S = 40.0


@dataclass(frozen=True)
class Running:
    """A daemon with two cameras, and who listens to it."""

    service: Service
    folder: Path
    events: Subscription

    def says(self, topic: str) -> Received:
        """The next event of this topic."""
        return next(event for event in self.events if event.topic == topic)

    def now(self, extra: str, **cameras: str) -> None:
        """Another configuration, and the word that there is one."""
        configured(self.folder, extra, **cameras)
        self.service._reload.asked.set()

    def pulses(self) -> dict[str, Any]:
        """Each camera's part of the next heartbeat."""
        return {camera["name"]: camera for camera in self.says("daemon/heartbeat/").data["cameras"]}


def configured(folder: Path, extra: str = "", **cameras: str) -> Path:
    tables = "".join(
        f"[[camera]]\nname = '{name}'\nsource = '{folder}/pictures'\nrealtime = true\n{more}\n"
        for name, more in cameras.items()
    )
    file = folder / "config.toml"
    file.write_text(
        f"[daemon]\nstate_dir = '{folder}/state'\n[events]\nbind = 'ipc://{folder}/events'\n"
        f"replay = 'off'\n{extra}\n{tables}"
    )
    return file


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("long") / "pictures"
    write_pictures(folder, 3_000)
    return folder


@pytest.fixture
def running(pictures: Path) -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="visaged-") as name:
        folder = Path(name)
        (folder / "pictures").symlink_to(pictures)
        file = configured(folder, door="", yard="")
        with (
            serving(file, NoNets()) as service,
            subscribe(f"ipc://{folder}/events", timeout_s=WAIT_S) as events,
        ):
            made = Running(service, folder, events)
            deadline_s = time.monotonic() + WAIT_S
            while {camera["state"] for camera in made.pulses().values()} != {"online"}:
                assert time.monotonic() < deadline_s
            yield made


def test_cameras_come_change_and_go_and_the_others_go_on(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "daemon"):
        running.now("", gate="", door="max_fps = 5.0")
        told = {}
        for event in running.events:
            if event.topic.startswith("camera/"):
                told[event.topic] = event.data["reason"]
            if {"camera/door/online/", "camera/gate/online/"} <= told.keys():
                break
    assert told["camera/door/offline/"] == "it is opened anew with other settings"
    assert told["camera/yard/ended/"] == "the configuration has it no more"
    assert "1 cameras added, 1 cameras changed, 1 cameras removed" in caplog.text
    before = running.pulses()
    assert list(before) == ["gate", "door"]
    # Its frames are counted on.
    assert before["door"]["frames_read"] > 1
    after = running.pulses()
    while after["gate"]["frames_processed"] <= before["gate"]["frames_processed"]:
        after = running.pulses()
    assert running.service._bus._presence.now()[1].keys() == {"gate", "door"}


def test_a_camera_that_nothing_is_changed_of_keeps_its_process(running: Running) -> None:
    first = running.pulses()["door"]
    running.now("sightings = true", door="", gate="")
    running.says("camera/gate/online/")
    door = running.pulses()["door"]
    assert (door["since"], door["state"]) == (first["since"], "online")
    assert door["reopened"] == []


@pytest.mark.parametrize(
    ("extra", "more", "told"),
    [
        ("sightings = maybe", "", "not valid TOML"),
        ("", "max_fps = -1.0", "camera[0].max_fps: must be greater than 0"),
        ("", "fps = 5\nbackend = 'vhs'", "camera[0].backend"),
    ],
)
def test_a_mistake_leaves_all_as_it_was(
    running: Running, extra: str, more: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    running.now(extra, door=more, attic="")
    while not any("stays as it was" in record.message for record in caplog.records):
        running.says("daemon/heartbeat/")
    assert told in caplog.text
    assert list(running.pulses()) == ["door", "yard"]


def test_what_needs_a_restart_is_named_and_stays() -> None:
    old = Config(camera=(CameraConfig(name="door", source=0),))
    new = replace(
        old,
        camera=(CameraConfig(name="yard", source=1),),
        tracker=TrackerConfig(lost_s=9.0),
        encoder=EncoderConfig(name="sface"),
        events=EventsConfig(bind="tcp://127.0.0.1:1", crops=True),
    )
    kept, fixed = merged(old, new)
    assert fixed == ["encoder.name", "events.bind"]
    # The other net's threshold does not come along.
    assert kept.encoder == old.encoder
    assert kept.events == EventsConfig(crops=True)
    assert (kept.tracker, kept.camera) == (new.tracker, new.camera)
    assert merged(old, replace(old, encoder=EncoderConfig(threshold=0.4))) == (
        replace(old, encoder=EncoderConfig(threshold=0.4)),
        [],
    )


def test_cameras_are_known_by_their_names() -> None:
    door, yard, gate = (CameraConfig(name=name, source=0) for name in ("door", "yard", "gate"))
    slow = replace(door, max_fps=1.0)
    assert camera_changes([door, yard], [gate, slow]) == CameraChanges((gate,), (slow,), ("yard",))
    assert camera_changes([door, yard], [yard, door]) == CameraChanges((), (), ())


def test_the_signal_asks_for_it_and_ends_nothing() -> None:
    signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    former = {number: signal.getsignal(number) for number in signals}
    try:
        heard = StopSignals()
        os.kill(os.getpid(), signal.SIGHUP)
        assert heard.reload.wait(10)
        assert not heard.stop.is_set()
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
