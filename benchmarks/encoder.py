"""Compares our encoders with dlib's own, in turn in one process, on the same real faces.

uv run python -m benchmarks.encoder [--device cuda] [--threads 1] [--faces 100] [--rounds 10]
    [--only torch openvino] [--photographs DIR] [--json]

Checks that the answers are equal, times one face, 8 and 32, counts what is left to a Python thread meanwhile,
and on a GPU the kernels and the waits of one call.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from benchmarks.machine import machine_line
from benchmarks.pairs import LFW_VIEW_1, main_faces, photographs
from benchmarks.timing import Times, interleaved
from gallery.faces import threads
from gallery.faces.chip_encoder import ChipEncoder
from gallery.faces.device import describe, resolve
from gallery.faces.encoder import DlibEncoder, build_encoder
from gallery.faces.models import ModelUnusable
from gallery.faces.types import BgrImage, Encodings, Faces

BATCHES = (1, 8, 32)
REFERENCE = "dlib"
OTHERS = {
    "sface": ("sface", "torch"),
    "sface, bf16": ("sface", "torch-bf16"),
    "sface, openvino": ("sface", "openvino"),
    "sface, openvino-bf16": ("sface", "openvino-bf16"),
    "sface, openvino-int8": ("sface", "openvino-int8"),
    "facenet": ("facenet", "torch"),
}
"""Encoder and engine of what is not dlib's."""
SAMPLES = Path(__file__).parent.parent / "samples"


@dataclass(frozen=True, slots=True)
class Speed:
    """One encoder on one number of faces, alignment included."""

    encoder: str
    faces: int
    ms_a_face: float
    """The median round."""
    times_dlib: tuple[float, float, float]
    """How many times faster than dlib: lower quartile, median, upper quartile."""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was measured."""

    machine: str
    device: str
    threads: int
    faces: int
    largest_difference: Mapping[str, float]
    """To dlib's encodings of the same chips, in any of 128 numbers."""
    speeds: tuple[Speed, ...]
    python_thread_keeps: Mapping[str, float]
    """Percent of its own speed while 8 faces at a time are encoded."""
    cuda_kernels: int | None
    """Of one call with 8 faces of one image; None on a CPU."""
    cuda_waits: int | None
    """Times that this call waits for the GPU."""


Contenders = Mapping[str, ChipEncoder]
Pictures = Sequence[tuple[BgrImage, Faces]]


def contenders(device: str) -> dict[str, ChipEncoder]:
    """dlib and all encoders that are installed here, by name."""
    found: dict[str, ChipEncoder] = {REFERENCE: DlibEncoder(engine="dlib")}
    if device == "cpu":
        found["compiled"] = DlibEncoder(engine="compiled")
    found["torch"] = DlibEncoder(device, engine="torch")
    if device == "cpu" and find_spec("openvino") is not None:
        found["openvino"] = DlibEncoder(engine="openvino")
    found["mirror"] = DlibEncoder(device, mirror=True)
    for name, (encoder, engine) in OTHERS.items():
        if device != "cpu" and engine.startswith("openvino"):
            continue
        try:
            found[name] = build_encoder(encoder, device, engine=engine)
        except (ModelUnusable, ValueError) as missing:
            print(f"{name}: left out, {missing}", file=sys.stderr)
    return found


def encode(encoder: ChipEncoder, pictures: Pictures) -> Encodings:
    """All faces in one call."""
    return np.concatenate(encoder.encode_many(*zip(*pictures, strict=True)))


def differences(encoders: Contenders, pictures: Pictures) -> dict[str, float]:
    """Of the other engines to dlib itself."""
    expected = encode(encoders[REFERENCE], pictures)
    engines = [name for name in ("compiled", "torch", "openvino") if name in encoders]
    return {name: float(np.abs(encode(encoders[name], pictures) - expected).max()) for name in engines}


def speeds(encoders: Contenders, pictures: Pictures, rounds: int) -> list[Speed]:
    """Each encoder on each number of faces, in turn."""
    result: list[Speed] = []
    for count in BATCHES:
        some = list(itertools.islice(itertools.cycle(pictures), count))
        work: dict[str, Callable[[], object]] = {
            name: partial(encode, encoder, some) for name, encoder in encoders.items()
        }
        times = interleaved(work, rounds)
        result += [_speed(name, count, each, times[REFERENCE]) for name, each in times.items()]
    return result


def _speed(name: str, count: int, times: Times, reference: Times) -> Speed:
    low, middle, high = (round(ratio, 2) for ratio in times.faster_than(reference))
    return Speed(name, count, round(times.median_ms / count, 3), (low, middle, high))


