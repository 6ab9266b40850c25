"""`snapshot`, `cameras`, `doctor`, `watch`, `demo` and help."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest

from daemon.cli.app import run_command_line
from daemon.client import subscribe
from daemon.demo import while_running
from daemon.devices import Webcam
from gallery.faces.models import ModelUnusable
from gallery.people import NewReference
from gallery.store import Gallery
from tests.conftest import REPOSITORY
from tests.daemon.cli.conftest import Shell
from tests.daemon.running import environment
from tests.daemon.test_events_doc import problems_of_event

SAMPLES = REPOSITORY / "samples"
COMMANDS = (
    "reject",
    "replay-decisions",
    *("demo", "run", "enroll", "people", "forget", "rename", "identify", "watch", "cameras", "snapshot"),
    *("compare", "crop"),
    "doctor",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"visaged {command}" in shown.split("Example", 1)[1]


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line([]) == 0
    assert "visaged demo" in capsys.readouterr().out


@pytest.mark.parametrize("form", ["", "--json"])
def test_a_reader_that_goes_away_and_a_closed_stdout_are_no_failure(visaged: Shell, form: str) -> None:
    line = f"{sys.executable} -m daemon people --config {visaged.config} {form}"
    with Gallery.open(visaged.folder / "state" / "gallery.db") as gallery:
        reference = NewReference(np.ones(128, np.float32), "a-model", "a" * 64, "a.jpg", 1.0)
        gallery.add("Ann", [reference], 0)
    for command in (f"{line} | true", f"{line} >&-"):
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            capture_output=True,
            text=True,
            env=environment(),
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), command


def test_an_interrupted_command_exits_1(visaged: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(config: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("daemon.config_file.load", interrupt)
    assert visaged("people").code == 1


def test_a_snapshot_of_a_source_is_saved_and_can_be_annotated(visaged: Shell, tmp_path: Path) -> None:
    plain, drawn = tmp_path / "plain.png", tmp_path / "drawn.png"
    done = visaged("snapshot", SAMPLES, plain)
    assert done.code == 0, done.err
    assert visaged("snapshot", SAMPLES, drawn, "--annotated").code == 0
    first = cv2.imread(str(plain))
    second = cv2.imread(str(drawn))
    assert first is not None
    assert second is not None
    assert first.shape == second.shape
    assert (first != second).any()


def test_a_snapshot_that_cannot_be_taken_is_refused_in_one_line(visaged: Shell, tmp_path: Path) -> None:
    for arguments, told in (
        (("door", tmp_path / "x.png"), "no camera is named door; configured are webcam"),
        ((SAMPLES, tmp_path / "x.gif"), "must end in"),
        ((tmp_path / "nowhere" / "clip.mp4", tmp_path / "x.png"), "camera snapshot: "),
    ):
        done = visaged("snapshot", *arguments)
        assert done.code == 2
        assert told in done.err.splitlines()[-1]


def test_the_doctor_finds_all_well_but_the_webcam_that_is_not_there(visaged: Shell) -> None:
    done = visaged("doctor", "--json")
    findings = done.document
    assert {"versions", "device", "speed", "model", "gallery", "events", "control", "camera", "font"} <= {
        finding["check"] for finding in findings
    }
    broken = [finding for finding in findings if finding["status"] == "broken"]
    assert broken == []
    assert done.code == 0
    assert any("CPU" in finding["detail"] for finding in findings if finding["check"] == "device")


def test_the_doctor_exits_1_and_says_what_is_broken(visaged: Shell) -> None:
    state = visaged.folder / "state"
    state.mkdir()
    (state / "gallery.db").write_bytes(b"not a gallery" * 100)
    done = visaged("doctor", "--json", "--device", "cuda:77")
    broken = {finding["check"]: finding for finding in done.document if finding["status"] == "broken"}
    assert set(broken) == {"device", "gallery"}
    assert all(finding["advice"] for finding in broken.values())
    assert done.code == 1


def test_the_doctor_sees_a_gallery_of_another_model_and_weights_that_are_damaged(
    visaged: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Gallery.open(visaged.folder / "state" / "gallery.db") as gallery:
        reference = NewReference(np.ones(128, np.float32), "old-model", "a" * 64, "a.jpg", 1.0)
        gallery.add("Ann", [reference], 0)
    broken = [each for each in visaged("doctor", "--json").document if each["status"] == "broken"]
    assert [each["check"] for each in broken] == ["gallery"]
    assert "old-model" in broken[0]["detail"]

    def damaged(file: Path, digests: Sequence[str]) -> tuple[bytes, str]:
        raise ModelUnusable(f"{file}: damaged")

    monkeypatch.setattr("gallery.faces.models.read_one_of", damaged)
    done = visaged("doctor", "--json")
    broken = [each for each in done.document if each["status"] == "broken"]
    assert {each["check"] for each in broken} == {"model"}
    assert done.code == 1


def test_the_demo_names_both_and_one_unknown_and_leaves_nothing(tmp_path: Path) -> None:
    # As a service's shell has them; another daemon's gallery and socket would be there.
    elsewhere = {name: str(tmp_path / "else") for name in ("STATE_DIRECTORY", "RUNTIME_DIRECTORY")}
    done = subprocess.run(
        [sys.executable, "-m", "daemon", "demo", "--json"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**environment(), "TMPDIR": str(tmp_path), "HOME": str(tmp_path), **elsewhere},
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(set(line) == {"topic", "event"} for line in lines)
    assert [problems_of_event(line["topic"], line["event"]) for line in lines] == [[]] * len(lines)
    people = [
        (line["topic"].split("/")[2], line["event"]["data"]["person"])
        for line in lines
        if line["topic"].startswith("face/demo/")
    ]
    told = [(kind, person["name"] if person else None) for kind, person in people]
    assert sorted(told, key=str) == [
        ("left", "Barack Obama"),
        ("left", "Joe Biden"),
        ("left", None),
        ("recognized", "Barack Obama"),
        ("recognized", "Joe Biden"),
        ("unknown", None),
    ]
    assert not list(tmp_path.glob("visaged*"))
    assert not (tmp_path / "else").exists()


def test_the_demo_does_not_wait_for_a_daemon_that_has_died(tmp_path: Path) -> None:
    with (
        subprocess.Popen([sys.executable, "-c", ""]) as daemon,
        subscribe(f"ipc://{tmp_path}/events") as subscription,
    ):
        daemon.wait()
        assert list(while_running(daemon, subscription)) == []


def test_watch_prints_what_arrives_as_a_line_each_until_it_is_interrupted(visaged: Shell) -> None:
    from daemon import events
    from daemon.frame import CameraChange
    from daemon.publisher import Publisher

    bind = f"ipc://{visaged.folder}/events"
    command = [sys.executable, "-m", "daemon", "watch", "--json", "--config", str(visaged.config)]
    command += ["--topic", "camera/door/"]
    with (
        Publisher(bind) as publisher,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watcher,
    ):
        assert watcher.stdout is not None
        assert publisher.await_subscribers(1, threading.Event(), timeout_s=30)
        for camera in ("garden", "door"):
            publisher.send(events.camera(CameraChange(camera, "offline", "kein Anschluß")))
        line = json.loads(watcher.stdout.readline())
        watcher.send_signal(signal.SIGINT)
        assert watcher.wait(30) == 0
    assert line["topic"] == "camera/door/offline/"
    assert line["event"]["data"]["reason"] == "kein Anschluß"


def test_the_webcams_of_this_machine_are_listed(visaged: Shell) -> None:
    done = visaged("cameras", "--json")
    assert done.code == 0
    assert all("path" in webcam for webcam in done.document)


def test_webcams_are_told_with_their_numbers_as_numbers(
    visaged: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = Webcam(2, "/dev/video2", None, "USB camera", None)
    monkeypatch.setattr("daemon.devices.webcams", lambda: [camera])
    assert visaged("cameras", "--json").document == [asdict(camera)]
    assert "None" not in visaged("cameras").out


def test_watch_refuses_what_it_cannot_connect_to(visaged: Shell) -> None:
    done = visaged("watch", "--connect", "nonsense")
    assert done.code == 2
    assert "nonsense" in done.err
