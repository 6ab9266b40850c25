"""Video files and folders of images: every frame, in order, with the file's own times, then the end."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from daemon.capture import Cameras
from daemon.capture_child import RateLimit
from daemon.config import CameraConfig
from daemon.frame import CameraChange, Frame
from tests.daemon.capturing import (
    SHORT_PATIENCE,
    STARTED,
    changes,
    frames,
    frames_after,
    gather_to_the_end,
    gather_until,
    number_of,
    numbered,
    states,
    write_folder,
    write_video,
)


def camera(
    source: Path, name: str = "door", *, realtime: bool = False, max_fps: float | None = None
) -> CameraConfig:
    return CameraConfig(name=name, source=str(source), realtime=realtime, max_fps=max_fps)


def test_every_frame_of_a_video_comes_in_order_and_then_its_end(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.avi", 60)
    with Cameras([camera(clip)], STARTED) as cameras:
        happened = gather_to_the_end(cameras)
        assert cameras.gather(timeout_s=60) == []
    assert [number_of(frame.bgr) for frame in frames(happened)] == list(range(60))
    assert [frame.index for frame in frames(happened)] == list(range(60))
    assert happened[0] == CameraChange("door", "online", None)
    assert happened[-1] == CameraChange("door", "ended", None)
    assert len(changes(happened)) == 2


def test_a_slow_reader_loses_no_frame_of_a_file(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.avi", 12)
    numbers = []
    with Cameras([camera(clip, max_fps=1)], STARTED) as cameras:
        while not cameras.ended:
            numbers += [number_of(frame.bgr) for frame in frames(cameras.gather(1))]
            time.sleep(0.05)
        assert cameras.counts["door"].replaced == 0
        assert cameras.counts["door"].read == 12
    assert numbers == list(range(12))


def test_frames_of_a_file_carry_the_start_of_the_run_and_their_position(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.avi", 20, fps=10)
    before_ns = time.monotonic_ns()
    with Cameras([camera(clip)], STARTED) as cameras:
        seen = frames(gather_to_the_end(cameras))
    positions = [frame.captured_monotonic_ns - STARTED.monotonic_ns for frame in seen]
    assert positions == [index * 100_000_000 for index in range(20)]
    assert positions == [frame.captured_unix_ns - STARTED.unix_ns for frame in seen]
    grabbed = [frame.grabbed_monotonic_ns for frame in seen]
    assert grabbed == sorted(grabbed)
    assert before_ns < grabbed[0]
    assert grabbed[-1] < time.monotonic_ns()


def test_a_file_has_the_same_times_however_fast_it_is_played(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.avi", 10)
    times = []
    for realtime in (False, True):
        with Cameras([camera(clip, realtime=realtime)], STARTED) as cameras:
            seen = frames(gather_to_the_end(cameras))
            times.append({frame.index: frame.captured_unix_ns for frame in seen})
    every, followed = times
    assert len(every) == 10
    # On a busy machine some of the frames were replaced by newer ones; the last never is.
    assert max(followed) == max(every)
    assert followed.items() <= every.items()


def test_a_folder_plays_its_images_as_people_count_25_a_second_in_any_size(tmp_path: Path) -> None:
    sizes = [(160, 120), (320, 240), (80, 60), *[(64, 48)] * 6, (1280, 720), (16, 16)]
    folder = write_folder(tmp_path / "images", sizes)
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.png").write_bytes((folder / "1.png").read_bytes())
    with Cameras([camera(folder)], STARTED) as cameras:
        seen = frames(gather_to_the_end(cameras))
    assert [(frame.bgr.shape[1], frame.bgr.shape[0]) for frame in seen] == sizes
    assert [number_of(frame.bgr) for frame in seen] == list(range(11))
    assert [frame.captured_unix_ns - STARTED.unix_ns for frame in seen] == [40_000_000 * n for n in range(11)]


def test_an_image_that_can_not_be_read_is_passed_over_and_told_at_the_end(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "images", [(64, 48)] * 5)
    (folder / "2.png").write_bytes(b"no image at all")
    (folder / "4.png").write_bytes(b"")
    with Cameras([camera(folder)], STARTED) as cameras:
        happened = gather_to_the_end(cameras)
    assert [frame.index for frame in frames(happened)] == [0, 2, 4]
    assert frames(happened)[1].captured_unix_ns - STARTED.unix_ns == 80_000_000
    assert changes(happened)[-1] == CameraChange(
        "door", "ended", "2 unreadable images passed over, the first 2.png"
    )


def _missing(folder: Path) -> Path:
    return folder / "nowhere.mp4"


def _empty(folder: Path) -> Path:
    return folder


def _no_video(folder: Path) -> Path:
    path = folder / "text.mp4"
    path.write_text("no video")
    return path


def _without_a_frame(folder: Path) -> Path:
    path = write_video(folder / "clip.avi", 1)
    path.write_bytes(path.read_bytes()[:4096])
    return path


def _unreadable(folder: Path) -> Path:
    (folder / "1.jpg").write_bytes(b"no image")
    return folder


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_missing, "No such file or directory"),
        (_empty, "no images"),
        (_no_video, "not a video that can be read"),
        (_without_a_frame, ""),
        (_unreadable, "1 unreadable images passed over"),
    ],
)
def test_a_file_without_any_frame_is_offline_with_its_reason_and_then_ended(
    tmp_path: Path, make: Callable[[Path], Path], reason: str
) -> None:
    with Cameras([camera(make(tmp_path))], STARTED) as cameras:
        happened = gather_to_the_end(cameras)
        assert cameras.counts["door"].reopened == 0
    assert [change.state for change in changes(happened)] == ["offline", "ended"]
    assert reason in str(changes(happened)[0].reason)
    assert frames(happened) == []


@pytest.mark.parametrize("damage", ["cut", "overwritten"])
def test_a_damaged_video_gives_what_can_be_read_of_it_and_ends(tmp_path: Path, damage: str) -> None:
    clip = write_video(tmp_path / "clip.avi", 60)
    content = bytearray(clip.read_bytes())
    third = len(content) // 3
    if damage == "cut":
        del content[third:]
    else:
        content[third : 2 * third] = bytes(third)
    clip.write_bytes(content)
    with Cameras([camera(clip)], STARTED) as cameras:
        happened = gather_to_the_end(cameras)
    numbers = [number_of(frame.bgr) for frame in frames(happened)]
    assert numbers[:15] == list(range(15))
    assert len(numbers) < 60
    assert states(happened)[-1] == "ended"


def test_a_file_in_real_time_drops_what_nobody_took_and_ends_with_its_last_frame(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.avi", 50)
    seen: list[Frame] = []
    with Cameras([camera(clip, realtime=True)], STARTED) as cameras:
        while not cameras.ended:
            seen += frames(cameras.gather(1))
            time.sleep(0.3)
        counts = cameras.counts["door"]
    numbers = [number_of(frame.bgr) for frame in seen]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 49
    assert counts.read == 50
    assert counts.replaced == 50 - len(seen) > 25


def test_max_fps_thins_out_the_frames_of_a_file_in_real_time(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.avi", 50, fps=50)
    with Cameras([camera(clip, realtime=True, max_fps=10)], STARTED) as cameras:
        seen = frames(gather_to_the_end(cameras))
        assert 2 <= len(seen) + cameras.counts["door"].replaced <= 11


def test_a_rate_limit_lets_an_even_share_through_and_does_not_catch_up_a_pause() -> None:
    limit = RateLimit(10)
    thirty_fps_ms = [round(index * 1000 / 30) for index in range(30)]
    through = [ms for ms in thirty_fps_ms if limit.allows(1_000_000_000 + ms * 1_000_000)]
    assert len(through) == 10
    assert max(later - sooner for sooner, later in pairwise(through)) <= 134
    after_a_pause_ms = [10_000, 10_033, 10_067, 10_100]
    assert [limit.allows(1_000_000_000 + ms * 1_000_000) for ms in after_a_pause_ms] == [
        True,
        False,
        False,
        True,
    ]


def test_without_a_limit_every_frame_is_let_through() -> None:
    limit = RateLimit(None)
    assert all(limit.allows(5) for _ in range(3))


def test_a_call_brings_at_most_one_frame_of_each_camera_the_oldest_first(tmp_path: Path) -> None:
    # Half a minute of frames: on a busy machine one process may start seconds after another.
    clip = write_video(tmp_path / "clip.avi", 1500)
    together = 0
    with Cameras([camera(clip, name) for name in ("door", "gate", "hall")], STARTED) as cameras:
        while together < 10 and not cameras.ended:
            brought = frames(cameras.gather(1))
            assert len({frame.camera for frame in brought}) == len(brought)
            grabbed = [frame.grabbed_monotonic_ns for frame in brought]
            assert grabbed == sorted(grabbed)
            together += len(brought) == 3
            time.sleep(0.02)
    assert together == 10


def test_one_camera_that_is_not_there_does_not_touch_the_others(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.avi", 30)
    with Cameras([camera(tmp_path / "nowhere.mp4", "gate"), camera(clip)], STARTED) as cameras:
        happened = gather_to_the_end(cameras)
    assert states(happened, "gate") == ["offline", "ended"]
    assert len(frames(happened, "door")) == 30


def test_a_file_whose_process_hangs_is_given_up_and_not_begun_again(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.avi", 60)
    with Cameras([camera(clip)], STARTED, replace(SHORT_PATIENCE, file_silence_s=0.5)) as cameras:
        gather_until(cameras, frames_after("online", 1), 20)
        os.kill(cameras.pids["door"], signal.SIGSTOP)
        happened = gather_to_the_end(cameras)
        assert cameras.counts["door"].reopened == 0
    assert states(happened) == ["offline", "ended"]
    assert "no frame for" in str(changes(happened)[0].reason)


def test_a_frame_belongs_to_whoever_got_it(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.avi", 3)
    with Cameras([camera(clip)], STARTED) as cameras:
        happened = gather_until(cameras, lambda so_far: len(frames(so_far)) == 1, 20)
        first = frames(happened)[0].bgr
        first[:] = 7
        gather_to_the_end(cameras)
        assert np.all(first == 7)


def test_a_clip_of_the_shared_data_gives_as_many_frames_as_it_has(shared_data: Path) -> None:
    with Cameras([camera(shared_data / "fixtures/clips/headpose_woman.mp4")], STARTED) as cameras:
        seen = frames(gather_to_the_end(cameras))
    assert [frame.captured_unix_ns - STARTED.unix_ns for frame in seen] == [80_000_000 * n for n in range(23)]
    assert {frame.bgr.shape for frame in seen} == {(270, 480, 3)}


def test_number_of_tells_what_numbered_drew() -> None:
    assert [number_of(numbered(number)) for number in (0, 1, 128, 255)] == [0, 1, 128, 255]
