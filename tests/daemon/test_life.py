"""People enrolled from life: the real daemon on clips that play like cameras, and the real commands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest

from daemon.cli.sitting_screen import ASKED
from daemon.control_client import RemoteGallery
from daemon.errors import UsageError
from daemon.life_client import Life
from tests.daemon.asking import asker
from tests.daemon.running import Home, environment, running, visaged

PICTURES = 30_000
"""At 25 a second, twenty minutes: on a busy machine the tests take their time."""
REPEATED = 2
"""The clips have 12.5 frames a second."""
PATIENCE_S = 120.0

pytestmark = pytest.mark.timeout(600)


def play_for_ever(clip: Path, folder: Path) -> Path:
    """The clip forwards and backwards, again and again, as a folder of links to its pictures."""
    originals = folder.with_name(folder.name + "-originals")
    for each in (folder, originals):
        each.mkdir()
    video, pictures = cv2.VideoCapture(str(clip)), list[Path]()
    while (read := video.read())[0]:
        pictures.append(originals / f"{len(pictures):03}.jpg")
        cv2.imwrite(str(pictures[-1]), read[1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    there_and_back = [*pictures, *reversed(pictures)]
    for number in range(PICTURES):
        os.link(there_and_back[number // REPEATED % len(there_and_back)], folder / f"{number:05}.jpg")
    return folder


@pytest.fixture(scope="module")
def home(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A woman who turns her head, a man who looks straight, and both of them; nobody is enrolled."""
    clips, played = shared_data / "fixtures" / "clips", tmp_path_factory.mktemp("played")
    sources = {
        "woman": str(play_for_ever(clips / "headpose_woman.mp4", played / "woman")),
        "man": str(play_for_ever(clips / "headpose_man.mp4", played / "man")),
        "both": str(play_for_ever(clips / "headpose_woman_and_man.mp4", played / "both")),
        "away": "rtsp://127.0.0.1:9/away",
    }
    with tempfile.TemporaryDirectory(prefix="visaged-") as folder:
        yield Home(Path(folder), cameras=tuple((name, source, True) for name, source in sources.items()))


@pytest.fixture(scope="module")
def daemon(home: Home) -> Iterator[subprocess.Popen[str]]:
    """Runs, and has told of the woman and of the man."""
    with running(home) as process:
        await_events(home, "face/woman/unknown/", "face/man/unknown/")
        yield process


@pytest.fixture
def own_home(home: Home) -> Iterator[Home]:
    """The man alone, before a daemon that no other test needs."""
    with tempfile.TemporaryDirectory(prefix="visaged-") as folder:
        yield Home(Path(folder), cameras=tuple(each for each in home.cameras if each[0] == "man"))


def journal(home: Home, *topics: str) -> list[dict[str, Any]]:
    with asker(home.replay) as socket:
        return socket.replay(topics=topics or ("face/",))


