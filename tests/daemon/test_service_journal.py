"""The whole daemon and its journal: numbers go on, what was missed can be had, nothing holds up its end."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.client import subscribe
from tests.conftest import REPOSITORY
from tests.daemon.asking import Asker, asker
from tests.daemon.journaling import kept
from tests.daemon.running import Home, events_until, running, visaged

STOP_S = 5
"""DESIGN: how soon the daemon has to have stopped."""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """One portrait before a camera for eight seconds; a folder with a path short enough for a socket."""
    import cv2

    portrait = cv2.imread(str(REPOSITORY / "samples" / "eileen-collins.jpg"))
    assert portrait is not None
    encoded, jpeg = cv2.imencode(".jpg", cv2.resize(portrait, (256, 256)))
    assert encoded
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(200):
        (pictures / f"{number:03}.jpg").write_bytes(jpeg.tobytes())
    with tempfile.TemporaryDirectory(prefix="visaged-") as folder:
        yield Home(Path(folder), cameras=(("door", str(pictures), True),))


@pytest.mark.timeout(300)
def test_every_event_is_stored_and_numbers_go_on_after_a_restart_and_after_a_kill(home: Home) -> None:
    with running(home, "--await-subscribers", "1") as daemon:
        first = events_until(home.endpoint, "daemon/stopping/")
        assert daemon.wait(10) == 0
    journal = home.folder / "state" / "journal.db"
    stored = kept(journal)
    assert [event["data"]["seq"] for event in stored] == list(range(1, len(stored) + 1))
    kinds = [event["type"].removeprefix("visaged.") for event in stored]
    assert (kinds[0], kinds[-1]) == ("daemon.started", "daemon.stopping")
    assert {"camera.online", "face.unknown", "face.left", "camera.ended"} <= set(kinds)
    # They came as they are stored, the first one perhaps before anybody listened.
    assert [event.event for event in first if event.data["durable"]] in (stored, stored[1:])
    beats = [event.data for event in first if event.kind == "heartbeat"]
    assert all(beat["journal"]["ok"] and beat["oldest"] == 1 for beat in beats)

    with running(home, "--await-subscribers", "1") as daemon, asker(home.replay) as peer:
        with subscribe(home.endpoint, topics=["face/door/unknown/"], timeout_s=60) as events:
            (unknown,) = [next(events)]
        assert unknown.data["prev"] == kinds.index("face.left") + 1
        present = peer.ask(op="present")
        assert present["head"] >= unknown.data["seq"] > len(stored) + 1
        assert [face["track"] for face in present["cameras"]["door"]] == [unknown.track]
        missed = peer.replay(after=len(stored))
        assert unknown.event in missed
        daemon.kill()
        daemon.wait(10)
    stored += kept(journal)[len(stored) :]
    assert stored[len(kinds) : len(kinds) + len(missed)] == missed
    assert len({event["data"]["epoch"] for event in stored}) == 2

    with running(home, "--await-subscribers", "1") as daemon, asker(home.replay) as peer:
        (started,) = first_of(peer, after=len(stored))
        assert started["topic"] == "daemon/started/"
        assert started["event"]["data"]["seq"] == len(stored) + 1
        assert started["event"]["data"]["prev"] == len(kinds) + 1
        assert peer.ask(op="present")["cameras"] == {"door": []}
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(STOP_S) == 0


def first_of(peer: Asker, after: int) -> list[Any]:
    """The next event, as soon as there is one."""
    for _ in range(600):
        found = peer.ask(op="replay", after=after, limit=1)["events"]
        if found:
            return list(found)
        time.sleep(0.05)
    return []


def test_a_subscriber_that_stands_still_does_not_hold_up_the_end(home: Home) -> None:
    program = (
        "import sys, zmq\ns = zmq.Context().socket(zmq.SUB)\ns.set(zmq.RCVHWM, 1)\n"
        "s.connect(sys.argv[1])\ns.subscribe('')\ns.recv()\nprint('here', flush=True)\n"
        "while True: s.recv_multipart()\n"
    )
    with running(home, "--await-subscribers", "1") as daemon:
        command = [sys.executable, "-c", program, home.endpoint]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as stuck:
            try:
                assert stuck.stdout is not None
                assert stuck.stdout.readline() == "here\n"
                stuck.send_signal(signal.SIGSTOP)
                time.sleep(2)
                daemon.send_signal(signal.SIGTERM)
                assert daemon.wait(STOP_S) == 0
            finally:
                stuck.send_signal(signal.SIGCONT)
                stuck.kill()
    assert kept(home.folder / "state" / "journal.db")[-1]["type"] == "visaged.daemon.stopping"


def test_a_journal_that_can_not_be_written_does_not_keep_it_from_working(home: Home) -> None:
    journal = home.folder / "no" / "journal.db"
    (home.folder / "no").write_text("a file where the folder should be")
    home = replace(home, extra=f"[journal]\npath = '{journal}'\n")
    with running(home, "--await-subscribers", "1") as daemon:
        events = events_until(home.endpoint, "daemon/stopping/")
        assert daemon.wait(10) == 0
        assert daemon.stderr is not None
        log = daemon.stderr.read()
    assert {"face/door/unknown/", "camera/door/ended/"} <= {event.topic for event in events}
    assert not any(event.data["durable"] for event in events)
    assert {event.data["journal"]["ok"] for event in events if event.kind == "heartbeat"} == {False}
    assert log.count("published without being stored") == 1
    assert "Traceback" not in log


def test_what_can_not_start_says_so_in_one_line(home: Home) -> None:
    (home.folder / "state").mkdir(mode=0o700)
    journal = home.folder / "state" / "journal.db"
    journal.write_text("somebody's notes")
    done = visaged("run", "--config", home.config)
    assert (done.returncode, done.stderr.strip().splitlines()[-1]) == (
        2,
        f"visaged: {journal}: another program's file; [journal] path must name a journal's file",
    )
    assert journal.read_text() == "somebody's notes"
    journal.unlink()
    file = home.folder / "clash.toml"
    file.write_text(home.config.read_text().replace("/replay", "/events"))
    done = visaged("run", "--config", file)
    assert done.returncode == 2
    assert "taken" in done.stderr
    assert "Traceback" not in done.stderr