def python_thread_keeps(encoders: Contenders, pictures: Pictures, rounds: int = 8) -> dict[str, float]:
    """Percent of its speed that a thread of pure Python keeps while each encoder works beside it."""
    some = list(itertools.islice(itertools.cycle(pictures), 8))
    with CountingThread() as counting:
        return {name: _kept(counting, encoder, some, rounds) for name, encoder in encoders.items()}


def _kept(counting: CountingThread, encoder: ChipEncoder, some: Pictures, rounds: int) -> float:
    """The median of short rounds, each beside one without an encoder, as other work comes and goes."""
    shares = [
        counting.rate(lambda: encode(encoder, some), 0.3) / counting.rate(lambda: time.sleep(0.1), 0.2)
        for _ in range(rounds)
    ]
    return round(100 * statistics.median(shares), 1)


class CountingThread:
    """Counts as fast as Python can."""

    def __init__(self) -> None:
        self._count = 0
        self._quit = threading.Event()
        self._thread = threading.Thread(target=self._run, name="counting")

    def __enter__(self) -> CountingThread:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._quit.set()
        self._thread.join()

    def rate(self, work: Callable[[], object], seconds: float) -> float:
        """Counts a second while the work is done again and again for at least so long."""
        count, started = self._count, time.perf_counter()
        while time.perf_counter() - started < seconds:
            work()
        return (self._count - count) / (time.perf_counter() - started)

    def _run(self) -> None:
        while not self._quit.is_set():
            for _ in range(1000):
                self._count += 1


def launches(encoder: ChipEncoder, pictures: Pictures) -> tuple[int, int]:
    """Kernels and waits of one call with 8 faces of one image, as the profiler counts them."""
    bgr, face = pictures[0]
    faces = face.take([0] * 8)
    encoder.encode(bgr, faces)
    torch.cuda.synchronize()
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        encoder.encode(bgr, faces)
    names = [event.name for event in profile.events()]
    kernels = sum(name.startswith(("cudaLaunchKernel", "cuLaunchKernel")) for name in names)
    waits = sum(name.startswith(("cudaStreamSynchronize", "cudaDeviceSynchronize")) for name in names)
    return kernels, waits


def measure(given: argparse.Namespace) -> Report:
    """Runs everything."""
    threads.configure(given.threads)
    device = resolve(given.device)
    folder = given.photographs if given.photographs.is_dir() else SAMPLES
    files = photographs(folder)[: given.faces]
    pictures = [each for each in main_faces(files, "cpu") if len(each[1])]
    encoders = contenders(device)
    if given.only is not None:
        encoders = {name: each for name, each in encoders.items() if name in (REFERENCE, *given.only)}
    counts = launches(DlibEncoder(device), pictures) if device != "cpu" else (None, None)
    return Report(
        machine_line(),
        describe(device),
        given.threads,
        len(pictures),
        differences(encoders, pictures),
        tuple(speeds(encoders, pictures, given.rounds)),
        python_thread_keeps(encoders, pictures),
        *counts,
    )


def as_text(report: Report) -> str:
    """Tables for people."""
    lines = [f"{report.machine}", f"{report.device}; {report.faces} faces", ""]
    lines += [
        f"{name}: at most {each:.1e} off dlib in any of 128 numbers"
        for name, each in report.largest_difference.items()
    ]
    lines += ["", "encoder              faces   ms a face   times dlib (quartiles)   a Python thread keeps"]
    for speed in report.speeds:
        low, middle, high = speed.times_dlib
        kept = f"{report.python_thread_keeps[speed.encoder]:6.0f} %" if speed.faces == 8 else ""
        lines.append(
            f"{speed.encoder:20} {speed.faces:5} {speed.ms_a_face:11.2f}   "
            f"{f'{middle:6.1f} ({low:.1f} to {high:.1f})':24} {kept:>10}"
        )
    if report.cuda_kernels is not None:
        lines.append(f"\n{report.cuda_kernels} kernels and {report.cuda_waits} waits a call")
    return "\n".join(lines)


def main() -> None:
    """Prints tables, or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--faces", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--photographs", type=Path, default=LFW_VIEW_1 / "images", metavar="DIR")
    parser.add_argument("--only", nargs="+", metavar="ENCODER", help="as named in the table; dlib always")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    report = measure(given)
    print(json.dumps(asdict(report), indent=2) if given.json else as_text(report))


if __name__ == "__main__":
    main()
