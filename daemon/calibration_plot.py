"""Draws how near people come to one another, and the thresholds between."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daemon.image_file import write
from gallery.calibration import Calibration
from gallery.impostors import Statistics
from gallery.matcher import Index

MOST_PAIRS = 1_000_000
"""Pairs of references that are drawn; more change no picture."""
BINS = 80


def save(file: Path, index: Index, calibration: Calibration, statistics: Statistics) -> None:
    """Writes a PNG; UsageError where it can't be written. People stand by their number in the table."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    people = calibration.people
    height = 3 + min(9.0, max(1.5, 0.12 * len(people)))
    figure, (top, bottom) = pyplot.subplots(
        2, 1, figsize=(8, height), sharex=True, layout="constrained", height_ratios=(3, height - 3)
    )
    for label, distances, shares in (
        ("one person, measured", statistics.genuine_distances, statistics.genuine_probabilities),
        ("strangers, measured", statistics.distances, statistics.probabilities),
    ):
        top.stairs(np.diff(shares) / np.diff(distances), distances, fill=True, alpha=0.5, label=label)
    own = between_people(index)
    if len(own):
        top.hist(own, BINS, density=True, histtype="step", color="black", label="people of this gallery")
    top.axvline(calibration.cap, color="black", linestyle="--", label=f"{calibration.cap:g} for everybody")
    top.set(ylabel="density", yticks=[], title=f"{calibration.model}: {len(people)} people")
    top.legend(fontsize="small")
    rows = np.arange(1, len(people) + 1)
    bottom.hlines(rows, [each.low for each in people], [each.high for each in people], alpha=0.5)
    bottom.plot([each.threshold for each in people], rows, "|", color="black")
    bottom.axvline(calibration.cap, color="black", linestyle="--")
    bottom.set(xlabel="distance", ylabel="person (# in the table)", ylim=(len(people) + 0.5, 0.5))
    content = io.BytesIO()
    try:
        figure.savefig(content, dpi=120, format="png")
    finally:
        pyplot.close(figure)
    write(file, content.getvalue())


def between_people(index: Index) -> NDArray[np.float64]:
    """Distances between references of different people, each pair once; of very many, some."""
    rows = np.arange(len(index))
    most = int(np.sqrt(2 * MOST_PAIRS))
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(0).choice(rows, most, replace=False))
    encodings, owners = index.encodings[rows].astype(np.float64), index.owners[rows]
    norms = (encodings**2).sum(axis=1)
    squares = norms[:, None] + norms - 2 * encodings @ encodings.T
    first, second = np.triu_indices(len(rows), 1)
    other = owners[first] != owners[second]
    return np.asarray(np.sqrt(np.maximum(squares[first, second][other], 0)), np.float64)