def await_events(home: Home, *topics: str, after: int = 0) -> list[dict[str, Any]]:
    """Those of these topics, once there is one of each that is later than a number."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        found = [each for each in journal(home, *topics) if each["data"]["seq"] > after]
        if {each["type"].rpartition(".")[2] + str(each["subject"]) for each in found} == {
            topic.split("/")[2] + topic.split("/")[1] for topic in topics
        }:
            return found
        assert time.monotonic() < deadline_s, [each["type"] for each in journal(home)]
        time.sleep(0.3)


def head(home: Home) -> int:
    with asker(home.replay) as socket:
        return int(socket.ask(op="head")["head"])


def enrol(home: Home, name: str, camera: str) -> tuple[int, dict[str, Any]]:
    """Exit code and document of `enroll NAME --camera CAMERA --json`."""
    done = visaged("enroll", name, "--camera", camera, "--json", "--config", home.config)
    assert done.returncode < 2, done.stderr
    return done.returncode, json.loads(done.stdout)


def known(home: Home) -> list[dict[str, Any]]:
    with RemoteGallery(home.control) as remote:
        return Life(remote).strangers()


def people(home: Home) -> dict[str, int]:
    with RemoteGallery(home.control) as remote:
        return {each.name: each.references for each in remote.people()}


def processed(home: Home, camera: str) -> int:
    with RemoteGallery(home.control) as remote:
        beat = remote.status()["heartbeat"]
    return sum(each["frames_processed"] for each in beat["cameras"] if each["name"] == camera)


@pytest.fixture(scope="module")
def wilma(home: Home, daemon: subprocess.Popen[str]) -> dict[str, Any]:
    """Enrolled from the camera that shows her; what the command said of it, and when it began."""
    before, frames, began_s = head(home), processed(home, "man"), time.monotonic()
    code, document = enrol(home, "Wilma", "woman")
    took_s = time.monotonic() - began_s
    assert code == 0, document
    return {**document, "before": before, "took_s": took_s, "frames": processed(home, "man") - frames}


def test_somebody_is_enrolled_from_life_by_the_best_of_several_poses(
    home: Home, wilma: dict[str, Any]
) -> None:
    pictures = [each["image"] for each in wilma["enrolled"]]
    assert {"woman, left", "woman, right"} <= set(pictures)
    assert 3 <= len(pictures) <= 8
    assert {each["person"]["name"] for each in wilma["enrolled"]} == {"Wilma"}
    assert people(home)["Wilma"] == len(pictures)
    with RemoteGallery(home.control) as remote:
        assert all(each.quality >= 0.4 for each in remote.references("Wilma"))


def test_the_trail_says_before_which_camera(home: Home, wilma: dict[str, Any]) -> None:
    with RemoteGallery(home.control) as remote:
        entries = remote.ask("trail", person="Wilma", since_unix_ns=0, limit=10)["entries"]
    assert entries[0]["what"] == "enrolled"
    assert entries[0]["detail"] == {"references": len(wilma["enrolled"]), "camera": "woman"}


def test_other_cameras_are_watched_meanwhile(wilma: dict[str, Any]) -> None:
    # At 25 a second on a machine with room; it would be none if a sitting held the daemon up.
    assert wilma["frames"] > 20


def test_who_was_unknown_is_recognized_at_the_next_look(home: Home, wilma: dict[str, Any]) -> None:
    found = await_events(home, "face/woman/recognized/", after=wilma["before"])
    assert found[0]["data"]["person"]["name"] == "Wilma"
    unknown = [each["data"]["track"] for each in journal(home, "face/woman/unknown/")]
    assert found[0]["data"]["track"] in unknown


def test_two_faces_are_asked_to_be_alone_and_refused(home: Home, daemon: subprocess.Popen[str]) -> None:
    code, document = enrol(home, "Nobody", "both")
    assert code == 1
    assert document["enrolled"] == []
    assert [each["reason"] for each in document["refused"]] == ["several_faces"]
    assert "alone" in document["refused"][0]["detail"]
    assert "Nobody" not in people(home)


def test_somebody_elses_face_is_not_added_to_a_person(home: Home, wilma: dict[str, Any]) -> None:
    before = people(home)["Wilma"]
    code, document = enrol(home, "Wilma", "man")
    assert (code, document["enrolled"]) == (1, [])
    assert {each["reason"] for each in document["refused"]} <= {"outlier", "nearer_to_other"}
    assert people(home)["Wilma"] == before


def test_who_is_enrolled_is_not_enrolled_under_another_name(home: Home, wilma: dict[str, Any]) -> None:
    code, document = enrol(home, "Wanda", "woman")
    assert (code, document["enrolled"]) == (1, [])
    assert {each["reason"] for each in document["refused"]} <= {
        "same_person",
        "look_alikes",
        "nearer_to_other",
    }
    assert all("Wilma" in each["detail"] for each in document["refused"])
    assert "Wanda" not in people(home)


@pytest.mark.parametrize(
    ("camera", "said"),
    [("nowhere", "it has woman, man, both, away"), ("away", "camera away is ")],
)
def test_a_camera_that_is_not_there_is_one_line(
    home: Home, daemon: subprocess.Popen[str], camera: str, said: str
) -> None:
    done = visaged("enroll", "Mick", "--camera", camera, "--config", home.config)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def begun(home: Home) -> subprocess.Popen[str]:
    """A sitting of the man's, that has asked for something."""
    arguments = ["enroll", "Vera", "--camera", "man", "--config", str(home.config)]
    command = [sys.executable, "-m", "daemon", *arguments]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    )
    assert process.stderr is not None
    # Of a command that is slow to begin, the first pose may be past.
    while (line := process.stderr.readline()).strip() not in ASKED.values():
        assert line, process.communicate()
    return process


def test_ctrl_c_leaves_nothing_enrolled_and_the_camera_free(
    home: Home, daemon: subprocess.Popen[str]
) -> None:
    for _ in range(2):
        process = begun(home)
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 1, err
        assert "nothing was enrolled" in err
        assert out == ""
    assert "Vera" not in people(home)


def test_on_a_terminal_the_pose_the_quality_and_the_time_left_are_drawn_in_place(
    home: Home, daemon: subprocess.Popen[str]
) -> None:
    arguments = ["enroll", "Vera", "--camera", "man", "--config", str(home.config)]
    ours, theirs = os.openpty()
    terminal = {**environment(), "TERM": "xterm-256color", "COLUMNS": "100"}
    with subprocess.Popen(
        [sys.executable, "-m", "daemon", *arguments], stderr=theirs, stdout=subprocess.PIPE, env=terminal
    ) as process:
        os.close(theirs)
        seen, deadline_s = "", time.monotonic() + PATIENCE_S
        while "straight ●" not in seen:
            assert time.monotonic() < deadline_s, seen
            seen += os.read(ours, 65536).decode(errors="replace")
        process.send_signal(signal.SIGINT)
        while b"nothing was enrolled" not in (last := os.read(ours, 65536)):
            assert last
        assert process.wait(30) == 1
    os.close(ours)
    # Of a command that is slow to begin, the first pose may be past.
    assert any(asked in seen for asked in ASKED.values())
    assert "quality" in seen
    assert "s left" in seen


