"""The one place that says how many threads torch, OpenCV, OpenMP and OpenBLAS may use.

Each of them takes every core it sees. Left alone they fight: a detection of 110 ms on two threads took 328 ms
beside two busy processes, and 182 ms with threads that sleep while they wait.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path

CPU_FOLDER = Path("/sys/devices/system/cpu")

LIBRARY_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
)


SWITCH_INTERVAL_S = 0.001
"""How long a Python thread may keep the interpreter lock while another wants it, instead of 5 ms. A net wants
it at every operation: beside a thread that computes in Python a face took 52 ms to encode, with this 19."""


_given: int | None = None


def count() -> int:
    """How many threads a library may use: as configured, or else the physical cores."""
    return _given or physical_cores()


def configure(threads: int | None) -> int:
    """Limit every library, loaded or still to come, here and in child processes; None: the physical cores.

    Call it before torch, OpenCV and numpy are imported where that is possible: how OpenMP's threads wait is
    read once, when its library loads.
    """
    given = physical_cores() if threads is None else threads
    if given < 1:
        raise ValueError(f"threads must be at least 1, not {given}")
    global _given
    _given = given
    for variable in LIBRARY_VARIABLES:
        os.environ[variable] = str(given)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(given)
    if "cv2" in sys.modules:
        import cv2

        cv2.setNumThreads(given)
    return given


@cache
def physical_cores() -> int:
    """Cores this process may run on, hyper-threads counted once."""
    allowed = _allowed_cpus()
    siblings = {_core_of(cpu) for cpu in allowed}
    return max(1, len(siblings))


def _allowed_cpus() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))


def _core_of(cpu: int) -> str:
    try:
        return (CPU_FOLDER / f"cpu{cpu}" / "topology" / "thread_siblings_list").read_text().strip()
    except OSError:
        # Not Linux, or a container that hides it: each is its own core.
        return str(cpu)
