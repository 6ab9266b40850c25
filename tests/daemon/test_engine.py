"""The engine is whole once it is built, and a signal ends the building at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

pytest.importorskip("llvmlite")

WHOLE = """
import sys
import cv2
from daemon.config import Config, DaemonConfig
from daemon.engine import build_engine
engine, _ = build_engine(Config(daemon=DaemonConfig(device="cpu")))
before = set(sys.modules)
(found,) = engine.analyse([cv2.imread("samples/barack-obama.jpg")])
heavy = ("torch", "numba", "llvmlite", "scipy", "openvino", "dlib")
late = [name for name in set(sys.modules) - before if name.startswith(heavy) or "compiled" in name]
print(len(found.faces), late)
"""


def test_nothing_is_left_to_load_when_the_first_picture_comes() -> None:
    """Else cameras and subscribers would wait for it, with all sockets open."""
    done = subprocess.run([sys.executable, "-c", WHOLE], capture_output=True, text=True, cwd=REPOSITORY)
    assert (done.stdout.strip(), done.returncode) == ("1 []", 0), done.stderr


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task")
    found = [(task / "children").read_text().split() for task in tasks.iterdir()]
    return [int(child) for some in found for child in some]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_nets_are_compiled_ends_the_daemon_and_the_compilers(
    tmp_path: Path, number: signal.Signals
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        f"[daemon]\nstate_dir = '{tmp_path / 'state'}'\ndevice = 'cpu'\n"
        f"[events]\nbind = 'ipc://{tmp_path}/e'\nreplay = 'off'\n"
        "[[camera]]\nname = 'door'\nsource = 'rtsp://127.0.0.1:9/none'\n"
    )
    with subprocess.Popen(
        [sys.executable, "-m", "daemon", "run", "--config", str(config)],
        stderr=subprocess.PIPE,
        cwd=REPOSITORY,
        env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")},
        text=True,
    ) as daemon:
        assert daemon.stderr is not None
        told = 0
        for line in daemon.stderr:
            told += "compiling" in line
            if told == 2:
                break
        # Both are told of just before they start.
        deadline_s = time.monotonic() + 20
        while len(compilers := children(daemon.pid)) < 2 and time.monotonic() < deadline_s:
            time.sleep(0.05)
        assert len(compilers) == 2
        daemon.send_signal(number)
        # Either takes ten seconds at least, and PyTorch in its place four.
        assert daemon.wait(8) == 0, daemon.stderr.read()
    assert not [pid for pid in compilers if Path(f"/proc/{pid}").exists()]


SLOW_TO_GO = """
import atexit, sys, time
import daemon.engine

def build_engine(config):
    # What the interpreter takes down of its own accord, with nets and compilers in memory, can last as long.
    atexit.register(time.sleep, 60)
    print("loading", file=sys.stderr, flush=True)
    time.sleep(600)

daemon.engine.build_engine = build_engine
from daemon.__main__ import main
main()
"""


def test_after_a_signal_while_the_nets_load_the_interpreter_is_not_waited_for(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        f"[daemon]\nstate_dir = '{tmp_path / 'state'}'\n[events]\nbind = 'ipc://{tmp_path}/e'\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", SLOW_TO_GO, "run", "--config", str(config)],
        stderr=subprocess.PIPE,
        cwd=REPOSITORY,
        text=True,
    ) as daemon:
        assert daemon.stderr is not None
        while "loading" not in (line := daemon.stderr.readline()):
            assert line
        daemon.send_signal(signal.SIGTERM)
        # The last resort, where something hangs, would be 1.
        assert daemon.wait() == 0, daemon.stderr.read()
    assert not (tmp_path / "state").exists()
