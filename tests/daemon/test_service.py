"""The whole daemon: real processes, real sockets, real portraits."""

from __future__ import annotations

import json
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest

from daemon.client import Received, Subscription, subscribe
from daemon.control_client import RemoteGallery
from daemon.demo_clip import FRAMES, write_clip
from gallery.people import NewReference
from gallery.store import Gallery
from tests.conftest import REPOSITORY
from tests.daemon.running import Home, events_until, running, visaged

SAMPLES = REPOSITORY / "samples"
PICTURES = 1500
"""Of the long folder: at 25 a second, a minute."""


@pytest.fixture
def home() -> Iterator[Home]:
    """A folder with a short path: a socket's may have 107 bytes, pytest's own folders are longer."""
    with tempfile.TemporaryDirectory(prefix="visaged-") as folder:
        yield Home(Path(folder))


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's clip: three people come in one after the other."""
    file = tmp_path_factory.mktemp("clip") / "clip.avi"
    write_clip(SAMPLES, file)
    return file


@pytest.fixture(scope="session")
def long_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute of one small portrait, to be played like a live camera."""
    import cv2

    portrait = cv2.imread(str(SAMPLES / "eileen-collins.jpg"))
    assert portrait is not None
    folder = tmp_path_factory.mktemp("long")
    encoded, jpeg = cv2.imencode(".jpg", cv2.resize(portrait, (256, 256)))
    assert encoded
    for number in range(PICTURES):
        (folder / f"{number}.jpg").write_bytes(jpeg.tobytes())
    return folder


OF_THE_MAKING = ("decided", "latency_ms", "stale", "seq", "prev", "epoch")


def faces(events: list[Received]) -> list[Received]:
    return [event for event in events if event.topic.startswith("face/")]


@pytest.mark.timeout(400)
def test_a_waiting_subscriber_receives_every_face_of_every_frame_and_then_the_end(
    home: Home, clip: Path
) -> None:
    home = replace(home, cameras=(("demo", str(clip), False),), sightings=True)
    enrolled = visaged("enroll", "--config", home.config, "Joe Biden", SAMPLES / "joe-biden.jpg")
    assert enrolled.returncode == 0, enrolled.stderr
    with running(home, "--await-subscribers", "1") as daemon:
        first = events_until(home.endpoint, "daemon/stopping/")
        assert daemon.wait(10) == 0
    indices = Counter(event.data["frame"]["index"] for event in kind(first, "sighting"))
    assert sorted(indices) == list(range(FRAMES))
    # One more comes after each quarter of the clip, and is found within [tracker] motion_gap_s.
    assert [indices[number] for number in (0, FRAMES // 4 + 4, FRAMES // 2 + 4, FRAMES - 1)] == [1, 2, 3, 3]
    told = [(event.kind, event.person.name if event.person else None) for event in changes(first)]
    assert sorted(told, key=str) == [
        ("left", "Joe Biden"),
        ("left", None),
        ("left", None),
        ("recognized", "Joe Biden"),
        ("unknown", None),
        ("unknown", None),
    ]
    # Whether daemon/started/ is heard depends on who is quicker.
    topics = [event.topic for event in first if event.topic not in ("daemon/heartbeat/", "daemon/started/")]
    assert topics[0] == "camera/demo/online/"
    assert topics[-3:] == ["face/demo/left/", "camera/demo/ended/", "daemon/stopping/"]

    with running(home, "--await-subscribers", "1"):
        second = events_until(home.endpoint, "daemon/stopping/")
    assert repeatable(faces(first)) == repeatable(faces(second))


def kind(events: list[Received], wanted: str) -> list[Received]:
    return [event for event in faces(events) if event.kind == wanted]


def changes(events: list[Received]) -> list[Received]:
    return [event for event in faces(events) if event.kind != "sighting"]


def repeatable(events: list[Received]) -> list[str]:
    """What is the same each time a file is played, to the byte: all but the time of making and the journal's.

    Ids are told by the order in which they come, the frames' times by how long after the first they are.
    """
    ids: dict[str, str] = {}
    start = datetime.fromisoformat(events[0].data["captured"])
    told = []
    for event in events:
        data = {key: value for key, value in event.data.items() if key not in OF_THE_MAKING}
        for key in ("track", "stranger"):
            if data[key] is not None:
                data[key] = ids.setdefault(data[key], f"{key} {len(ids)}")
        for key in {"captured", "first", "last"} & data.keys():
            data[key] = str(datetime.fromisoformat(data[key]) - start)
        told.append(f"{event.topic} {json.dumps(data)}")
    return told


def test_a_running_daemon_sees_enrolment_and_removal_and_stops_in_order(
    home: Home, long_folder: Path
) -> None:
    home = replace(
        home,
        sightings=True,
        cameras=(("live", str(long_folder), True), ("gone", "rtsp://127.0.0.1:9/x", False)),
    )
    with (
        running(home, "--await-subscribers", "1") as daemon,
        subscribe(home.endpoint, topics=["face/live/", "camera/gone/"], timeout_s=30) as events,
    ):
        topics: set[str] = set()
        coming = noted(events, topics)
        first = next(event for event in coming if event.topic.startswith("face/"))
        assert first.data["distance"] is None
        with RemoteGallery(home.control) as remote:
            assert remote.model is not None
            encoding = np.zeros(128, np.float32)
            encoding[0] = 1.0
            remote.add("Eileen", [NewReference(encoding, remote.model, "e" * 64, "x.jpg", 1.0)], 0)
            enrolled = next(event for event in coming if event.data.get("distance") is not None)
            assert delay_s(enrolled) < 10.0
            assert remote.snapshot("live") is not None
            remote.forget("Eileen")
            next(event for event in coming if event.data.get("distance", 0) is None)
        if "camera/gone/offline/" not in topics:
            next(event for event in coming if event.topic == "camera/gone/offline/")
        # The camera that is not there was told once and has not disturbed the other.
        daemon.send_signal(signal.SIGTERM)
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(5) == 0
        rest = list(drained(events))
        log = daemon.stderr.read() if daemon.stderr else ""
    assert "camera gone: offline" in log
    assert "Traceback" not in log
    assert not home.control.exists()
    assert rest


def noted(events: Iterable[Received], topics: set[str]) -> Iterator[Received]:
    """The same; their topics are added to those."""
    for event in events:
        topics.add(event.topic)
        yield event


def drained(events: Subscription) -> Iterator[Received]:
    while event := events.receive(2):
        yield event


def delay_s(event: Received) -> float:
    """From now back to when the event was made: zero or so for one that was waited for."""
    return (datetime.now(UTC) - datetime.fromisoformat(event.time)).total_seconds()


def test_killed_for_good_it_takes_its_camera_processes_along_and_starts_again(
    home: Home, long_folder: Path
) -> None:
    home = replace(home, cameras=(("live", str(long_folder), True),))
    with running(home, "--await-subscribers", "1") as daemon:
        with subscribe(home.endpoint, timeout_s=30) as events:
            next(event for event in events if event.topic.startswith("face/"))
            children = children_of(daemon.pid)
            assert children
            daemon.kill()
            daemon.wait(5)
        deadline_s = time.monotonic() + 5
        while any(is_alive(child) for child in children):
            assert time.monotonic() < deadline_s, "a camera's process outlives the daemon"
            time.sleep(0.05)
    with running(home) as daemon:
        daemon.send_signal(signal.SIGINT)
        assert daemon.wait(5) == 0


def children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_what_cannot_start_is_refused_in_one_line_with_exit_code_2(home: Home, clip: Path) -> None:
    good = replace(home, cameras=(("demo", str(clip), False),))
    damaged = good.folder / "state" / "gallery.db"
    done = visaged("run", "--config", replace(good, extra="[encoder]\nthreshhold = 1.0\n").config)
    assert_refused(done, "encoder.threshhold: unknown key; did you mean threshold?")
    assert not damaged.exists()
    done = visaged("run", "--config", good.config, "--device", "cuda:77")
    assert_refused(done, "cuda:77 is not usable")
    done = visaged("run", "--config", good.config, "--source", "gopher://x")
    assert_refused(done, "gopher")
    done = visaged("run", "--config", good.config, "--source", str(clip), "--camera", "Front Door")
    assert_refused(done, "--camera: must be letters")
    done = visaged("run", "--config", good.config, "--camera", "door")
    assert_refused(done, "--camera names what --source gives")
    done = visaged("run", "--config", good.config, "--threshold", "3")
    assert_refused(done, "--threshold: must be less than 2")
    damaged.parent.mkdir(exist_ok=True)
    damaged.write_bytes(b"not a database, " * 1000)
    assert_refused(visaged("run", "--config", good.config), "gallery.db")
    assert damaged.read_bytes().startswith(b"not a database")


def test_a_second_daemon_on_the_same_state_is_refused(home: Home, long_folder: Path) -> None:
    home = replace(home, cameras=(("live", str(long_folder), True),))
    with running(home, "--await-subscribers", "1"):
        assert_refused(visaged("run", "--config", home.config), "taken")


def test_a_gallery_of_another_model_is_refused_at_the_start(home: Home, clip: Path) -> None:
    home = replace(home, cameras=(("demo", str(clip), False),))
    with Gallery.open(home.folder / "state" / "gallery.db") as gallery:
        gallery.add("ann", [NewReference(np.ones(128, np.float32), "old-model", "a" * 64, "a.jpg", 1.0)], 0)
    assert_refused(visaged("run", "--config", home.config), "old-model")


def assert_refused(done: CompletedProcess[str], told: str) -> None:
    assert done.returncode == 2, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("visaged: ")
    assert told in last
    assert "Traceback" not in done.stderr


def test_events_on_a_public_address_need_an_explicit_word(home: Home, clip: Path) -> None:
    file = home.folder / "open.toml"
    file.write_text(home.config.read_text().replace(home.endpoint, "tcp://0.0.0.0:5999"))
    assert_refused(visaged("run", "--config", file, "--source", str(clip)), "--insecure")
    assert not (home.folder / "state").exists()