def test_one_camera_has_one_sitting(home: Home, daemon: subprocess.Popen[str]) -> None:
    command = [sys.executable, "-m", "daemon", "enroll", "Ben", "--camera", "man"]
    with RemoteGallery(home.control) as remote:
        life = Life(remote)
        sitting = life.begin("man", "Vera")
        second = subprocess.Popen(
            [*command, "--config", str(home.config)], stderr=subprocess.PIPE, text=True, env=environment()
        )
        # However long the command takes to begin: who asks keeps the camera.
        while second.poll() is None:
            life.look(sitting)
            time.sleep(0.1)
        life.leave(sitting)
    _, err = second.communicate()
    assert second.returncode == 2
    assert "somebody else is being enrolled" in err


def test_who_was_killed_does_not_keep_the_camera(home: Home, daemon: subprocess.Popen[str]) -> None:
    process = begun(home)
    process.kill()
    process.communicate()
    deadline_s = time.monotonic() + PATIENCE_S
    while "somebody else" in (again := begun_or_refused(home)):
        assert time.monotonic() < deadline_s
    assert "Vera" not in people(home)
    assert again == ""


def begun_or_refused(home: Home) -> str:
    with RemoteGallery(home.control) as remote:
        life = Life(remote)
        try:
            life.leave(life.begin("man", "Ben"))
        except UsageError as error:
            return str(error)
    return ""


def test_without_a_daemon_that_is_said(tmp_path: Path) -> None:
    home = Home(tmp_path)
    for command in (["enroll", "Ann", "--camera", "door"], ["strangers"], ["name", "1", "Ann"]):
        done = visaged(*command, "--config", home.config)
        assert done.returncode == 2
        assert "no daemon is running" in done.stderr


def test_a_stranger_is_listed_named_and_what_was_told_is_referred_to(
    home: Home, daemon: subprocess.Popen[str]
) -> None:
    (told, *_) = journal(home, "face/man/unknown/")
    listed = visaged("strangers", "--json", "--config", home.config)
    assert listed.returncode == 0, listed.stderr
    (row,) = [each for each in json.loads(listed.stdout) if each["id"] == told["data"]["stranger"]]
    assert row["stays"] >= 1
    assert row["samples"] >= 1
    assert row["first_seen"] <= row["last_seen"]
    before = head(home)
    terms = ("--consent", "consent:form 12")
    done = visaged("name", str(row["number"]), "Mick", *terms, "--json", "--config", home.config)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert len(document["enrolled"]) == people(home)["Mick"]
    with RemoteGallery(home.control) as remote:
        noted = remote.ask("terms")[document["enrolled"][0]["person"]["id"]]
    assert (noted["consent_basis"], noted["consent_reference"]) == ("consent", "form 12")
    named, *rest = await_events(home, "face/man/named/", after=before)
    assert rest == []
    data = named["data"]
    assert data["person"]["name"] == "Mick"
    assert (data["stranger"], data["references"]) == (row["id"], people(home)["Mick"])
    stored = {each["data"]["seq"]: each for each in journal(home)}
    assert told["data"]["seq"] in [each["seq"] for each in data["events"]]
    for each in data["events"]:
        before_that = stored[each["seq"]]
        assert (before_that["id"], before_that["subject"]) == (each["id"], "man")
        assert before_that["data"]["stranger"] == row["id"]
        assert before_that["data"]["track"] == each["track"]
    recognized = await_events(home, "face/man/recognized/", after=before)
    assert recognized[0]["data"]["person"]["name"] == "Mick"
    assert recognized[0]["data"]["track"] in data["tracks"]
    assert row["id"] not in {each["id"] for each in known(home)}


def test_more_of_the_same_person_is_added_and_the_same_again_is_refused(
    home: Home, wilma: dict[str, Any]
) -> None:
    before = people(home)["Wilma"]
    code, document = enrol(home, "Wilma", "woman")
    # It plays the same pictures again, so that most are duplicates; what is taken is a different one.
    assert {each["reason"] for each in document["refused"]} <= {"duplicate", "low_quality"}
    assert people(home)["Wilma"] == before + len(document["enrolled"])
    assert code == (0 if document["enrolled"] else 1)


def test_what_is_remembered_is_forgotten_at_a_word_and_with_the_daemon(own_home: Home) -> None:
    with running(own_home) as daemon:
        await_events(own_home, "face/man/unknown/")
        assert len(known(own_home)) == 1
        done = visaged("strangers", "--forget", "--json", "--config", own_home.config)
        assert done.returncode == 0, done.stderr
        assert len(json.loads(done.stdout)["forgotten"]) == 1
        done = visaged("name", "1", "Somebody", "--config", own_home.config)
        assert done.returncode == 2
        assert "no such stranger is remembered" in done.stderr
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(60)
    with running(own_home, "--await-subscribers", "1"):
        assert known(own_home) == []
