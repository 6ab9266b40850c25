"""Compares our detector with facenet-pytorch's MTCNN, in turn in one process, on the same frames.

uv run python -m benchmarks.detector [--device cuda] [--threads 1,2] [--engines torch,openvino] [--rounds 5]
    [--sizes 480p,720p,1080p] [--faces 0,1,5,15] [--scenes 30] [--no-counts] [--json]

First checks on composed scenes that both find the same faces, then times every frame, then counts what a 720p
frame asks of a GPU and how often the host waits for it. On CUDA it also takes 8 frames of 720p at once, and
tells how busy the device is. Exits 1 if a face is missing or added.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np

from benchmarks.agreement import NOTHING, Agreement, agreement
from benchmarks.facenet_mtcnn import FacenetMtcnn
from benchmarks.machine import machine_line
from benchmarks.operations import Operations, on_gpu
from benchmarks.scenes import FACE_COUNTS, SIZES, compose, portraits
from benchmarks.timing import Times, interleaved
from gallery.faces.detector import EngineUnavailable, MtcnnDetector, resolve_engine
from gallery.faces.device import describe, resolve
from gallery.faces.mtcnn.packed import PackedCascade
from gallery.faces.threads import configure
from gallery.faces.types import BgrImage

BATCH = 8
ENGINES = ("compiled", "openvino", "torch")
"""Measured where they are there, if none are asked for."""
REFERENCE = "facenet-pytorch"


@dataclass(frozen=True, slots=True)
class Speed:
    """One engine on one frame."""

    engine: str
    threads: int
    size: str
    faces: int
    """On the frame."""
    frames: int
    """In one call."""
    ms_a_frame: float
    """The median round."""
    reference_ms_a_frame: float
    times: tuple[float, float, float]
    """How many times faster: lower quartile, median, upper quartile."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What one 720p frame asks of a GPU."""

    detector: str
    faces: int
    operations: int
    waits: int


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was measured."""

    machine: str
    device: str
    agreement: dict[str, Agreement]
    """By engine, over all scenes."""
    speeds: tuple[Speed, ...]
    geometric_mean: dict[str, float]
    """Of the medians, by engine and threads."""
    counts: tuple[Counts, ...]
    counted_on: str
    busy_percent: float | None
    """Of the GPU while ours runs batch after batch; None without one."""


def check(engines: Sequence[str], device: str, scenes: Sequence[BgrImage]) -> dict[str, Agreement]:
    """Each engine's faces against facenet-pytorch's, on every scene; all scenes in one batch for ours."""
    reference = FacenetMtcnn(device)
    expected = [reference.detect(scene) for scene in scenes]
    found = {engine: MtcnnDetector(device, engine=engine).detect(scenes) for engine in engines}
    return {engine: sum(map(agreement, expected, faces), start=NOTHING) for engine, faces in found.items()}


def speeds(
    engines: Sequence[str], device: str, threads: int, frames: dict[tuple[str, int], BgrImage], rounds: int
) -> Iterator[Speed]:
    """Each engine and facenet-pytorch in turn, a frame at a time; and on a GPU 8 frames of 720p at once."""
    configure(threads)
    reference = FacenetMtcnn(device)
    detectors = {engine: MtcnnDetector(device, engine=engine) for engine in engines}
    batches = [(size, faces, [frame]) for (size, faces), frame in frames.items()]
    if device != "cpu":
        batches += [(size, faces, [frame] * BATCH) for size, faces, [frame] in batches if size == "720p"]
    for size, faces, batch in batches:
        rgb = [np.ascontiguousarray(frame[:, :, ::-1]) for frame in batch]
        work: dict[str, Callable[[], object]] = {REFERENCE: partial(reference.run, rgb)}
        work |= {engine: partial(detector.detect, batch) for engine, detector in detectors.items()}
        times = interleaved(work, rounds)
        for engine in engines:
            speed = _speed(engine, threads, size, faces, len(batch), times[engine], times[REFERENCE])
            print(_line(speed), file=sys.stderr)
            yield speed


def counts(device: str) -> Iterator[Counts]:
    """Kernels and waits on a GPU; without one, the operations of the same path on the CPU.

    There the transfer of the result, the one wait of ours, is not seen and is added; facenet-pytorch's many
    transfers are not seen either, and are not added.
    """
    reference = FacenetMtcnn(device)
    packed = PackedCascade(20, (0.6, 0.7, 0.7), device)
    for faces, frame in ((faces, _frame("720p", faces)) for faces in FACE_COUNTS):
        rgb = [np.ascontiguousarray(frame[:, :, ::-1])]
        works: dict[str, Callable[[], object]] = {
            "ours": partial(packed.detect, [frame]),
            REFERENCE: partial(reference.run, rgb),
        }
        for name, work in works.items():
            work()
            if device != "cpu":
                yield Counts(name, faces, *on_gpu(work))
                continue
            with Operations() as operations:
                work()
            yield Counts(name, faces, operations.computing, operations.waiting + (name == "ours"))


def busy_percent(device: str, seconds: float = 5.0) -> float | None:
    """How much of the time the GPU has work, in the driver's own sampling, while ours runs without pause."""
    if device == "cpu":
        return None
    detector = MtcnnDetector(device)
    batch = [_frame("720p", 5)] * BATCH
    detector.detect(batch)
    query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "200"]
    index = device.partition(":")[2] or "0"
    with subprocess.Popen([*query, "-i", index], stdout=subprocess.PIPE, text=True) as sampling:
        started = time.perf_counter()
        while time.perf_counter() - started < seconds:
            detector.detect(batch)
        sampling.terminate()
        samples = [float(line) for line in sampling.communicate()[0].split() if line.isdecimal()]
    return statistics.median(samples) if samples else None


