"""Who is seen on real clips, as a subscriber of the real daemon receives it."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import cv2

from tests.daemon.running import Home, events_until, running, visaged

MAN_FRAME = 24
"""Of asl_thanks: the man looks into the camera."""


def test_where_one_sample_does_the_enrolled_man_is_named_in_every_frame_and_nobody_else_is(
    shared_data: Path,
) -> None:
    clips = shared_data / "fixtures" / "clips"
    names = ("asl_milk.mkv", "asl_book.mkv", "headpose_woman_and_man.mp4")
    cameras = tuple((Path(name).stem, str(clips / name), False) for name in names)
    with tempfile.TemporaryDirectory(prefix="visaged-") as folder:
        home = Home(Path(folder), cameras, "[tracker]\nmin_samples = 1\n", sightings=True)
        portrait = Path(folder) / "man.png"
        portrait.write_bytes(frame_of(clips / "asl_thanks.mkv", MAN_FRAME))
        done = visaged("enroll", "--config", home.config, "the man", portrait)
        assert done.returncode == 0, done.stderr
        with running(home, "--await-subscribers", "1"):
            received = events_until(home.endpoint, "daemon/stopping/", timeout_s=100)
    sightings = {
        name: [event for event in received if event.topic == f"face/{name}/sighting/"] for name, *_ in cameras
    }
    milk = sightings["asl_milk"]
    assert [event.data["frame"]["index"] for event in milk] == list(range(51))
    assert {event.person.name for event in milk if event.person} == {"the man"}
    assert all(event.person for event in milk)
    book = sightings["asl_book"]
    assert sorted({event.data["frame"]["index"] for event in book}) == list(range(109))
    assert not any(event.person for event in book)
    faces = Counter(event.data["frame"]["index"] for event in sightings["headpose_woman_and_man"])
    assert faces == dict.fromkeys(range(56), 2)


def frame_of(clip: Path, number: int) -> bytes:
    """One frame of a clip as a PNG file."""
    capture = cv2.VideoCapture(str(clip))
    for _ in range(number + 1):
        read, bgr = capture.read()
        assert read
    capture.release()
    encoded, png = cv2.imencode(".png", bgr)
    assert encoded
    return png.tobytes()
