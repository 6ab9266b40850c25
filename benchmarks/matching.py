"""Compares our matching with face_recognition's, FAISS's and mere reading of memory, in turn in one process.

uv run --with faiss-cpu python -m benchmarks.matching [--sizes 1000 100000 1000000] [--rounds 15] [--json]

Checks that the answers are equal. FAISS is left out where it is not installed. Then a gallery of 100,000
encodings is written to a file, opened and read. One thread.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import machine_line
from benchmarks.timing import interleaved
from gallery.matcher import Index, nearest
from gallery.people import NewReference, PersonName
from gallery.store import Gallery

Rows = NDArray[np.float32]

PER_PERSON = 5
LENGTH = 128
NEAR = 0.02
"""Standard deviation of what is added to each number of an enrolled encoding to make a face of it: a distance
of about 0.2, as between two frames of one face."""
IVF_LISTS_PER_ROOT, IVF_PROBES = 4, 32
"""FAISS's own advice: 4 to 16 times the root of the number of encodings."""
LOADED = 100_000
LOADED_PER_PERSON = 50


@dataclass(frozen=True, slots=True)
class Row:
    """One contender at one size."""

    encodings: int
    """How many are enrolled."""
    contender: str
    """Who matched one face."""
    median_ms: float
    """One face; the median round."""
    gigabytes_a_second: float
    """Of encodings gone through."""
    times_reading: float
    """Median over the rounds of its time by that of reading the same memory once."""
    peak_mb: float
    """Python's and numpy's memory while it worked; what C++ takes is not in it."""
    equal: float
    """Share of 100 faces for which it found the same nearest encoding as the definition in float64."""


@dataclass(frozen=True, slots=True)
class Load:
    """A gallery's way from its file into memory."""

    encodings: int
    """How many."""
    open_s: float
    """Opening, with SQLite's check of the whole file; the median of 5."""
    index_s: float
    """Reading every encoding with its checksum; the median of 5."""


def index_of(rows: Rows) -> Index:
    """Everybody with a few encodings."""
    owners = np.arange(len(rows)) // PER_PERSON
    people = [PersonName(str(i), f"person {i}") for i in range(int(owners[-1]) + 1)]
    return Index.of(people, owners, rows, model="benchmark", revision=1)


