"""How to decide on several samples of one face: by their mean, weighted or not, the best one, or voting.

uv run python -m benchmarks.fusion [--clips DIR] [--threshold 0.52] [--samples 3,6] [--json]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.tracks_scenes import CLIPS, HEADPOSE_MAN, MAN_A, MIRANDA, WOMAN, Person, picture
from daemon.config import Config, DaemonConfig
from daemon.evidence import Evidence

if TYPE_CHECKING:
    from gallery.faces.engine import FaceEngine

EVERY = 3
"""Every third frame is a sample, as for a face that is not decided at 30 frames a second."""

CASES: tuple[tuple[str, tuple[int, int], float, Person, bool], ...] = (
    # Clip, frames, where the face is (share of the width), who is enrolled, whether it is the face's person.
    ("asl_milk.mkv", (0, 51), 0.5, MAN_A, True),
    ("asl_book.mkv", (0, 109), 0.5, MAN_A, False),
    ("asl_again.mkv", (0, 77), 0.5, MAN_A, False),
    ("headpose_woman_and_man.mp4", (0, 56), 0.25, WOMAN, True),
    ("headpose_woman_and_man.mp4", (0, 56), 0.75, HEADPOSE_MAN, True),
    ("headpose_woman_and_man.mp4", (0, 56), 0.25, HEADPOSE_MAN, False),
    ("headpose_woman_and_man.mp4", (0, 56), 0.75, WOMAN, False),
    ("three_people_walk_and_pause.mp4", (0, 41), 0.1, WOMAN, True),
    ("three_people_walk_and_pause.mp4", (0, 41), 0.5, WOMAN, False),
    ("three_people_walk_and_pause.mp4", (0, 41), 0.9, WOMAN, False),
    ("short_hamilton_clip.mp4", (82, 211), 0.5, MIRANDA, True),
    ("short_hamilton_clip.mp4", (211, 275), 0.5, MIRANDA, False),
)
Distances = NDArray[np.float64]
Fusion = Callable[[NDArray[np.float32], Distances, NDArray[np.float32], float], float]
"""Encodings[n, d] of a window, their qualities[n], the reference[d], the threshold -> one distance."""


def mean(encodings: NDArray[np.float32], weights: Distances, known: NDArray[np.float32], _: float) -> float:
    return float(np.linalg.norm(encodings.mean(axis=0) - known))


def weighted(
    encodings: NDArray[np.float32], weights: Distances, known: NDArray[np.float32], _: float
) -> float:
    return float(np.linalg.norm(np.average(encodings, axis=0, weights=np.maximum(weights, 0.05)) - known))


def widened(
    encodings: NDArray[np.float32], weights: Distances, known: NDArray[np.float32], _: float
) -> float:
    evidence = Evidence()
    for encoding, weight in zip(encodings, weights, strict=True):
        evidence.add(encoding, float(weight), 0.0)
    return float(np.sqrt(np.square(evidence.fused - known).sum() + evidence.spread))


def best(encodings: NDArray[np.float32], weights: Distances, known: NDArray[np.float32], _: float) -> float:
    return float(np.linalg.norm(encodings[int(np.argmax(weights))] - known))


def voting(encodings: NDArray[np.float32], weights: Distances, known: NDArray[np.float32], _: float) -> float:
    # The middle distance is at most the threshold exactly where most samples' are.
    return float(np.median(np.linalg.norm(encodings - known, axis=1)))


FUSIONS: dict[str, Fusion] = {
    "mean": mean,
    "weighted mean": weighted,
    "weighted mean, widened": widened,
    "best sample": best,
    "voting": voting,
}


def main() -> None:
    """Prints errors at the threshold and the separation, by way of deciding."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, default=CLIPS, help="folder with clips/ and gallery/")
    parser.add_argument("--threshold", type=float, default=Config().encoder.threshold)
    parser.add_argument("--samples", default="1,3,6,12")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    from daemon.engine import build_engine

    engine, _ = build_engine(Config(daemon=DaemonConfig(device="cpu")))
    cases = [(*collect(engine, options.clips, *case[:3]), case[3], case[4]) for case in CASES]
    rows = [
        figures(engine, options, cases, name, int(count))
        for count in options.samples.split(",")
        for name in FUSIONS
    ]
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        print("  ".join(f"{key} {value}" for key, value in row.items()))


def collect(
    engine: FaceEngine, folder: Path, clip: str, frames: tuple[int, int], place: float
) -> tuple[NDArray[np.float32], Distances]:
    """Encodings and qualities of the fit samples of the face at this place."""
    encodings, weights = [], []
    for number in range(*frames, EVERY):
        bgr = picture(folder / "clips" / clip, number)
        (analysis,) = engine.analyse([bgr])
        if not len(analysis.faces):
            continue
        middles = analysis.faces.boxes[:, [0, 2]].mean(axis=1) / bgr.shape[1]
        row = int(np.argmin(np.abs(middles - place)))
        if not analysis.qualities[row].reasons:
            encodings.append(analysis.encodings[row])
            weights.append(analysis.qualities[row].value)
    return np.array(encodings, np.float32), np.array(weights)


def figures(
    engine: FaceEngine,
    options: argparse.Namespace,
    cases: Sequence[tuple[NDArray[np.float32], Distances, Person, bool]],
    name: str,
    count: int,
) -> dict[str, object]:
    """One way of deciding on windows of so many samples."""
    same: list[float] = []
    other: list[float] = []
    for encodings, weights, (_, file, frame), genuine in cases:
        known = engine.analyse([picture(options.clips / file, frame)])[0].encodings[0]
        for first in range(len(encodings) - count + 1):
            window = slice(first, first + count)
            distance = FUSIONS[name](encodings[window], weights[window], known, options.threshold)
            (same if genuine else other).append(distance)
    missed, wrong = np.array(same) > options.threshold, np.array(other) <= options.threshold
    spread = np.sqrt((np.var(same) + np.var(other)) / 2)
    return {
        "samples": count,
        "by": name,
        "missed": f"{missed.mean():.1%}",
        "wrong": f"{wrong.mean():.1%}",
        "missed_at_2_%_wrong": f"{(np.array(same) > np.quantile(other, 0.02)).mean():.1%}",
        "d_prime": round(float((np.mean(other) - np.mean(same)) / spread), 2),
        "windows": len(same) + len(other),
    }


if __name__ == "__main__":
    main()
