"""`visaged calibrate`: thresholds from one's own gallery, person by person."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.common import ConfigOption, JsonOption, configured, print_json, print_table
from daemon.errors import UsageError

if TYPE_CHECKING:
    from daemon.config import Config
    from gallery.calibration import Calibration, PersonCalibration
    from gallery.impostors import Statistics


MOST_WARNINGS = 10
"""Pairs of look-alikes that are told one by one."""


def calibrate(
    fmr: Annotated[
        float, typer.Option("--fmr", help="Probability that one stranger is given anybody's name, at most.")
    ] = 0.001,
    allow_looser: Annotated[
        bool, typer.Option("--allow-looser", help="Also thresholds above [encoder] threshold.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="PNG", help="Save distances and thresholds as a picture.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell, and change nothing.")] = False,
    clear: Annotated[
        bool, typer.Option("--clear", help="Forget all thresholds that were calibrated.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Gives each person of the gallery a threshold of their own, which a running daemon takes up at once.

    From how near the people of the gallery come to one another, and strangers to anybody.

    Example: visaged calibrate --fmr 0.01 --plot distances.png
    """
    import time

    from daemon.people_desk import open_desk
    from gallery.calibration import calibrate as find_thresholds

    if not 0 < fmr < 1:
        raise UsageError(f"--fmr must be a probability above 0 and below 1, not {fmr:g}")
    if plot is not None:
        _check_plot(plot)
    settings = configured(config)
    with open_desk(settings) as desk:
        model = desk.model
        if not desk.people() or model is None:
            raise UsageError(f"{desk.path}: nobody is enrolled; begin with: visaged enroll NAME IMAGE")
        if clear:
            desk.set_thresholds({}, model=model, fmr=fmr, calibrated_unix_ns=time.time_ns())
            if as_json:
                print_json({"people": [], "written": True})
            typer.echo("everybody is decided by [encoder] threshold again", err=True)
            return
        statistics = _statistics(model)
        index = desk.index(model)
        found = find_thresholds(index, statistics, fmr, _cap(settings, model), looser=allow_looser)
        if not dry_run:
            thresholds = {each.person.id: each.threshold for each in found.people}
            desk.set_thresholds(thresholds, model=model, fmr=fmr, calibrated_unix_ns=time.time_ns())
    if as_json:
        print_json({**asdict(found), "written": not dry_run})
    else:
        _tell(found, statistics)
        typer.echo("nothing was changed" if dry_run else f"{len(found.people)} thresholds are in the gallery")
    for line in [*_look_alikes(found), *_doubts(found)]:
        typer.echo(line, err=True)
    if plot is not None:
        from daemon.calibration_plot import save

        save(plot, index, found, statistics)
        typer.echo(f"saved {plot}", err=True)


def _check_plot(file: Path) -> None:
    """Refuses before anything is written what could not be saved after."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise UsageError("--plot needs matplotlib: uv sync --extra plots")
    if file.suffix.lower() != ".png":
        raise UsageError(f"--plot: {file} must end in .png")
    if not file.absolute().parent.is_dir():
        raise UsageError(f"--plot: {file.absolute().parent} is no folder")


def _statistics(model: str) -> Statistics:
    from gallery.impostors import bundled

    found = bundled(model)
    if found is None:
        raise UsageError(
            f"how near strangers come was not measured for {model}: "
            "measure it with python -m benchmarks.impostors --write"
        )
    return found


def _cap(config: Config, model: str) -> float:
    """The threshold without a calibration: what is configured, and never above the encoder's own."""
    from daemon.config import EncoderConfig

    asked = config.encoder
    own = EncoderConfig(name=asked.name, mirror=asked.mirror).threshold
    family = f"{asked.name}-{asked.alignment}{'-mirror' if asked.mirror else ''}"
    if model.rpartition("-")[0] != family:
        raise UsageError(f"the gallery's encodings are of {model}, and [encoder] asks for {family}")
    return min(asked.threshold, own)


def _tell(found: Calibration, statistics: Statistics) -> None:
    headings = ["#", "person", "photos", "near", "threshold", "90 % likely", "recognised", "nearest other"]
    print_table(headings, [(place, *_row(each)) for place, each in enumerate(found.people, 1)])
    before = f"with {found.cap:g} for everybody: {_percent(found.stranger_before)}"
    typer.echo(
        f"\nOne stranger is given anybody's name with a probability of at most {_percent(found.stranger)} "
        f"(asked: {_percent(found.fmr)}; {before}); [tracker] margin, which is not counted, lowers that."
    )
    typer.echo(
        f"Strangers: {statistics.people} people of {statistics.source.partition(',')[0]}, "
        "and the others of this gallery. Recognised: of other photos there of the same people, by one photo."
    )


def _row(each: PersonCalibration) -> tuple[str, ...]:
    return (
        each.person.name,
        str(each.references),
        f"{each.near_people:.1f} of {each.expected_near_people:.1f}",
        f"{each.threshold:.3f}" + (" (default)" if each.threshold < each.wanted else ""),
        f"{each.low:.3f} to {each.high:.3f}",
        f"{each.recognised:.0%}",
        f"{each.nearest.name} {each.nearest.distance:.3f}" if each.nearest else "",
    )


def _look_alikes(found: Calibration) -> list[str]:
    """Pairs that could be taken for one another, the nearest first."""
    pairs: dict[frozenset[str], tuple[float, str, str]] = {}
    for each in found.people:
        if each.close and (other := each.nearest):
            both = frozenset((each.person.id, other.id))
            pairs.setdefault(both, (other.distance, each.person.name, other.name))
    told = [
        f"warning: {one} and {other} are {distance:.3f} apart, near enough to be taken for one another: "
        "one person twice, or a photo under the wrong name?"
        for distance, one, other in sorted(pairs.values())
    ]
    more = len(told) - MOST_WARNINGS
    return told if more <= 0 else [*told[:MOST_WARNINGS], f"warning: and {more} more such pairs (--json)"]


def _doubts(found: Calibration) -> list[str]:
    """What somebody should know before they trust the figures."""
    told = []
    if found.beyond_measured:
        told.append(
            f"warning: {_percent(found.fmr)} for {len(found.people)} people is rarer than what was measured: "
            "the thresholds rest on a line that was drawn on"
        )
    expected = found.people[0].expected_near_people
    if expected < 1:
        told.append(
            f"note: {len(found.people)} people are too few to tell whether strangers come nearer to them "
            "than to others: the thresholds are mostly those of the average"
        )
    if all(each.wanted > found.cap for each in found.people):
        told.append(f"note: everybody could have a looser threshold than {found.cap:g}: --allow-looser")
    return told


def _percent(probability: float) -> str:
    return f"{100 * probability:.2g} %"


def add_to(app: typer.Typer) -> None:
    """Registers the command."""
    app.command()(calibrate)
