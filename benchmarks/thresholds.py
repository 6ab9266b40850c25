"""Ways to find each person's threshold from how near strangers come: what they promise, keep and cost.

uv run python -m benchmarks.thresholds [--encoder dlib|sface] [--fmr 0.05] [--people 200] [--draws 20]
    [--photographs DIR] [--device cpu] [--json]

Galleries and strangers are drawn as for benchmarks.openset; nothing is capped, and there is no margin.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.special import ndtri

from benchmarks.identities import read_identities
from benchmarks.openset import SEED, UNCAPPED
from benchmarks.openset_draws import Draw, Rates, Thresholds, calibrated_rates, make_draws, rates
from benchmarks.pairs import LFW_VIEW_1
from gallery.calibration import calibrate
from gallery.faces.encoder import build_encoder
from gallery.impostors import Statistics

Way = Callable[[Draw, Statistics, float], Thresholds]
"""Everybody's threshold in a gallery, by statistics of strangers, for this probability."""


def one_for_all(draw: Draw, statistics: Statistics, fmr: float) -> Thresholds:
    """From the distribution of strangers' distances alone."""
    people = len(draw.index.people)
    return np.full(people, statistics.distance_at(fmr / len(draw.index)))


def by_counting(draw: Draw, statistics: Statistics, fmr: float) -> Thresholds:
    """The chosen way: strangers are denser around who has more people of the gallery near."""
    found = calibrate(draw.index, statistics, fmr, UNCAPPED, looser=True)
    return np.array([each.threshold for each in found.people])


def by_normal_tail(draw: Draw, statistics: Statistics, fmr: float) -> Thresholds:
    """From the mean and the deviation of each person's own distances to the others of the gallery."""
    rows = draw.index.encodings.astype(np.float64)
    table = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    others = table[~np.eye(len(rows), dtype=bool)].reshape(len(rows), -1)
    return np.asarray(others.mean(axis=1) + others.std(axis=1) * ndtri(fmr / len(rows)), np.float64)


WAYS: dict[str, Way] = {
    "one threshold, from the distribution alone": one_for_all,
    "near people counted (chosen)": by_counting,
    "each person's mean and deviation, normal tail": by_normal_tail,
}


@dataclass(frozen=True, slots=True)
class Line:
    """One way beside one threshold for everybody that names as many strangers."""

    how: str
    """In words."""
    rates: Rates
    """What it gives."""
    threshold: float
    """The one that is as strict."""
    threshold_rates: Rates
    """What that gives."""


def compare(draws: Sequence[Draw], fmr: float) -> list[Line]:
    """What each way gives; thresholds by one half of the strangers meet the other half."""
    lines = []
    for how, way in WAYS.items():
        own = [(way(draw, draw.others[0], fmr), way(draw, draw.others[1], fmr)) for draw in draws]
        found = calibrated_rates(draws, own, margin=0.0)
        threshold = _as_strict(draws, found.strangers)
        lines.append(Line(how, found, threshold, rates(draws, threshold, 0.0)))
    return lines


def _as_strict(draws: Sequence[Draw], strangers: float) -> float:
    """The threshold for everybody at which this share of strangers (percent) is named."""
    nearest = np.concatenate([half.distances for draw in draws for half in draw.strangers])
    return float(np.quantile(nearest, strangers / 100))


def main() -> None:
    """Prints a line a way."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--encoder", default="dlib", choices=("dlib", "sface"))
    parser.add_argument("--fmr", type=float, default=0.05)
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--photographs", type=Path, default=LFW_VIEW_1, metavar="DIR")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    identities = read_identities(given.photographs, build_encoder(given.encoder, given.device), given.device)
    draws = list(make_draws(identities, given.people, given.draws, SEED))
    lines = compare(draws, given.fmr)
    if given.json:
        print(json.dumps([asdict(line) for line in lines], indent=2))
        return
    print(f"{identities.model}, {given.people} people, {given.draws} draws, {100 * given.fmr:g} % asked")
    for line in lines:
        print(f"{line.how:48} {_in_words(line.rates)}")
        print(f"    as strict, one threshold: {line.threshold:<22.3f} {_in_words(line.threshold_rates)}")


def _in_words(told: Rates) -> str:
    right = f"right names {told.right:.1f} ± {told.right_sd:.1f} %"
    return f"strangers named {told.strangers:.1f} ± {told.strangers_sd:.1f} %, {right}"


if __name__ == "__main__":
    main()
