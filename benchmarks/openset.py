"""Who is named, rightly and wrongly, and how many strangers are, by threshold, margin and calibration.

uv run python -m benchmarks.openset [--encoder dlib|sface|facenet] [--mirror] [--alignment mtcnn|dlib]
    [--weights FILE] [--people 50,200] [--enrolled 1] [--draws 20] [--photographs DIR] [--device cpu]
    [--json] [--plot PNG]

Enrols one photograph (or more) of each of N people, shows another of theirs, and one of everybody who is not
enrolled; again with other people and photographs, drawn at random from a fixed seed. Calibrations are made
from the distances of people who are neither enrolled nor shown.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.identities import read_identities
from benchmarks.machine import machine_line
from benchmarks.openset_draws import Draw, Rates, Thresholds, calibrated_rates, make_draws, rates
from benchmarks.pairs import LFW_VIEW_1
from daemon.config import Config, EncoderConfig
from gallery.calibration import calibrate
from gallery.faces.encoder import build_encoder
from gallery.impostors import Statistics

STEPS = (-0.06, -0.04, -0.02, 0.0, 0.02, 0.04, 0.08)
"""Thresholds of the table, beside the default."""
MARGINS = (0.0, 0.03, 0.05, 0.08)
ASKED = (0.001, 0.01, 0.05)
"""Probabilities that calibrations are asked for."""
UNCAPPED = 2.0
SEED = 20


@dataclass(frozen=True, slots=True)
class Line:
    """One way to decide."""

    people: int
    """How many are enrolled."""
    how: str
    """In words."""
    threshold: float
    """One for everybody, or the mean of people's own."""
    margin: float
    rates: Rates


@dataclass(frozen=True, slots=True)
class Report:
    """What one encoder did."""

    model: str
    photographs: int
    people: int
    draws: int
    defaults: tuple[Line, ...]
    """The shipped default, at each size."""
    lines: tuple[Line, ...]


def measure(draws: Sequence[Draw], people: int, default: float, margin: float) -> tuple[Line, list[Line]]:
    """The shipped default, and everything beside it."""
    lines = [
        Line(people, "one threshold", round(default + step, 4), each, rates(draws, default + step, each))
        for step in STEPS
        for each in MARGINS
    ]
    lines += [_calibrated(draws, people, fmr, cap, margin) for fmr in ASKED for cap in (UNCAPPED, default)]
    return Line(people, "default", default, margin, rates(draws, default, margin)), lines


def _calibrated(draws: Sequence[Draw], people: int, fmr: float, cap: float, margin: float) -> Line:
    own = [
        (_thresholds(draw, draw.others[0], fmr, cap), _thresholds(draw, draw.others[1], fmr, cap))
        for draw in draws
    ]
    how = f"calibrate --fmr {fmr}" + (" --allow-looser" if cap == UNCAPPED else "")
    mean = round(float(np.mean(own)), 4)
    # What was asked for holds without a margin, which only names fewer.
    margin = 0.0 if cap == UNCAPPED else margin
    return Line(people, how, mean, margin, calibrated_rates(draws, own, margin))


def _thresholds(draw: Draw, statistics: Statistics, fmr: float, cap: float) -> Thresholds:
    calibration = calibrate(draw.index, statistics, fmr, cap, looser=False)
    return np.array([each.threshold for each in calibration.people])


def as_text(report: Report) -> str:
    """A table by how it is decided."""
    head = [
        machine_line(),
        f"{report.model}: {report.photographs} photographs of {report.people} people, {report.draws} draws",
        "",
        "people  decided by                         threshold  margin     right ± sd   wrong  strangers ± sd",
    ]
    return "\n".join([*head, *(_row(each) for each in (*report.defaults, *report.lines))])


def _row(line: Line) -> str:
    told = line.rates
    how = f"{line.people:6}  {line.how:34} {line.threshold:9.3f} {line.margin:7.2f}"
    right = f"{told.right:6.1f} ± {told.right_sd:3.1f}"
    return f"{how}  {right}  {told.wrong:6.2f}  {told.strangers:7.2f} ± {told.strangers_sd:4.2f}"


def main() -> None:
    """Prints the table, or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--encoder", default="dlib", choices=("dlib", "sface", "facenet"))
    parser.add_argument("--alignment", default="mtcnn", choices=("mtcnn", "dlib"))
    parser.add_argument("--weights")
    parser.add_argument("--mirror", action="store_true")
    parser.add_argument("--people", default="50,200", help="sizes of the gallery, with commas between them")
    parser.add_argument("--enrolled", type=int, default=1, help="photographs of each person")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--photographs", type=Path, default=LFW_VIEW_1, metavar="DIR")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--plot", type=Path, metavar="PNG")
    given = parser.parse_args()
    encoder = build_encoder(
        given.encoder, given.device, given.alignment, weights=given.weights, mirror=given.mirror
    )
    identities = read_identities(given.photographs, encoder, given.device)
    config = Config(encoder=EncoderConfig(name=given.encoder, mirror=given.mirror))
    draws = {
        people: list(make_draws(identities, people, given.draws, SEED, given.enrolled))
        for people in map(int, given.people.split(","))
    }
    measured = [
        measure(some, people, config.encoder.threshold, config.tracker.margin)
        for people, some in draws.items()
    ]
    report = Report(
        identities.model,
        len(identities.owners),
        int(identities.owners.max()) + 1,
        given.draws,
        tuple(default for default, _ in measured),
        tuple(line for _, lines in measured for line in lines),
    )
    if given.plot is not None:
        from benchmarks.openset_plot import plot

        plot(identities.model, draws, config.encoder.threshold, config.tracker.margin, given.plot)
    print(json.dumps(asdict(report), indent=2) if given.json else as_text(report))


if __name__ == "__main__":
    main()
