"""SIGTERM ends a real daemon within five seconds, whatever its detector does."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from benchmarks.process_tree import descendants, is_alive
from daemon.client import subscribe
from tests.daemon.running import Home, environment
from tests.daemon.serving import write_pictures

END_S = 5.0
WAIT_S = 60.0


@pytest.mark.parametrize(
    ("where", "code", "told"),
    [
        ("detect", 0, "the detector does not answer; it is left as it is"),
        ("refine", 1, "it did not end in order within 4.5 s of the signal"),
    ],
)
def test_a_daemon_whose_detector_hangs_ends_all_the_same(where: str, code: int, told: str) -> None:
    with tempfile.TemporaryDirectory(prefix="visaged-") as name:
        write_pictures(Path(name) / "pictures", 500)
        home = Home(Path(name), (("door", f"{name}/pictures", True),))
        command = [sys.executable, "-m", "tests.daemon.hanging", where]
        command += ["run", "--config", str(home.config), "--await-subscribers", "1"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with (
            subprocess.Popen(command, text=True, env=environment(), **pipes) as daemon,  # type: ignore[call-overload]
            subscribe(home.endpoint, topics=["daemon/stopping/"], timeout_s=WAIT_S) as events,
        ):
            try:
                assert daemon.stdout.readline() == "hangs\n"
                children = descendants(daemon.pid)
                assert children
                asked_s = time.monotonic()
                daemon.send_signal(signal.SIGTERM)
                # Without a limit, for which Popen would look now and then, up to 50 ms late.
                code_seen, took_s = daemon.wait(), time.monotonic() - asked_s
                assert code_seen == code
                assert took_s < END_S
                assert told in daemon.stderr.read()
                if code == 0:
                    assert next(iter(events)).data["reason"] == "a signal asked for it"
                deadline_s = time.monotonic() + 2
                while any(map(is_alive, children)):
                    assert time.monotonic() < deadline_s, "a capture process outlives the daemon"
                    time.sleep(0.02)
            finally:
                daemon.kill()