def measure(given: argparse.Namespace) -> Report:
    """Runs everything."""
    device = resolve(given.device)
    frames = {(size, faces): _frame(size, faces) for size in given.sizes for faces in given.faces}
    random = np.random.default_rng(7)
    pictures = portraits()
    sizes, faces = list(SIZES.values()), (0, 1, 3, 5, 8, 15, 30)
    scenes = [
        compose(pictures, *sizes[index % len(sizes)], faces[index % len(faces)], random)
        for index in range(given.scenes)
    ]
    configure(max(given.threads))
    agreed = check(given.engines, device, scenes)
    measured = [
        speed
        for threads in given.threads
        for speed in speeds(given.engines, device, threads, frames, given.rounds)
    ]
    return Report(
        machine_line(),
        describe(device),
        agreed,
        tuple(measured),
        _geometric_means(measured),
        tuple(counts(device)) if given.counts else (),
        "the GPU, by the profiler" if device != "cpu" else "the CPU, on which the GPU's path ran",
        busy_percent(device),
    )


def as_text(report: Report) -> str:
    """Tables for people."""
    lines = [report.machine, report.device, ""]
    for engine, agreed in report.agreement.items():
        lines.append(
            f"{engine}: of {agreed.expected} faces {agreed.missing} missing, {agreed.added} added, "
            f"at most {agreed.farthest_px:.1g} px apart"
        )
    lines += ["", "engine         threads  frame     faces  batch  ms a frame  facenet  times (quartiles)"]
    lines += [_line(speed) for speed in report.speeds]
    lines += [""] + [f"{name}: {mean:.2f} times" for name, mean in report.geometric_mean.items()]
    if report.counts:
        lines += ["", f"A 720p frame, counted on {report.counted_on}:"]
    for count in report.counts:
        lines.append(
            f"{count.detector:16} {count.faces:3} faces {count.operations:6} operations {count.waits:5} waits"
        )
    if report.busy_percent is not None:
        lines.append(f"\nThe GPU is busy {report.busy_percent:.0f} % of the time")
    return "\n".join(lines)


def _line(speed: Speed) -> str:
    low, middle, high = speed.times
    return (
        f"{speed.engine:14} {speed.threads:7}  {speed.size:8} {speed.faces:6} {speed.frames:6} "
        f"{speed.ms_a_frame:11.1f} {speed.reference_ms_a_frame:8.1f}  "
        f"{middle:.2f} ({low:.2f} to {high:.2f})"
    )


def _speed(
    engine: str, threads: int, size: str, faces: int, frames: int, times: Times, reference: Times
) -> Speed:
    low, middle, high = (round(ratio, 2) for ratio in times.faster_than(reference))
    ours, theirs = (round(each.median_ms / frames, 2) for each in (times, reference))
    return Speed(engine, threads, size, faces, frames, ours, theirs, (low, middle, high))


def _geometric_means(measured: Sequence[Speed]) -> dict[str, float]:
    ratios: dict[str, list[float]] = {}
    for speed in measured:
        batch = f", {speed.frames} at once" if speed.frames > 1 else ""
        ratios.setdefault(f"{speed.engine}, threads {speed.threads}{batch}", []).append(speed.times[1])
    return {name: round(statistics.geometric_mean(each), 2) for name, each in ratios.items()}


def _frame(size: str, faces: int) -> BgrImage:
    """The same frame each time."""
    return compose(portraits(), *SIZES[size], faces, np.random.default_rng(faces))


def _is_there(engine: str, device: str) -> bool:
    try:
        return bool(resolve_engine(engine, device))
    except EngineUnavailable:
        return False


def _list(text: str) -> list[str]:
    return text.split(",")


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def main() -> None:
    """Prints tables, or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=_numbers, default=[1, 2], metavar="N,N")
    parser.add_argument("--engines", type=_list, default=None, metavar="NAME,NAME")
    parser.add_argument("--sizes", type=_list, default=list(SIZES), metavar="NAME,NAME")
    parser.add_argument("--faces", type=_numbers, default=list(FACE_COUNTS), metavar="N,N")
    parser.add_argument("--scenes", type=int, default=30, help="on which the faces are compared")
    parser.add_argument("--no-counts", dest="counts", action="store_false", help="count no operations")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.engines is None:
        given.engines = [engine for engine in ENGINES if _is_there(engine, resolve(given.device))]
    report = measure(given)
    print(json.dumps(asdict(report), indent=2) if given.json else as_text(report))
    if not all(agreed.complete for agreed in report.agreement.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
