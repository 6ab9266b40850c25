"""`crop` as a process that is killed, and on LFW."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import REPOSITORY
from tests.daemon.cli.conftest import Shell
from tests.daemon.cli.photographs import SAMPLES, make_tree, manifest, read

COPIES = 6
"""Of the tree, so that there is a middle to be killed in."""


pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tree(tmp_path_factory.mktemp("pictures") / "photos")


def run_crop(visaged: Shell, tree: Path, crops: Path) -> subprocess.Popen[bytes]:
    arguments = ["-m", "daemon", "crop", str(tree), str(crops), "--fallback", "mean:1", "--json"]
    return subprocess.Popen(
        [sys.executable, *arguments, "--config", str(visaged.config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=REPOSITORY,
    )


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_killed_in_the_middle_is_finished_by_the_next(
    visaged: Shell, tree: Path, tmp_path: Path, how: signal.Signals
) -> None:
    photos = tmp_path / "photos"
    for copy in range(COPIES):
        shutil.copytree(tree, photos / str(copy))
    broken = run_crop(visaged, photos, tmp_path / "broken")
    until = time.monotonic() + 120
    while len(list((tmp_path / "broken").rglob("*.jpg"))) < 10 and time.monotonic() < until:
        assert broken.poll() is None, broken.communicate()
        time.sleep(0.005)
    broken.send_signal(how)
    _, err = broken.communicate(timeout=60)
    assert broken.returncode == (-how if how == signal.SIGKILL else 1), err
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "broken").rglob("*.jpg")}
    assert 10 <= len(written) < 9 * COPIES
    assert not (tmp_path / "broken" / "manifest.csv").exists()
    for path in written:
        assert read(path).size
    again = run_crop(visaged, photos, tmp_path / "broken")
    out, err = again.communicate(timeout=200)
    assert again.returncode == 0, err
    told = json.loads(out)
    assert (told["images"], told["crops"], told["fallbacks"]) == (13 * COPIES, 5 * COPIES, 5 * COPIES)
    assert told["looked_at"] <= 13 * COPIES - 9
    rows = manifest(tmp_path / "broken")
    assert Counter(row["reason"] for row in rows)["face"] == 5 * COPIES
    # Equal images have equal crops, whichever of the two runs made them.
    for name in ("crowd.png", f"{SAMPLES[0].stem}/plain.jpg"):
        assert len({(tmp_path / "broken" / str(copy) / name).read_bytes() for copy in range(COPIES)}) == 1
    unchanged = [path for path, modified in written.items() if path.stat().st_mtime_ns == modified]
    assert len(unchanged) >= len(written) - 1


def test_on_a_terminal_a_bar_counts_as_it_goes(visaged: Shell, tree: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    arguments = ["-m", "daemon", "crop", str(tree), str(tmp_path / "crops"), "--config", str(visaged.config)]
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        cwd=REPOSITORY,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(theirs)
    shown = b""
    # Linux ends a terminal that nobody writes to any more with an error.
    with suppress(OSError):
        while piece := os.read(ours, 4096):
            shown += piece
    os.close(ours)
    assert process.wait(60) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert "cropping" in text
    assert "13/13" in text
    assert "5 crops  5 missed  3 refused" in text


def test_lfw_is_cropped_with_one_face_of_each_photograph(
    visaged: Shell, shared_data: Path, tmp_path: Path
) -> None:
    photographs = shared_data / "lfw-view1" / "images"
    count = len(list(photographs.rglob("*.jpg")))
    done = visaged("crop", photographs, tmp_path / "crops", "--size", "96x96", "--json")
    assert done.code == 0, done.err
    told = done.document
    assert (told["images"], told["crops"] + told["missed"], told["refused"]) == (count, count, {})
    assert told["missed"] <= 2
    rows = manifest(tmp_path / "crops")
    assert [row["source"] for row in rows] == sorted(row["source"] for row in rows)
    assert len({row["crop"] for row in rows if row["crop"]}) == told["crops"]
    assert {read(tmp_path / "crops" / row["crop"]).shape for row in rows[::40]} == {(96, 96, 3)}
    middles = np.array([json.loads(row["box"]) for row in rows if row["box"]])
    middles = (middles[:, :2] + middles[:, 2:]) / 2
    # They were aligned when the collection was made: whose photograph it is stands in the middle.
    assert np.mean(np.abs(middles - 125).max(axis=1) < 40) > 0.95
