"""An RTSP camera on loopback that is killed, frozen and held back, while another camera goes on."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from daemon.capture import Cameras
from daemon.config import CameraConfig, SecretSource
from tests.daemon.capturing import (
    SHORT_PATIENCE,
    STARTED,
    changes,
    frames,
    frames_after,
    gather_until,
    states,
    write_folder,
)
from tests.daemon.rtsp import RtspServer

MANY_PACKETS = (
    *("--picture", "zone-plate kx2=20 ky2=20 kt=1"),
    *("--size", "640x480", "--kilobits", "2000", "--key-frame-every", "25"),
)
"""What a camera sends: two hundred packets a second."""


def rtsp(server: RtspServer, user_info: str = "") -> CameraConfig:
    return CameraConfig(name="door", source=server.url(user_info))


def test_a_killed_server_is_offline_and_back_when_it_runs_again_while_another_camera_never_stops(
    tmp_path: Path,
) -> None:
    images = write_folder(tmp_path / "images", [(64, 48)] * 1000)
    other = CameraConfig(name="gate", source=str(images), realtime=True)
    with RtspServer() as server, Cameras([rtsp(server), other], STARTED, SHORT_PATIENCE) as cameras:
        happened = gather_until(cameras, frames_after("online", 10), 30)
        server.kill()
        happened += gather_until(cameras, frames_after("offline", 0), 15)
        with RtspServer(server.port):
            happened += gather_until(cameras, frames_after("online", 10), 30)
        assert cameras.counts["door"].reopened >= 1
        assert not cameras.ended
    assert states(happened, "door") == ["online", "offline", "online"]
    assert changes(happened, "door")[1].reason
    indexes = [frame.index for frame in frames(happened, "door")]
    assert indexes == sorted(set(indexes))
    assert states(happened, "gate") == ["online"]
    # Times in this file are positions in it: no pause of the door's made the gate skip ahead.
    times = [frame.captured_unix_ns for frame in frames(happened, "gate")]
    assert max(later - sooner for sooner, later in pairwise(times)) < 1_000_000_000


def test_a_frozen_server_is_noticed_and_its_camera_seen_again_when_it_thaws() -> None:
    with RtspServer() as server, Cameras([rtsp(server)], STARTED, SHORT_PATIENCE) as cameras:
        gather_until(cameras, frames_after("online"), 30)
        server.freeze()
        happened = gather_until(cameras, frames_after("offline", 0), 10)
        assert "no frame for" in str(changes(happened)[0].reason)
        server.thaw()
        happened += gather_until(cameras, frames_after("online"), 30)
    assert states(happened) == ["offline", "online"]


def test_a_stream_that_is_held_back_with_its_connection_alive_is_noticed() -> None:
    with RtspServer() as server, Cameras([rtsp(server)], STARTED, SHORT_PATIENCE) as cameras:
        gather_until(cameras, frames_after("online"), 30)
        server.tell("pause")
        happened = gather_until(cameras, frames_after("offline", 0), 10)
        assert "no frame for" in str(changes(happened)[0].reason)
        server.tell("resume")
        gather_until(cameras, frames_after("online"), 30)


def test_a_stream_that_stops_is_stalled_before_it_is_given_up_and_online_again_if_it_goes_on() -> None:
    patience = replace(SHORT_PATIENCE, read_timeout_s=6.0, silence_s=8.0, stalled_s=1.0)
    with RtspServer() as server, Cameras([rtsp(server)], STARTED, patience) as cameras:
        gather_until(cameras, frames_after("online", 10), 30)
        server.tell("pause")
        happened = gather_until(cameras, frames_after("stalled", 0), 10)
        server.tell("resume")
        happened += gather_until(cameras, frames_after("online"), 10)
        assert cameras.counts["door"].reopened == 0
    assert states(happened) == ["stalled", "online"]
    # Told when it is looked for: on a busy machine a moment after the second.
    silent = re.search(r"no frame for (\d\.\d) s", str(changes(happened)[0].reason))
    assert silent
    assert 1.0 <= float(silent[1]) < patience.silence_s


def test_a_stream_that_is_slower_than_its_own_clock_is_stalled_and_opened_anew() -> None:
    with RtspServer() as server, Cameras([rtsp(server)], STARTED, SHORT_PATIENCE) as cameras:
        gather_until(cameras, frames_after("online", 10), 30)
        server.tell("speed 0.5")
        happened = gather_until(cameras, frames_after("stalled", 0), 15)
        server.tell("speed 1")
        happened += gather_until(cameras, frames_after("online", 50), 30)
        assert cameras.counts["door"].losses == {"behind": 1}
    assert states(happened) == ["stalled", "online"]
    assert "behind its own time" in str(changes(happened)[0].reason)


def test_pictures_of_another_size_are_noticed_and_come_in_that_size_after_a_reopening() -> None:
    with RtspServer() as server, Cameras([rtsp(server)], STARTED, SHORT_PATIENCE) as cameras:
        happened = gather_until(cameras, frames_after("online", 10), 30)
        server.tell("size 480x320")
        happened += gather_until(cameras, frames_after("offline", 0), 15)
        happened += gather_until(cameras, frames_after("online", 10), 30)
        assert cameras.counts["door"].losses == {"resized": 1}
    assert states(happened) == ["online", "offline", "online"]
    assert "480x320" in str(changes(happened)[1].reason)
    assert frames(happened)[0].bgr.shape == (240, 320, 3)
    assert frames(happened)[-1].bgr.shape == (320, 480, 3)


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_the_decoders_complaints_come_with_the_frames_and_only_where_packets_are_lost(codec: str) -> None:
    with (
        RtspServer(options=(*MANY_PACKETS, "--codec", codec)) as server,
        Cameras([rtsp(server)], STARTED, SHORT_PATIENCE) as cameras,
    ):
        whole = frames(gather_until(cameras, frames_after("online", 75), 30))
        assert [frame.damaged for frame in whole] == [0] * len(whole)
        assert server.lost_s() == []
        server.tell("lose 5")
        got = gather_until(cameras, lambda so_far: sum(frame.damaged for frame in frames(so_far)) >= 5, 15)
        damaged = next(frame for frame in frames(got) if frame.damaged)
        assert server.lost_s()[0] <= damaged.captured_monotonic_ns / 1e9


def test_a_stream_that_is_joined_long_before_its_next_key_frame_is_waited_for() -> None:
    patience = replace(SHORT_PATIENCE, read_timeout_s=1.0, first_frame_timeout_s=10.0)
    with (
        RtspServer(shared_with_key_frame_every=100) as server,
        Cameras([rtsp(server)], STARTED, patience) as first_viewer,
    ):
        gather_until(first_viewer, frames_after("online", 5), 30)
        with Cameras([rtsp(server)], STARTED, patience) as cameras:
            happened = gather_until(cameras, frames_after("online", 5), 30)
    assert states(happened) == ["online"]


def test_a_server_that_asks_for_a_password_gets_it_and_refuses_a_wrong_one() -> None:
    with RtspServer(password="hunter2") as server:
        configs = [
            rtsp(server, "admin:hunter2@"),
            CameraConfig(name="gate", source=server.url("admin:guess@")),
        ]
        with Cameras(configs, STARTED, SHORT_PATIENCE) as cameras:
            happened = gather_until(cameras, frames_after("online"), 30)
            happened += gather_until(cameras, lambda so_far: bool(states(happened + so_far, "gate")), 30)
    refused = changes(happened, "gate")[0]
    assert refused.state == "offline"
    assert "401" in str(refused.reason)
    assert "guess" not in str(refused.reason)


def test_a_password_comes_from_its_file_at_every_opening(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("guess\n")
    with RtspServer(password="hunter2") as server:
        source = SecretSource(url=server.url("admin@"), password_file=file)
        config = CameraConfig(name="door", source=source)
        with Cameras([config], STARTED, SHORT_PATIENCE) as cameras:
            happened = gather_until(cameras, frames_after("offline", 0), 30)
            file.unlink()
            gather_until(cameras, lambda _: cameras.counts["door"].losses["secret"] > 0, 30)
            file.write_text("hunter2\n")
            happened += gather_until(cameras, frames_after("online"), 30)
            process = Path("/proc") / str(cameras.pids["door"])
            assert b"hunter2" not in (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    assert states(happened) == ["offline", "online"]
    assert "401" in str(changes(happened)[0].reason)
    assert "guess" not in str(changes(happened))


def test_a_clip_of_the_shared_data_is_served_for_ever(shared_data: Path) -> None:
    clip = shared_data / "fixtures/clips/headpose_woman.mp4"
    with RtspServer(clip=clip) as server, Cameras([rtsp(server)], STARTED, SHORT_PATIENCE) as cameras:
        seen = frames(gather_until(cameras, frames_after("online", 30), 30))
    assert {frame.bgr.shape for frame in seen} == {(270, 480, 3)}
    assert len(seen) > 23, "the clip has 23 frames and begins anew"
