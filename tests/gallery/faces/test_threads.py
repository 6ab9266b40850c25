"""One number of threads for every library, and workers that compute alone."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from gallery.faces.threads import configure, physical_cores
from tests.conftest import REPOSITORY


def run(code: str) -> list[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "MKL_"))}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
        env=environment,
    )
    return done.stdout.split()


def test_libraries_that_come_later_take_the_number() -> None:
    code = """
from gallery.faces.threads import configure
configure(1)
import cv2, torch
print(cv2.getNumThreads(), torch.get_num_threads())
"""
    assert run(code) == ["1", "1"]


def test_nets_need_not_wait_long_for_the_interpreter_lock() -> None:
    code = """
import sys
from gallery.faces.threads import configure
configure(1)
print(sys.getswitchinterval())
"""
    assert run(code) == ["0.001"]


def test_libraries_that_are_there_take_the_number() -> None:
    code = """
import cv2, torch
from gallery.faces.threads import configure
configure(3)
print(cv2.getNumThreads(), torch.get_num_threads())
"""
    assert run(code) == ["3", "3"]


def test_openblas_takes_the_number() -> None:
    code = """
from gallery.faces.threads import configure
configure(1)
import numpy
from threadpoolctl import threadpool_info
print(*{pool["num_threads"] for pool in threadpool_info() if pool["internal_api"] == "openblas"})
"""
    pytest.importorskip("threadpoolctl")
    assert run(code) == ["1"]


def test_nothing_heavy_is_imported_to_set_a_number() -> None:
    code = """
import sys
from gallery.faces.threads import configure
configure(2)
print([name for name in ("torch", "cv2", "numpy") if name in sys.modules])
"""
    assert run(code) == ["[]"]


def test_without_a_number_it_is_the_physical_cores() -> None:
    code = "from gallery.faces.threads import configure; print(configure(None))"
    assert run(code) == [str(physical_cores())]


def test_there_is_at_least_one_core_and_no_more_than_the_system_shows() -> None:
    assert 1 <= physical_cores() <= (os.cpu_count() or 1)


def test_no_thread_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, not 0"):
        configure(0)


@pytest.mark.parametrize("torch", [True, False])
def test_work_side_by_side_comes_back_in_order_on_as_many_threads(torch: bool) -> None:
    code = f"""
import sys, threading, time
if {torch}:
    import torch
from gallery.faces.mtcnn.workers import count, each
from gallery.faces.threads import configure
configure(3)
together = threading.Barrier(3)
def work(i):
    if i < 3:
        together.wait(60)
    return i, count()
print(each(work, [(i,) for i in range(9)]) == [(i, 3) for i in range(9)], "torch" in sys.modules)
"""
    assert run(code) == ["True", str(torch)]


def test_torch_computes_alone_in_each_thread_of_the_work_and_stays_as_it_was_elsewhere() -> None:
    code = """
import threading
from gallery.faces.mtcnn.workers import each
from gallery.faces.threads import configure
configure(3)
print(each(int, [(i,) for i in range(3)]) == [0, 1, 2])
import torch
def work(i):
    return i, torch.get_num_threads()
print(each(work, [(i,) for i in range(9)]) == [(i, 1) for i in range(9)])
later = []
thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
thread.start(); thread.join()
print(torch.get_num_threads(), later[0])
"""
    assert run(code) == ["True", "True", "3", "3"]
