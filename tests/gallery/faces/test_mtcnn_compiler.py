"""When the nets are compiled, and that detection neither waits for it nor needs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import REPOSITORY

SETUP = """
import logging, sys, time
import numpy as np
logging.basicConfig(level="WARNING")
from gallery.faces.detector import MtcnnDetector
from gallery.faces.mtcnn import compiler
detector = MtcnnDetector()
picture = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
"""


def run(code: str, folder: Path = REPOSITORY, **variables: str) -> tuple[list[str], str]:
    done = subprocess.run(
        [sys.executable, "-c", SETUP + code],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)} | variables,
    )
    return done.stdout.split(), done.stderr


def test_a_few_pictures_do_not_wait_and_many_are_faster_by_themselves() -> None:
    output, _ = run("""
for _ in range(5):
    detector.detect([picture])
print("numba" in sys.modules)
detector.detect([picture])
while compiler.ready() is None:
    time.sleep(0.05)
detector.detect([picture])
print("numba" in sys.modules)
""")
    assert output == ["False", "True"]


def test_where_nothing_can_be_written_the_nets_are_compiled_all_the_same(tmp_path: Path) -> None:
    shutil.copytree(
        REPOSITORY / "gallery", tmp_path / "gallery", ignore=shutil.ignore_patterns("__pycache__")
    )
    code = """
import numba.core.caching
# A read-only installation, a home that is not there: as in a service that may write to its state alone.
for locator in numba.core.caching.CacheImpl._locator_classes:
    locator.ensure_cache_path = lambda self: (_ for _ in ()).throw(OSError("read-only"))
compiler.load()
detector.detect([picture])
print(compiler.ready() is not None)
"""
    output, errors = run(code, tmp_path, PYTHONDONTWRITEBYTECODE="1")
    assert output == ["True"], errors
    assert not list(tmp_path.rglob("*.nbi"))


def test_without_numba_faces_are_found_and_the_log_says_what_is_missing() -> None:
    output, errors = run("""
sys.modules["numba"] = None
compiler.load()
detector.detect([picture])
print(compiler.ready() is None)
""")
    assert output == ["True"]
    assert errors.count("numba is not usable") == 1
