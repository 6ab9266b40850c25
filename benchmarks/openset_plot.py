"""The curve of right names against strangers named, by threshold, without and with a margin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.openset_draws import Draw, rates

FEWEST = 0.05
"""Percent of strangers where the logarithmic scale begins."""


def plot(
    model: str, draws: Mapping[int, Sequence[Draw]], threshold: float, margin: float, file: Path
) -> None:
    """One pair of curves a size of the gallery, and a mark at the shipped default."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for number, (people, some) in enumerate(draws.items()):
        colour = f"C{number}"
        for each, style in ((margin, "-"), (0.0, ":")):
            steps = threshold + np.arange(-0.16, 0.16, 0.01)
            points = [rates(some, float(step), each) for step in steps]
            kept = [point for point in points if point.strangers >= FEWEST]
            axes.plot(
                [point.strangers for point in kept],
                [point.right for point in kept],
                style,
                color=colour,
                label=f"{people} people, margin {each:g}",
            )
        default = rates(some, threshold, margin)
        axes.plot(max(default.strangers, FEWEST), default.right, "o", color=colour)
    axes.set(
        xscale="log",
        xlabel="strangers given a name, %",
        ylabel="people given their own name, %",
        title=f"{model.rpartition('-')[0]}, one photograph a person; dots: threshold {threshold:g}",
        ylim=(50, 100),
    )
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(file, dpi=120)
