"""Pictures of faces as a real subscriber gets them of the real daemon, and as nobody else does."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import zmq
from numpy.typing import NDArray

from daemon.demo_clip import write_clip
from tests.conftest import REPOSITORY
from tests.daemon.running import Home, running, visaged

SAMPLES = REPOSITORY / "samples"
WAIT_MS = 60_000


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people, one of them enrolled."""
    file = tmp_path_factory.mktemp("clip") / "clip.avi"
    write_clip(SAMPLES, file)
    return file


@pytest.fixture(params=[True, False], ids=["crops", "no crops"])
def home(request: pytest.FixtureRequest, clip: Path) -> Iterator[Home]:
    with tempfile.TemporaryDirectory(prefix="visaged-") as folder:
        made = Home(Path(folder), cameras=(("demo", str(clip), False),), crops=request.param)
        done = visaged("enroll", "--config", made.config, "Joe Biden", SAMPLES / "joe-biden.jpg")
        assert done.returncode == 0, done.stderr
        yield made


def until_the_end(sub: zmq.Socket[bytes]) -> list[list[bytes]]:
    messages: list[list[bytes]] = []
    while not messages or messages[-1][0] != b"daemon/stopping/":
        assert sub.poll(WAIT_MS), [message[0] for message in messages]
        messages.append(sub.recv_multipart())
    return messages


def test_whoever_asks_for_crops_gets_the_face_that_is_told_of_and_nobody_else_gets_any(
    home: Home, clip: Path
) -> None:
    with (
        running(home, "--await-subscribers", "2") as daemon,
        zmq.Context() as context,
        context.socket(zmq.SUB) as all_,
        context.socket(zmq.SUB) as faces,
    ):
        for each, topic in ((all_, ""), (faces, "face/")):
            each.set(zmq.LINGER, 0)
            each.subscribe(topic)
            each.connect(home.endpoint)
        faces.subscribe("daemon/stopping/")
        messages, of_faces = until_the_end(all_), until_the_end(faces)
        assert daemon.wait(20) == 0
    assert all(len(message) == 2 for message in of_faces)
    lives = [message for message in messages if message[0].startswith(b"face/")]
    crops = [message for message in messages if message[0].startswith(b"crop/")]
    assert [message[0] for message in of_faces[:-1]] == [message[0] for message in lives]
    assert len(lives) >= 6
    assert len(crops) == (len(lives) if home.crops else 0)
    frames = read_frames(clip)
    for crop in crops:
        check_crop(crop, messages[messages.index(crop) - 1], frames)
    check_journal(home)


def check_crop(crop: list[bytes], before: list[bytes], frames: list[NDArray[np.uint8]]) -> None:
    """It belongs to the event just before it, and shows that face."""
    topic, text, picture = crop
    told, data = json.loads(before[1]), json.loads(text)["data"]
    assert topic.decode() == f"crop/demo/{told['data']['track']}/"
    assert data["event"] == told["id"]
    assert data["person"] == told["data"]["person"]
    assert (data["seq"], data["prev"], data["durable"]) == (None, None, False)
    if data["state"] != "left":
        assert data["frame"] == told["data"]["frame"]
        assert data["box"] == told["data"]["box"]
    assert data["bytes"] == len(picture) <= 65_536
    decoded = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape == (data["height"], data["width"], 3)
    left, top, right, bottom = data["cut"]
    shown = cv2.resize(frames[data["frame"]["index"]][top:bottom, left:right], decoded.shape[1::-1])
    assert np.abs(decoded.astype(int) - shown.astype(int)).mean() < 6
    inside = data["box"]
    assert left <= inside[0] + 1
    assert top <= inside[1] + 1
    assert right >= min(inside[2], data["frame"]["width"]) - 1
    assert bottom >= min(inside[3], data["frame"]["height"]) - 1


def read_frames(clip: Path) -> list[NDArray[np.uint8]]:
    capture = cv2.VideoCapture(str(clip))
    frames: list[NDArray[np.uint8]] = []
    while True:
        read, frame = capture.read()
        if not read:
            return frames
        frames.append(np.asarray(frame, np.uint8))


def check_journal(home: Home) -> None:
    """It has what was told of faces and no picture: no file that the daemon wrote has."""
    files = [file for file in (home.folder / "state").rglob("*") if file.is_file()]
    contents = [file.read_bytes() for file in files]
    assert any(b"face/demo/recognized/" in content for content in contents)
    for content in contents:
        assert b"crop/demo/" not in content
        assert b"\xff\xd8\xff" not in content
