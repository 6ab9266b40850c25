"""A daemon that is killed leaves nothing behind that runs, or that is in the way of the next one."""

from __future__ import annotations

import os
import signal
import time
from functools import partial

import pytest

from tests.faults.matrix import PATIENCE_S, first_seen
from tests.faults.stage import Stage, is_alive, shared_memories

GONE_S = 2.0
"""A killed daemon's capture processes are gone within this."""


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "one stopped"])
def test_capture_processes_of_a_killed_daemon_are_gone_and_the_next_start_is_clean(stopped: bool) -> None:
    shared_before = shared_memories()
    with Stage() as stage:
        began_s = stage.listen()
        for camera in ("door", "gate"):
            stage.wait_for(partial(first_seen, camera=camera, after_s=began_s), PATIENCE_S)
        pids = stage.capture_processes()
        assert len(pids) == 2
        if stopped:
            os.kill(pids[0], signal.SIGSTOP)
        stage.kill_daemon()
        killed_s = time.monotonic()
        while any(map(is_alive, pids)):
            assert time.monotonic() - killed_s < GONE_S, "a capture process outlives the daemon"
            time.sleep(0.01)
        again_s = time.monotonic()
        stage.start_daemon()
        for camera in ("door", "gate"):
            stage.wait_for(partial(first_seen, camera=camera, after_s=again_s), PATIENCE_S)
        told = [each.kind for each in stage.told("door") if each.arrived_s > again_s]
        assert told[0] == "online"
        assert set(told) <= {"online", "sighting"}
    assert shared_memories() <= shared_before
