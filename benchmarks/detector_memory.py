"""Watches the detector's memory over frames of ever other sizes: it must not grow after the first minute.

uv run python -m benchmarks.detector_memory [--minutes 30] [--engine auto] [--device cpu]
    [--threads N] [--json]

Prints a line a minute; exits 1 if the process ever needs over 5 % more than after the first.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks.machine import machine_line
from benchmarks.scenes import compose, portraits
from gallery.faces import threads
from gallery.faces.detector import MtcnnDetector
from gallery.faces.types import BgrImage

SHORTEST_PX, LONGEST_PX = 160, 1280
ALLOWED = 0.05
SCENES = 12


@dataclass(frozen=True, slots=True)
class Sample:
    """Memory in a minute."""

    minute: float
    calls: int
    """Since the start, each of one to three frames."""
    megabytes: float
    """Resident, the mean after each call: what was just let go varies. Of the GPU where there is one."""


def samples(detector: MtcnnDetector, minutes: float) -> Iterator[Sample]:
    """One a minute, or ten in all where the whole is shorter than ten minutes."""
    random = np.random.default_rng(0)
    pictures = portraits()
    scenes = [compose(pictures, 1080, 1920, faces, random) for faces in range(SCENES)]
    every_s = min(60.0, minutes * 6)
    started, calls = time.monotonic(), 0
    for index in range(1, round(minutes * 60 / every_s) + 1):
        megabytes: list[float] = []
        while time.monotonic() - started < index * every_s or not megabytes:
            detector.detect([_of_some_size(scenes, random) for _ in range(random.integers(1, 4))])
            megabytes.append(_megabytes(detector.device))
        calls += len(megabytes)
        yield Sample(round(index * every_s / 60, 2), calls, round(statistics.mean(megabytes), 1))


def _of_some_size(scenes: list[BgrImage], random: np.random.Generator) -> BgrImage:
    width, height = (int(side) for side in random.integers(SHORTEST_PX, LONGEST_PX, 2))
    return np.asarray(cv2.resize(scenes[random.integers(len(scenes))], (width, height)), np.uint8)


def _megabytes(device: str) -> float:
    if device != "cpu":
        return torch.cuda.memory_reserved(device) / 1e6
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def main() -> None:
    """Prints the samples."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    threads.configure(given.threads)
    detector = MtcnnDetector(given.device, engine=given.engine)
    taken: list[Sample] = []
    for sample in samples(detector, given.minutes):
        taken.append(sample)
        print(
            f"minute {sample.minute:5.1f}: {sample.calls:6} calls, {sample.megabytes:8.1f} MB",
            file=sys.stderr,
        )
    first = next((sample for sample in taken if sample.minute >= 1), taken[0])
    growth = max(sample.megabytes for sample in taken if sample.minute >= first.minute) / first.megabytes - 1
    if given.json:
        print(
            json.dumps(
                {"engine": detector.engine, "growth": growth, "samples": [asdict(each) for each in taken]}
            )
        )
    else:
        print(f"{machine_line()}\n{detector.engine}: {growth:+.1%} at most after the first minute")
    sys.exit(growth > ALLOWED)


if __name__ == "__main__":
    main()
