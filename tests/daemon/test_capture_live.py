"""Live cameras: the newest frame wins, and whatever happens to one is told, mended, and no other's affair."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from daemon.capture import Cameras
from daemon.config import CameraConfig
from tests.daemon.capturing import (
    SHORT_PATIENCE,
    STARTED,
    changes,
    frames,
    frames_after,
    gather_until,
    number_of,
    states,
    write_folder,
)
from tests.daemon.mjpeg_server import MjpegServer, free_port

REPOSITORY = Path(__file__).parent.parent.parent

DAEMON = """
import sys, time
from daemon.capture import Cameras
from daemon.config import CameraConfig
from daemon.frame import CameraChange, StartTime
started = StartTime(time.time_ns(), time.monotonic_ns())
with Cameras([CameraConfig(name=f"camera{n}", source=sys.argv[1]) for n in range(2)], started) as cameras:
    online = 0
    while True:
        online += sum(isinstance(item, CameraChange) for item in cameras.gather(1))
        if online == 2:
            print(*cameras.pids.values(), flush=True)
            online = 3
"""
"""A daemon with two cameras, which tells the ids of their processes when both see."""


@pytest.fixture
def server() -> Iterator[MjpegServer]:
    with MjpegServer() as server:
        yield server


def watch(server: MjpegServer) -> Cameras:
    return Cameras([CameraConfig(name="door", source=server.url())], STARTED, SHORT_PATIENCE)


def test_a_live_frame_carries_the_time_at_which_it_was_grabbed(server: MjpegServer) -> None:
    with watch(server) as cameras:
        happened = gather_until(cameras, frames_after("online", 10), 20)
    for frame in frames(happened):
        assert frame.captured_monotonic_ns == frame.grabbed_monotonic_ns
        assert abs(time.monotonic_ns() - frame.captured_monotonic_ns) < 20e9
        offset_ns = frame.captured_unix_ns - frame.captured_monotonic_ns
        assert abs(offset_ns - (time.time_ns() - time.monotonic_ns())) < 1e9
    assert states(happened) == ["online"]


def test_a_slow_reader_gets_the_newest_frame_and_the_replaced_ones_are_counted(server: MjpegServer) -> None:
    with watch(server) as cameras:
        seen = frames(gather_until(cameras, frames_after("online", 1), 20))
        for _ in range(4):
            time.sleep(0.5)
            seen += frames(gather_until(cameras, lambda so_far: bool(frames(so_far)), 5))
        counts = cameras.counts["door"]
    steps = [later.index - sooner.index for sooner, later in pairwise(seen)]
    assert min(steps) > 1
    assert counts.read == seen[-1].index + 1
    assert counts.replaced == counts.read - len(seen)
    # The picture is the one of that moment: as many were sent since the first as were counted.
    sent = (number_of(seen[-1].bgr) - number_of(seen[0].bgr)) % 256
    assert abs(sent - (seen[-1].index - seen[0].index)) <= 1


def test_a_camera_that_is_not_there_is_offline_once_however_often_it_is_tried(
    caplog: pytest.LogCaptureFixture,
) -> None:
    port = free_port()
    config = CameraConfig(name="door", source=f"http://admin:hunter2@127.0.0.1:{port}/camera?token=hunter3")
    with caplog.at_level(logging.INFO), Cameras([config], STARTED, SHORT_PATIENCE) as cameras:
        happened = gather_until(cameras, lambda _: cameras.counts["door"].reopened >= 3, 30)
        assert not cameras.ended
    assert states(happened) == ["offline"]
    assert "refused" in str(changes(happened)[0].reason)
    assert len(caplog.messages) == 1
    assert "hunter" not in caplog.text + str(changes(happened))


def test_a_password_reaches_the_camera_and_nothing_that_others_can_read() -> None:
    with (
        MjpegServer(password="hunter2") as server,
        Cameras(
            [CameraConfig(name="door", source=server.url("admin:hunter2@"))], STARTED, SHORT_PATIENCE
        ) as cameras,
    ):
        gather_until(cameras, frames_after("online"), 20)
        process = Path("/proc") / str(cameras.pids["door"])
        assert b"hunter2" not in (process / "cmdline").read_bytes() + (process / "environ").read_bytes()


def test_a_wrong_password_is_a_reason_to_be_offline_that_does_not_tell_it() -> None:
    with (
        MjpegServer(password="hunter2") as server,
        Cameras(
            [CameraConfig(name="door", source=server.url("admin:guess@"))], STARTED, SHORT_PATIENCE
        ) as cameras,
    ):
        happened = gather_until(cameras, lambda so_far: bool(changes(so_far)), 20)
    assert states(happened) == ["offline"]
    assert "401" in str(changes(happened)[0].reason)
    assert "guess" not in str(changes(happened)[0].reason)


def test_a_camera_whose_connection_ends_comes_back_and_its_index_goes_on() -> None:
    with MjpegServer() as server:
        cameras = watch(server)
        happened = gather_until(cameras, frames_after("online"), 20)
    happened += gather_until(cameras, frames_after("offline", 0), 20)
    with cameras, MjpegServer(server.port):
        happened += gather_until(cameras, frames_after("online"), 20)
        assert cameras.counts["door"].reopened >= 1
    assert states(happened) == ["online", "offline", "online"]
    indexes = [frame.index for frame in frames(happened)]
    assert indexes == sorted(set(indexes))


def test_a_camera_that_falls_silent_with_its_connection_open_is_noticed(server: MjpegServer) -> None:
    with watch(server) as cameras:
        gather_until(cameras, frames_after("online"), 20)
        server.silent.set()
        happened = gather_until(cameras, frames_after("offline", 0), 10)
        assert "no frame for" in str(changes(happened)[0].reason)
        server.silent.clear()
        gather_until(cameras, frames_after("online"), 20)


def test_a_stream_that_changes_its_size_goes_on_in_the_size_that_it_was_opened_with(
    server: MjpegServer,
) -> None:
    with watch(server) as cameras:
        happened = gather_until(cameras, frames_after("online"), 20)
        for size in [(640, 480), (64, 48)]:
            server.size = size
            happened += gather_until(cameras, lambda so_far: len(frames(so_far)) >= 15, 20)
    assert states(happened) == ["online"]
    assert {frame.bgr.shape for frame in frames(happened)} == {(120, 160, 3)}
    steps = [number_of(frame.bgr) - frame.index for frame in frames(happened)]
    assert max(steps) - min(steps) <= 1


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (signal.SIGKILL, "killed by SIGKILL"),
        (signal.SIGSEGV, "killed by SIGSEGV"),
        (signal.SIGSTOP, "no frame for"),
    ],
)
def test_a_process_that_is_killed_or_stopped_is_replaced_while_the_other_camera_goes_on(
    server: MjpegServer, fault: signal.Signals, reason: str
) -> None:
    configs = [CameraConfig(name=name, source=server.url()) for name in ("door", "gate")]
    with Cameras(configs, STARTED, SHORT_PATIENCE) as cameras:
        gather_until(cameras, frames_after("online"), 20)
        gather_until(cameras, lambda so_far: len(frames(so_far, "gate")) >= 3, 20)
        pid = cameras.pids["door"]
        os.kill(pid, fault)
        happened = gather_until(cameras, frames_after("online"), 20)
        assert cameras.pids["door"] != pid
        assert not _alive(pid)
    assert states(happened, "door") == ["offline", "online"]
    assert reason in str(changes(happened, "door")[0].reason)
    assert states(happened, "gate") == []
    assert len(frames(happened, "gate")) > 10


def test_a_process_that_is_told_to_end_with_its_group_waits_for_the_daemon_to_hang_up(
    server: MjpegServer,
) -> None:
    with watch(server) as cameras:
        gather_until(cameras, frames_after("online"), 20)
        os.kill(cameras.pids["door"], signal.SIGTERM)
        happened = gather_until(cameras, lambda so_far: len(frames(so_far)) >= 15, 20)
    assert states(happened) == []


def test_a_server_that_answers_nothing_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/camera"
        with Cameras([CameraConfig(name="door", source=url)], STARTED, SHORT_PATIENCE) as cameras:
            happened = gather_until(cameras, frames_after("offline", 0), 15)
    assert "no answer within 3 s" in str(changes(happened)[0].reason)


def test_a_webcam_that_is_not_plugged_in_is_offline_and_tried_again() -> None:
    with Cameras([CameraConfig(name="door", source="/dev/video987")], STARTED, SHORT_PATIENCE) as cameras:
        happened = gather_until(cameras, lambda _: cameras.counts["door"].reopened >= 2, 30)
    assert [str(change) for change in changes(happened)] == [
        "CameraChange(camera='door', state='offline', reason='/dev/video987: No such file or directory')"
    ]


def test_closing_leaves_no_process_and_no_descriptor_even_of_a_camera_that_hangs(server: MjpegServer) -> None:
    before = _descriptors()
    with watch(server) as cameras:
        for _ in range(3):
            gather_until(cameras, frames_after("online"), 20)
            os.kill(cameras.pids["door"], signal.SIGKILL)
            gather_until(cameras, frames_after("offline", 0), 20)
        gather_until(cameras, frames_after("online"), 20)
        pid = cameras.pids["door"]
        os.kill(pid, signal.SIGSTOP)
    assert not _alive(pid)
    deadline = time.monotonic() + 10
    while _descriptors() > before:  # The server, which runs in this process too, needs a moment.
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_call_without_anything_to_tell_returns_in_its_time(tmp_path: Path) -> None:
    port = free_port()
    config = CameraConfig(name="door", source=f"http://127.0.0.1:{port}/camera")
    with Cameras([config], STARTED, SHORT_PATIENCE) as cameras:
        gather_until(cameras, frames_after("offline", 0), 20)
        assert cameras.gather(timeout_s=0.05) == []
        assert cameras.gather(timeout_s=0) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills a stopped process with its parent")
def test_when_the_daemon_is_killed_its_processes_are_gone_one_that_was_stopped_too(
    server: MjpegServer,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", DAEMON, server.url()], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    ) as daemon:
        assert daemon.stdout is not None
        pids = [int(pid) for pid in daemon.stdout.readline().split()]
        assert len(pids) == 2
        os.kill(pids[0], signal.SIGSTOP)
        daemon.kill()
    deadline = time.monotonic() + 10
    while any(map(_alive, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_interrupt_from_the_terminal_does_not_reach_the_capture_processes(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "images", [(64, 48)] * 200)
    config = CameraConfig(name="door", source=str(folder), realtime=True)
    with Cameras([config], STARTED) as cameras:
        gather_until(cameras, frames_after("online", 1), 20)
        assert os.getpgid(cameras.pids["door"]) != os.getpgid(0)


def _alive(pid: int) -> bool:
    """Whether there is such a process that has not ended; one that waits to be reaped has."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
