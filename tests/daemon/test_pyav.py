"""The second backend reads what the first reads, with the same times, colours, faults and reasons."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pytest

from daemon.capture import Cameras
from daemon.config import CameraConfig
from daemon.frame import Frame
from tests.daemon.capturing import (
    SHORT_PATIENCE,
    STARTED,
    changes,
    frames,
    frames_after,
    gather_to_the_end,
    gather_until,
    number_of,
    states,
    write_folder,
    write_video,
)
from tests.daemon.mjpeg_server import MjpegServer, free_port
from tests.daemon.rtsp import RtspServer
from tests.daemon.test_capture_rtsp import MANY_PACKETS

av = pytest.importorskip("av", reason="the extra pyav is not installed")

Backend = Literal["opencv", "pyav"]


def camera(source: str, name: str = "door") -> CameraConfig:
    return CameraConfig(name=name, source=source, backend="pyav")


def played(path: Path, backend: Backend) -> list[Frame]:
    config = replace(camera(str(path)), backend=backend)
    with Cameras([config], STARTED) as cameras:
        happened = gather_to_the_end(cameras)
    assert states(happened) == ["online", "ended"]
    return frames(happened)


def test_every_frame_of_a_file_comes_with_the_times_that_the_other_backend_gives(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.avi", 40, fps=12.5)
    ours, others = played(clip, "pyav"), played(clip, "opencv")
    assert [number_of(frame.bgr) for frame in ours] == list(range(40))
    assert [frame.index for frame in ours] == list(range(40))
    assert [frame.captured_unix_ns for frame in ours] == [frame.captured_unix_ns for frame in others]


def test_clips_of_the_shared_data_have_the_same_times_and_pictures(shared_data: Path) -> None:
    for name in ("headpose_woman.mp4", "asl_milk.mkv"):
        clip = shared_data / "fixtures" / "clips" / name
        ours, others = played(clip, "pyav"), played(clip, "opencv")
        assert len(ours) == len(others) > 0
        for one, other in zip(ours, others, strict=True):
            # Each rounds in its own way: what Matroska stores in milliseconds, OpenCV tells in floats.
            assert abs(one.captured_unix_ns - other.captured_unix_ns) <= 1_000_000
            assert np.abs(one.bgr.astype(int) - other.bgr).mean() < 3


def test_red_is_red(tmp_path: Path) -> None:
    path = tmp_path / "red.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(10))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        red = np.zeros((48, 64, 3), np.uint8)
        red[:, :, 0] = 255  # of RGB
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(red, format="rgb24")))
        container.mux(stream.encode(None))
    for backend in get_args(Backend):
        blue, green, red_seen = played(path, backend)[0].bgr.mean(axis=(0, 1))
        assert red_seen > 200, backend
        assert max(blue, green) < 60, backend


def test_a_folder_of_images_is_read_as_ever(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "images", [(64, 48)] * 3)
    assert [number_of(frame.bgr) for frame in played(folder, "pyav")] == [0, 1, 2]


@pytest.mark.parametrize("content", [b"", b"no video at all" * 100])
def test_what_is_no_video_is_offline_with_its_reason_and_then_ended(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with Cameras([camera(str(path))], STARTED) as cameras:
        happened = gather_to_the_end(cameras)
    assert states(happened) == ["offline", "ended"]
    assert "not a video that can be read" in str(changes(happened)[0].reason)


def test_a_file_that_breaks_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.avi", 40)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    assert 5 < len(played(clip, "pyav")) < 40


def test_an_rtsp_camera_that_is_held_back_is_noticed_and_seen_again() -> None:
    with RtspServer() as server, Cameras([camera(server.url())], STARTED, SHORT_PATIENCE) as cameras:
        happened = gather_until(cameras, frames_after("online", 10), 30)
        server.tell("pause")
        happened += gather_until(cameras, frames_after("offline", 0), 10)
        server.tell("resume")
        happened += gather_until(cameras, frames_after("online", 10), 30)
    assert states(happened) == ["online", "offline", "online"]
    assert "no frame for" in str(changes(happened)[1].reason)
    assert {frame.bgr.shape for frame in frames(happened)} == {(240, 320, 3)}
    for frame in frames(happened):
        assert frame.captured_monotonic_ns == frame.grabbed_monotonic_ns


def test_a_server_that_is_killed_is_offline_and_back_when_it_runs_again() -> None:
    with RtspServer() as server, Cameras([camera(server.url())], STARTED, SHORT_PATIENCE) as cameras:
        happened = gather_until(cameras, frames_after("online", 10), 30)
        server.kill()
        happened += gather_until(cameras, frames_after("offline", 0), 15)
        with RtspServer(server.port):
            happened += gather_until(cameras, frames_after("online", 10), 30)
    assert states(happened) == ["online", "offline", "online"]


def test_a_slow_stream_and_one_of_another_size_are_opened_anew() -> None:
    with RtspServer() as server, Cameras([camera(server.url())], STARTED, SHORT_PATIENCE) as cameras:
        gather_until(cameras, frames_after("online", 10), 30)
        server.tell("speed 0.5")
        gather_until(cameras, frames_after("stalled", 0), 15)
        server.tell("speed 1")
        gather_until(cameras, frames_after("online", 10), 30)
        server.tell("size 480x320")
        happened = gather_until(cameras, frames_after("offline", 0), 15)
        happened += gather_until(cameras, frames_after("online", 10), 30)
        assert cameras.counts["door"].losses == {"behind": 1, "resized": 1}
    assert "480x320" in str(changes(happened)[0].reason)
    assert frames(happened)[-1].bgr.shape == (320, 480, 3)


def test_what_the_decoder_complains_of_is_counted() -> None:
    with (
        RtspServer(options=MANY_PACKETS) as server,
        Cameras([camera(server.url())], STARTED, SHORT_PATIENCE) as cameras,
    ):
        whole = frames(gather_until(cameras, frames_after("online", 50), 30))
        assert sum(frame.damaged for frame in whole) == 0
        server.tell("lose 5")
        gather_until(cameras, lambda so_far: sum(frame.damaged for frame in frames(so_far)) >= 5, 15)


def test_refusals_have_their_reason_and_no_password() -> None:
    with RtspServer(password="hunter2") as server:
        configs = [
            camera(server.url("admin:hunter2@")),
            camera(server.url("admin:guess@"), "gate"),
            camera(f"rtsp://admin:guess@127.0.0.1:{free_port()}/camera", "yard"),
        ]
        with Cameras(configs, STARTED, SHORT_PATIENCE) as cameras:
            happened = gather_until(cameras, frames_after("online"), 30)
            happened += gather_until(
                cameras, lambda so_far: {"gate", "yard"} <= {item.camera for item in happened + so_far}, 30
            )
    assert "401" in str(changes(happened, "gate")[0].reason)
    assert "refused" in str(changes(happened, "yard")[0].reason)
    assert "guess" not in str(changes(happened))


def test_an_mjpeg_camera_works_too() -> None:
    with (
        MjpegServer() as server,
        Cameras([camera(server.url())], STARTED, SHORT_PATIENCE) as cameras,
    ):
        happened = gather_until(cameras, frames_after("online", 20), 30)
    numbers = [number_of(frame.bgr) for frame in frames(happened)]
    assert numbers == sorted(numbers)
