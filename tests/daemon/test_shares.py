"""Where not all frames can be processed, each camera has its share: by its waiting, times its priority."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from daemon.capture import Cameras
from daemon.config import CameraConfig
from daemon.frame import Frame, StartTime
from daemon.shares import Room, Shares
from tests.daemon.capturing import write_video

FPS = 25.0


def served(shares: Shares, cameras: list[str], room: int, rounds: int) -> Counter[str]:
    """How often each is served in so many rounds of a tenth of a second, when all wait all the time."""
    counts: Counter[str] = Counter()
    for number in range(rounds):
        for camera in shares.first(cameras, room, number / 10):
            shares.served(camera, number / 10)
            counts[camera] += 1
    return counts


def test_who_has_waited_longest_comes_first() -> None:
    shares = Shares({})
    shares.served("door", 3.0)
    shares.served("gate", 1.0)
    shares.served("yard", 2.0)
    assert shares.first(["door", "gate", "yard"], 2, 4.0) == ["gate", "yard"]
    assert shares.first(["door", "yard"], 2, 4.0) == ["yard", "door"]
    assert shares.first(["door", "gate", "yard"], None, 4.0) == ["gate", "yard", "door"]
    assert shares.first([], 2, 4.0) == []


def test_a_camera_that_was_never_served_comes_before_all_others() -> None:
    shares = Shares({"door": 100.0})
    shares.served("door", 0.0)
    assert shares.first(["door", "new"], 1, 1000.0) == ["new"]


def test_cameras_of_one_priority_are_served_alike_and_one_more_takes_no_more_than_its_share() -> None:
    shares = Shares({})
    four = ["a", "b", "c", "d"]
    assert set(served(shares, four, 2, 100).values()) == {50}
    with_a_fifth = served(Shares({}), [*four, "e"], 2, 100)
    assert set(with_a_fifth.values()) == {40}


def test_of_twice_the_priority_is_served_about_twice_as_often() -> None:
    shares = Shares({"door": 2.0, "gate": 1.0, "yard": 1.0, "attic": 0.5})
    counts = served(shares, ["door", "gate", "yard", "attic"], 1, 900)
    assert abs(counts["gate"] - counts["yard"]) <= 1
    assert 1.6 < counts["door"] / counts["gate"] < 2.4
    assert 1.6 < counts["gate"] / counts["attic"] < 2.4


def test_a_camera_that_is_gone_is_forgotten_and_comes_back_as_a_new_one() -> None:
    shares = Shares({"door": 1.0, "gate": 1.0})
    shares.served("door", 9.0)
    shares.served("gate", 1.0)
    shares.adjust({"gate": 1.0})
    shares.adjust({"door": 1.0, "gate": 1.0})
    assert shares.first(["door", "gate"], 1, 10.0) == ["door"]


def test_as_many_frames_fit_as_lately_took_so_long() -> None:
    room = Room(0.1)
    assert room.frames is None
    room.took(0, 5.0)
    assert room.frames is None
    room.took(10, 0.2)
    assert room.frames == 5
    for _ in range(60):
        room.took(1, 0.5)
    assert room.frames == 1
    for _ in range(150):
        room.took(8, 0.02)
    assert room.frames in (39, 40)


def test_the_frames_of_real_cameras_are_shed_evenly_and_by_priority_also_when_one_is_added(
    tmp_path: Path,
) -> None:
    """Room for 1 frame a round, of some 20 rounds a second: of four cameras' 100 frames, a fifth."""
    # A minute and a half: none of the cameras is at its end before the last frame is counted.
    clip = str(write_video(tmp_path / "clip.avi", 2250, FPS))

    def camera(name: str, priority: float = 1.0) -> CameraConfig:
        return CameraConfig(name=name, source=clip, realtime=True, priority=priority)

    def taken(frames: int) -> Counter[str]:
        counts: Counter[str] = Counter()
        deadline_s = time.monotonic() + 60
        while counts.total() < frames:
            assert time.monotonic() < deadline_s
            counts.update(item.camera for item in cameras.gather(0.2, room=1) if isinstance(item, Frame))
            time.sleep(0.05)
        return counts

    configured = [camera("first", 3.0), camera("second"), camera("third"), camera("fourth")]
    with Cameras(configured, StartTime.now()) as cameras:
        while any(count.read == 0 for count in cameras.counts.values()):
            cameras.gather(0.2)
        counts = taken(60)
        others = [counts[name] for name in ("second", "third", "fourth")]
        assert min(others) >= 0.7 * max(others)
        assert counts["first"] > 2 * max(others)
        cameras.add(camera("fifth"))
        while cameras.counts["fifth"].read == 0:
            cameras.gather(0.2)
        counts = taken(56)
        others = [counts[name] for name in ("second", "third", "fourth", "fifth")]
        assert min(others) >= 0.7 * max(others), counts
        assert counts["first"] > 2 * max(others), counts