def unit_rows(random: np.random.Generator, count: int) -> Rows:
    """float32[count, 128] of length 1, in all directions."""
    rows: Rows = random.standard_normal((count, LENGTH), np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def contenders(index: Index) -> dict[str, Callable[[Rows], int]]:
    """Each takes a face, float32[1, 128], and says the place of the person who is nearest."""
    rows = index.encodings

    def ours(face: Rows) -> int:
        return nearest(index, face)[0].first

    def face_distance(face: Rows) -> int:
        # face_recognition.api.face_distance, and the argmin that its users write behind it.
        return int(np.argmin(np.linalg.norm(rows - face, axis=1))) // PER_PERSON

    found: dict[str, Callable[[Rows], int]] = {"visaged": ours, "face_distance": face_distance}
    if find_spec("faiss") is not None:
        found |= _faiss(rows)
    return found


def _faiss(rows: Rows) -> dict[str, Callable[[Rows], int]]:
    import faiss  # type: ignore[import-not-found, unused-ignore]

    faiss.omp_set_num_threads(1)
    flat: Any = faiss.IndexFlatL2(LENGTH)
    flat.add(rows)
    quantizer: Any = faiss.IndexFlatL2(LENGTH)
    inverted: Any = faiss.IndexIVFFlat(quantizer, LENGTH, int(IVF_LISTS_PER_ROOT * len(rows) ** 0.5))
    inverted.nprobe = IVF_PROBES
    inverted.cp.niter, inverted.cp.max_points_per_centroid = 5, 64
    inverted.train(rows)
    inverted.add(rows)

    def search_flat(face: Rows) -> int:
        return int(flat.search(face, 1)[1][0, 0]) // PER_PERSON

    def search_inverted(face: Rows, keep: object = quantizer) -> int:
        # The index uses its quantizer without owning it.
        return int(inverted.search(face, 1)[1][0, 0]) // PER_PERSON

    return {"FAISS, flat": search_flat, "FAISS, IVF": search_inverted}


def measure(count: int, rounds: int) -> list[Row]:
    """Every contender on one number of encodings."""
    random = np.random.default_rng(count)
    index = index_of(unit_rows(random, count))
    rows = index.encodings
    chosen = random.integers(0, count, 100)
    faces: Rows = rows[chosen] + NEAR * random.standard_normal((100, LENGTH), np.float32)
    right = [_by_definition(rows, face) // PER_PERSON for face in faces]
    matchers = contenders(index)
    # One multiplication and addition a number, the same loop for all of it: nothing reads it faster in numpy.
    ones = np.ones(LENGTH, np.float32)
    work: dict[str, Callable[[], object]] = {"reading": lambda: np.einsum("ij,j->i", rows, ones)}
    work |= {name: partial(match, faces[:1]) for name, match in matchers.items()}
    times = interleaved(work, rounds)
    found = []
    for name, taken in times.items():
        ratio = 1 / taken.faster_than(times["reading"])[1]
        speed = rows.nbytes / taken.median_ms / 1e6
        match = matchers.get(name)
        equal = 1.0 if match is None else _agreement(match, faces, right)
        found.append(Row(count, name, taken.median_ms, speed, ratio, _peak_mb(work[name]), equal))
    return found


def _by_definition(rows: Rows, face: Rows) -> int:
    best, least = -1, np.inf
    for start in range(0, len(rows), 100_000):
        distances = np.linalg.norm(rows[start : start + 100_000].astype(np.float64) - face, axis=1)
        if distances.min() < least:
            best, least = start + int(np.argmin(distances)), float(distances.min())
    return best


def _agreement(match: Callable[[Rows], int], faces: Rows, right: list[int]) -> float:
    same = [match(face[None]) == person for face, person in zip(faces, right, strict=True)]
    return sum(same) / len(same)


def _peak_mb(work: Callable[[], object]) -> float:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def load(folder: Path, count: int = LOADED) -> Load:
    """Writes a gallery by the way that everybody is enrolled, and reads it."""
    path = folder / "gallery.db"
    rows = unit_rows(np.random.default_rng(1), count)
    with Gallery.open(path) as gallery:
        for first in range(0, count, LOADED_PER_PERSON):
            new = [
                NewReference(rows[i], "benchmark", f"{i:064x}", "a.jpg", 0.5)
                for i in range(first, first + LOADED_PER_PERSON)
            ]
            gallery.add(f"person {first}", new, 1)
    opened, read = [], []
    for _ in range(5):
        started = time.perf_counter()
        with Gallery.open(path, create=False) as gallery:
            opened.append(time.perf_counter() - started)
            gallery.index("benchmark")
            read.append(time.perf_counter() - started - opened[-1])
    return Load(count, statistics.median(opened), statistics.median(read))


def as_text(rows: list[Row], loaded: Load) -> str:
    """A table for people."""
    lines = [
        machine_line(),
        "",
        "encodings  contender       ms a face   GB/s   times reading   peak MB   right",
    ]
    lines += [
        f"{row.encodings:9}  {row.contender:14} {row.median_ms:10.3f} {row.gigabytes_a_second:6.1f} "
        f"{row.times_reading:15.2f} {row.peak_mb:9.1f} {row.equal:7.0%}"
        for row in rows
    ]
    total_s = loaded.open_s + loaded.index_s
    lines += [
        "",
        f"{loaded.encodings} encodings from the file: {total_s:.2f} s "
        f"(checked and opened {loaded.open_s:.2f} s, read {loaded.index_s:.2f} s)",
    ]
    return "\n".join(lines)


def main() -> None:
    """Prints a table, or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = [row for count in given.sizes for row in measure(count, given.rounds)]
    with tempfile.TemporaryDirectory() as folder:
        loaded = load(Path(folder))
    if given.json:
        print(json.dumps({"rows": [asdict(row) for row in rows], "load": asdict(loaded)}, indent=2))
    else:
        print(as_text(rows, loaded))


if __name__ == "__main__":
    main()
