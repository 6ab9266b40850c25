"""Forgetting by a running daemon: who is in view loses the name first, and then nothing is left anywhere."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from daemon.client import Subscription, subscribe
from daemon.control_client import RemoteGallery, is_running
from gallery import forgetting
from gallery.store import Gallery
from tests.conftest import REPOSITORY
from tests.daemon.asking import asker
from tests.daemon.journaling import kept
from tests.daemon.remembering import State, traces
from tests.daemon.running import START_TIMEOUT_S, Home, environment, running, visaged

COLLINS, OBAMA = (REPOSITORY / "samples" / f"{name}.jpg" for name in ("eileen-collins", "barack-obama"))
PICTURES = 6_000
"""At 25 a second, four minutes."""
NAME, EARLIER, OTHER = '에일린 "Ei" Collins', "Eileen-Marie", "에일린"
pytestmark = pytest.mark.timeout(500)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """One portrait before a camera for four minutes; she is enrolled, with pictures kept, and so is he."""
    import cv2

    portrait = cv2.imread(str(COLLINS))
    assert portrait is not None
    encoded, jpeg = cv2.imencode(".jpg", cv2.resize(portrait, (256, 256)))
    assert encoded
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(PICTURES):
        (pictures / f"{number:04}.jpg").write_bytes(jpeg.tobytes())
    with tempfile.TemporaryDirectory(prefix="visaged-") as folder:
        home = Home(Path(folder), cameras=(("door", str(pictures), True),), crops=True)
        assert visaged("enroll", "--config", home.config, EARLIER, COLLINS).returncode == 0
        assert visaged("enroll", "--config", home.config, OTHER, OBAMA).returncode == 0
        yield home


def state_of(home: Home) -> State:
    return State(home.folder / "state")


def encodings_of(home: Home, name: str) -> NDArray[np.float32]:
    with Gallery.open(state_of(home).gallery) as gallery:
        return np.stack([reference.encoding for reference in gallery.references(name)])


def id_of(home: Home, name: str) -> str:
    with Gallery.open(state_of(home).gallery) as gallery:
        return gallery.person(name).id


def test_who_is_in_view_is_corrected_first_and_then_no_file_holds_name_or_encoding(home: Home) -> None:
    gone, person_id = encodings_of(home, EARLIER), id_of(home, EARLIER)
    config = home.config
    with (
        running(home, "--await-subscribers", "1"),
        subscribe(
            home.endpoint, topics=["face/door/", "daemon/forgotten/", "crop/"], timeout_s=100
        ) as events,
        asker(home.replay) as peer,
    ):
        first = next(event for event in events if event.topic.startswith("face/"))
        assert (first.kind, first.data["person"]) == ("recognized", {"id": person_id, "name": EARLIER})
        assert visaged("rename", "--config", config, EARLIER, NAME).returncode == 0
        before = peer.replay(after=0)
        done = visaged("forget", "--config", config, NAME, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        (receipt,) = json.loads(done.stdout)["forgotten"]
        assert (receipt["id"], receipt["verified"], receipt["left"]) == (person_id, True, [])
        assert receipt["events"] >= 2
        # The daemon runs on, and holds every file open.
        assert traces(state_of(home).files(), (NAME, EARLIER), gone) == []
        heard = [next(events)]
        while heard[-1].topic != "daemon/forgotten/":
            heard.append(next(events))
        told = [event for event in heard if event.topic.startswith("face/")]
        corrected = told[-1] if told[-1].kind == "corrected" else told[0]
        assert (corrected.kind, corrected.data["person"]) == ("corrected", None)
        assert corrected.data["previous"]["id"] == person_id
        assert corrected.data["previous"]["name"] in (EARLIER, NAME)
        assert heard[-1].data["id"] == person_id
        assert heard[-1].data["verified"]
        after = peer.replay(after=0)
        present = peer.ask(op="present")["cameras"]["door"]
    assert [face["person"] for face in present] == [None]
    assert [event["data"]["seq"] for event in after] == list(range(1, len(after) + 1))
    for old, new in zip(before, after, strict=False):
        assert (old["id"], old["data"]["prev"]) == (new["id"], new["data"]["prev"])
    assert EARLIER not in json.dumps(after, ensure_ascii=False)
    assert traces(state_of(home).files(), (NAME, EARLIER), gone) == []
    (entry,) = [each for each in entries(home) if each.what == "forgotten"]
    assert (entry.person_id, entry.detail["left"]) == (person_id, 0)


def entries(home: Home) -> list[Any]:
    with Gallery.open(state_of(home).gallery) as gallery:
        return gallery.trail()


def test_a_daemon_that_was_killed_on_the_way_goes_on_with_it_at_its_next_start(home: Home) -> None:
    gone, person_id = encodings_of(home, EARLIER), id_of(home, EARLIER)
    config = home.config
    with running(home, "--await-subscribers", "1") as daemon:
        with subscribe(home.endpoint, topics=["face/door/"], timeout_s=100) as events:
            assert next(events).data["person"]["id"] == person_id
        with RemoteGallery(home.control) as remote:
            assert remote.forget(EARLIER) == person_id
        daemon.kill()
        daemon.wait(10)
    with running(home, "--await-subscribers", "1"):
        # Also before a single camera is open.
        deadline_s = time.monotonic() + 60
        while not any(each.what == "forgotten" for each in entries(home)):
            assert time.monotonic() < deadline_s
            time.sleep(0.1)
        assert traces(state_of(home).files(), (EARLIER,), gone) == []
        assert visaged("people", "--config", config, "--json").returncode == 0
    stored = kept(state_of(home).journal)
    assert [event["data"]["seq"] for event in stored] == list(range(1, len(stored) + 1))


def test_whose_time_is_up_is_forgotten_by_the_daemon_itself(home: Home) -> None:
    gone, person_id = encodings_of(home, EARLIER), id_of(home, EARLIER)
    with closing(sqlite3.connect(state_of(home).gallery, isolation_level=None)) as connection:
        connection.execute("UPDATE person SET expires_unix_ns = ? WHERE id = ?", (time.time_ns(), person_id))
    with (
        running(home, "--await-subscribers", "1"),
        subscribe(home.endpoint, replay=home.replay, topics=["daemon/forgotten/"], timeout_s=100) as events,
    ):
        told = next(events)
        assert (told.data["id"], told.data["why"], told.data["verified"]) == (person_id, "expired", True)
        assert traces(state_of(home).files(), (EARLIER,), gone) == []
    assert [each.what for each in entries(home)][-1] == "expired"


def test_forgotten_where_no_daemon_runs_after_it_had_run(home: Home) -> None:
    gone, person_id = encodings_of(home, EARLIER), id_of(home, EARLIER)
    config = home.config
    with running(home, "--await-subscribers", "1"), listening(home, "face/door/") as events:
        assert next(events).data["person"]["name"] == EARLIER
    # Killed: its log was not moved into the journal.
    assert traces(state_of(home).files(), (EARLIER,), gone)
    done = visaged("forget", "--config", config, EARLIER)
    assert done.returncode == 0, done.stdout + done.stderr
    assert EARLIER not in done.stdout
    assert traces(state_of(home).files(), (EARLIER,), gone) == []
    assert visaged("forget", "--config", config, EARLIER).returncode == 2
    assert owed(home) == [person_id]
    # The next daemon tells it, also whoever listens to it later.
    with running(home, "--await-subscribers", "9"):
        until_nothing_is_owed(home)
        with listening(home, "daemon/forgotten/") as events:
            told = next(events)
        assert (told.data["id"], told.data["why"], told.data["verified"]) == (person_id, "asked", True)
        assert traces(state_of(home).files(), (EARLIER,), gone) == []
    assert len(kept(state_of(home).journal, ["daemon/forgotten/"])) == 1


def test_what_another_process_has_finished_beside_the_daemon_is_told_at_a_sighup(home: Home) -> None:
    with (
        running(home, "--await-subscribers", "1") as daemon,
        # Less than it takes until the daemon looks by itself.
        subscribe(home.endpoint, topics=["face/door/", "daemon/forgotten/"], timeout_s=40) as events,
    ):
        next(events)
        with Gallery.open(state_of(home).gallery) as gallery:
            person_id = gallery.person(OTHER).id
            begun = forgetting.begin(gallery, person_id, "asked", time.time_ns())
            forgetting.finish(gallery, begun, events=0, files=1, left=0)
        daemon.send_signal(signal.SIGHUP)
        told = next(event for event in events if event.topic == "daemon/forgotten/")
        assert told.data["id"] == person_id
        until_nothing_is_owed(home)


def listening(home: Home, topic: str) -> Subscription:
    """Goes on where it stopped the last time."""
    cursor = home.folder / "cursor"
    return subscribe(home.endpoint, replay=home.replay, topics=[topic], cursor=cursor, timeout_s=100)


def owed(home: Home) -> list[str]:
    with Gallery.open(state_of(home).gallery) as gallery:
        return [each.person_id for each in forgetting.owed(gallery)]


def until_nothing_is_owed(home: Home) -> None:
    deadline_s = time.monotonic() + 60
    while owed(home):
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


DYING = """
import os, signal, sys
from gallery import forgetting
step = sys.argv.pop(1)
real = getattr(forgetting, step)
def die(*arguments):
    if step == "finish":
        real(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(forgetting, step, die)
from daemon.__main__ import main
main()
"""


@pytest.mark.parametrize(("step", "before"), [("finish", 0), ("told", 1)])
def test_a_daemon_that_is_killed_between_the_end_and_the_telling_owes_it_to_the_next(
    home: Home, step: str, before: int
) -> None:
    person_id, journal = id_of(home, EARLIER), state_of(home).journal
    command = [sys.executable, "-c", DYING, step, "run", "--config", str(home.config)]
    daemon = subprocess.Popen([*command, "--await-subscribers", "9"], env=environment())
    try:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not is_running(home.control):
            assert daemon.poll() is None
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        with RemoteGallery(home.control) as remote:
            assert remote.forget(EARLIER) == person_id
        assert daemon.wait(100) == -signal.SIGKILL
    finally:
        daemon.kill()
        daemon.wait()
    assert [each.what for each in entries(home)][-1] == "forgotten"
    assert owed(home) == [person_id]
    assert len(kept(journal, ["daemon/forgotten/"])) == before
    with running(home, "--await-subscribers", "9"):
        until_nothing_is_owed(home)
    told = kept(journal, ["daemon/forgotten/"])
    # Rather twice than never.
    assert [event["data"]["id"] for event in told] == [person_id] * (before + 1)
    assert len({event["id"] for event in told}) == before + 1
