"""Verifies pairs of photographs: how often an encoder is right, names strangers, or misses people.

uv run python -m benchmarks.accuracy [--encoder dlib|sface|facenet] [--mirror] [--alignment mtcnn|dlib]
    [--engine auto] [--second-engine ENGINE] [--weights FILE] [--pairs DIR] [--device cpu] [--json]
    [--plot PNG]

With --second-engine the second photograph of every pair is encoded by that one, as in a gallery that was
enrolled with another engine; how far the two put the same face apart is told too.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import machine_line
from benchmarks.pairs import LFW_VIEW_1, main_faces, read_pairs
from gallery.faces.chip_encoder import ChipEncoder
from gallery.faces.encoder import build_encoder
from gallery.faces.types import BgrImage, Encodings, Faces

STEPS = (0.75, 0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1)
"""Thresholds of the table, in parts of the encoder's own."""

Distances = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Line:
    """The errors at one threshold, in percent."""

    threshold: float
    accuracy: float
    """Pairs judged rightly, of all; an undetected face counts as a stranger."""
    far: float
    """Pairs of two people that pass for one, of these."""
    frr: float
    """Pairs of one person that do not pass, of these."""


@dataclass(frozen=True, slots=True)
class Report:
    """What one encoder did on one set of pairs."""

    model: str
    pairs: int
    undetected: tuple[str, ...]
    """Photographs in which no face was found."""
    own: Line
    """At the encoder's own threshold."""
    best: Line
    """At the threshold that suits these pairs best; it was chosen on them, so it flatters."""
    lines: tuple[Line, ...]
    engines_apart: tuple[float, float] | None
    """Median and largest distance of two engines' encodings of one face; None: there is one engine."""


def line(same: Distances, different: Distances, threshold: float) -> Line:
    """same and different hold a distance a pair, infinity where a face was not found."""
    accepted, wrongly = int((same <= threshold).sum()), int((different <= threshold).sum())
    right = accepted + len(different) - wrongly
    return Line(
        round(threshold, 4),
        round(100 * right / (len(same) + len(different)), 2),
        round(100 * wrongly / max(len(different), 1), 2),
        round(100 * (1 - accepted / max(len(same), 1)), 2),
    )


def measure(
    encoder: ChipEncoder, folder: Path, device: str, second_encoder: ChipEncoder | None = None
) -> tuple[Report, Distances, Distances]:
    """The report, and the distances of pairs of one and of two people."""
    pairs = read_pairs(folder)
    files = sorted({file for pair in pairs for file in (pair.first, pair.second)})
    found = list(main_faces(files, device))
    encodings = _encodings(encoder, files, found)
    others = encodings if second_encoder is None else _encodings(second_encoder, files, found)

    def distance(first: Path, second: Path) -> float:
        if first not in encodings or second not in others:
            return float("inf")
        return float(np.linalg.norm(encodings[first] - others[second]))

    same = np.array([distance(pair.first, pair.second) for pair in pairs if pair.same])
    different = np.array([distance(pair.first, pair.second) for pair in pairs if not pair.same])
    own = encoder.threshold
    finest = [line(same, different, own * step) for step in np.arange(0.5, 1.5, 0.002)]
    report = Report(
        encoder.model,
        len(pairs),
        tuple(file.name for file in files if file not in encodings),
        line(same, different, own),
        max(finest, key=lambda each: each.accuracy),
        tuple(line(same, different, own * step) for step in STEPS),
        None if second_encoder is None else _apart(encodings, others),
    )
    return report, same, different


def _encodings(
    encoder: ChipEncoder, files: Sequence[Path], found: Sequence[tuple[BgrImage, Faces]]
) -> dict[Path, Encodings]:
    """Of the photographs with a face."""
    rows = encoder.encode_many([bgr for bgr, _ in found], [faces for _, faces in found])
    return {file: each[0] for file, each in zip(files, rows, strict=True) if len(each)}


def _apart(encodings: dict[Path, Encodings], others: dict[Path, Encodings]) -> tuple[float, float]:
    distances = [float(np.linalg.norm(each - others[file])) for file, each in encodings.items()]
    return round(float(np.median(distances)), 4), round(max(distances), 4)


def as_text(report: Report) -> str:
    """A table by threshold."""
    head = [
        machine_line(),
        f"{report.model}: {report.pairs} pairs, {len(report.undetected)} photographs without a face found",
        "",
        "threshold  accuracy     FAR     FRR",
    ]
    rows = [_row(each) for each in report.lines]
    foot = ["", f"own:  {_row(report.own)}", f"best: {_row(report.best)}"]
    if report.engines_apart is not None:
        median, largest = report.engines_apart
        foot.append(f"the engines' encodings of one face: {median} apart, {largest} at most")
    return "\n".join([*head, *rows, *foot])


def _row(each: Line) -> str:
    return f"{each.threshold:9.3f} {each.accuracy:8.2f}% {each.far:6.2f}% {each.frr:6.2f}%"


def plot(report: Report, same: Distances, different: Distances, file: Path) -> None:
    """Both distributions with the encoder's threshold between them."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 3.5), layout="constrained")
    bins = np.linspace(
        0, max(same[np.isfinite(same)].max(), different[np.isfinite(different)].max()), 60
    ).tolist()
    axes.hist(same[np.isfinite(same)], bins, alpha=0.6, label="one person")
    axes.hist(different[np.isfinite(different)], bins, alpha=0.6, label="two people")
    axes.axvline(report.own.threshold, color="black", linestyle="--", label="threshold")
    axes.set(xlabel="distance", ylabel="pairs", title=f"{report.model}: {report.own.accuracy} % right")
    axes.legend()
    figure.savefig(file, dpi=120)


def main() -> None:
    """Prints the table, or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--encoder", default="dlib", choices=("dlib", "sface", "facenet"))
    parser.add_argument("--alignment", default="mtcnn", choices=("mtcnn", "dlib"))
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--second-engine", metavar="ENGINE")
    parser.add_argument("--weights")
    parser.add_argument("--mirror", action="store_true")
    parser.add_argument("--pairs", type=Path, default=LFW_VIEW_1, metavar="DIR")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--plot", type=Path, metavar="PNG")
    given = parser.parse_args()

    def encoder(engine: str) -> ChipEncoder:
        return build_encoder(
            given.encoder, given.device, given.alignment, engine, given.weights, given.mirror
        )

    second = None if given.second_engine is None else encoder(given.second_engine)
    report, same, different = measure(encoder(given.engine), given.pairs, given.device, second)
    if given.plot is not None:
        plot(report, same, different, given.plot)
    print(json.dumps(asdict(report), indent=2) if given.json else as_text(report))


if __name__ == "__main__":
    main()
