"""A camera that is lost again and again leaves no descriptor, thread, process or shared memory behind."""

from __future__ import annotations

import gc
import os
import signal
from dataclasses import replace

import pytest

from benchmarks.process_tree import Held, held_by
from benchmarks.soak import leak_verdict
from daemon.capture import Cameras
from daemon.config import CameraConfig
from daemon.patience import PATIENCE
from tests.daemon.capturing import STARTED, frames_after, gather_until
from tests.daemon.rtsp import RtspServer
from tests.faults.stage import shared_memories

AT_ONCE = replace(PATIENCE, first_pause_s=0.05, longest_pause_s=0.05)
WAIT_S = 100.0
SIGNALS = (signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP)


def held() -> Held:
    # What earlier tests left is not this one's: it goes now, and not in between.
    gc.collect()
    found = held_by(os.getpid())
    assert found is not None
    return found


@pytest.mark.timeout(600)
def test_a_camera_that_is_lost_six_times_leaves_nothing_behind() -> None:
    shared_before = shared_memories()
    with (
        RtspServer() as server,
        Cameras([CameraConfig(name="door", source=server.url())], STARTED, AT_ONCE) as cameras,
    ):
        gather_until(cameras, frames_after("online"), WAIT_S)
        before = held()
        for number in SIGNALS * 2:
            os.kill(cameras.pids["door"], number)
            gather_until(cameras, frames_after("online"), WAIT_S)
        after = held()
        assert cameras.counts["door"].losses.total() == 6
    verdict = leak_verdict(before, after)
    assert verdict.holds, verdict
    assert shared_memories() <= shared_before
