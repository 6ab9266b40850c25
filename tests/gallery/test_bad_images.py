"""Every kind of bad image has its reason at once, and no memory to speak of."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import REPOSITORY
from tests.gallery.bad_images import make

MOST_SECONDS = 0.5
"""Of the processor's time, which other work on the machine does not lengthen."""
MOST_BYTES = 200_000_000

MEASURE = """
import json, os, sys, time
from pathlib import Path

import cv2
from PIL import Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin
from gallery.errors import ImageRefused
from gallery.images import open_image

def peak_bytes():
    return 1024 * int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])

def measure(path, tree):
    before, wall, work = peak_bytes(), time.perf_counter(), time.process_time()
    try:
        open_image(path, tree)
        reason = None
    except ImageRefused as refused:
        reason = refused.reason
    work, wall = time.process_time() - work, time.perf_counter() - wall
    print(json.dumps([reason, work, wall, peak_bytes() - before]), flush=True)

given = json.load(sys.stdin)
for path in given["paths"]:
    # A process of its own for each: what one took is not there for the next.
    child = os.fork()
    if not child:
        measure(Path(path), Path(given["tree"]))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, path
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak of the memory")
def test_each_bad_image_has_its_reason_in_half_a_second_and_200_megabytes(tmp_path: Path) -> None:
    with Image.open(REPOSITORY / "samples" / "barack-obama.jpg") as portrait:
        made = make(tmp_path, portrait.resize((1_536, 1_920)))
    given = {"tree": str(tmp_path / "tree"), "paths": [str(each.path) for each in made]}
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], input=json.dumps(given), capture_output=True, text=True, check=True
    )
    measured = [json.loads(line) for line in done.stdout.splitlines()]
    told = [
        f"{each.path.name!r:28} {reason or 'opened':20} {1000 * work:5.0f} ms of {1000 * wall:5.0f}, "
        f"{added / 1e6:5.0f} MB"
        for each, (reason, work, wall, added) in zip(made, measured, strict=True)
    ]
    print(*told, sep="\n")
    assert len(Counter(each.path.name for each in made)) >= 25
    assert {each.path.name: each.reason for each in made} == {
        each.path.name: reason for each, (reason, *_) in zip(made, measured, strict=True)
    }
    for line, (_, work, _, added) in zip(told, measured, strict=True):
        assert work < MOST_SECONDS, line
        assert added < MOST_BYTES, line
