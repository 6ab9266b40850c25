"""`visaged crop`: the faces of a whole tree of images, as a tree of crops."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from daemon.cli.common import (
    ConfigOption,
    DeviceOption,
    JsonOption,
    configured,
    print_json,
)
from daemon.errors import UsageError

if TYPE_CHECKING:
    from daemon.config import Config
    from gallery.faces.detector import MtcnnDetector
    from gallery.preparing.crop_desk import Rows
    from gallery.preparing.job import Rewrite


COUNTED_AS = {"face": "crops", "fallback": "crops", "no_face": "missed"}
"""On the bar, by reason; any other counts as refused."""


def crop(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A folder of images, with folders in it.")],
    dest: Annotated[Path, typer.Argument(metavar="DEST", help="A folder for the crops, in the same tree.")],
    margin: Annotated[
        str,
        typer.Option(
            metavar="LEFT,TOP,RIGHT,BOTTOM",
            help="More than the face's box: pixels, or percent of its width and height.",
        ),
    ] = "0,0,0,0",
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="Scale each crop to this.", show_default="as it is")
    ] = None,
    faces: Annotated[
        Literal["best", "largest", "all"],
        typer.Option(help="Of several faces, the one that the detector is surest of, the largest, or all."),
    ] = "best",
    fallback: Annotated[
        str,
        typer.Option(
            metavar="skip|center:WxH|mean:FACTOR",
            help="Of images without a face: nothing; their middle; as much of it as the mean crop, times.",
        ),
    ] = "skip",
    align: Annotated[
        bool, typer.Option("--align", help="Turn each face upright, as dlib's encoder sees it.")
    ] = False,
    manifest: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What became of each image, .csv or .parquet.",
            show_default="DEST/manifest.csv",
        ),
    ] = None,
    rewrite_csv: Annotated[
        Path | None, typer.Option(metavar="IN.csv", help="A table of images to write anew with their crops.")
    ] = None,
    column: Annotated[str, typer.Option(help="Its column with the images' paths.")] = "path",
    csv_out: Annotated[Path | None, typer.Option(metavar="OUT.csv", help="Where the new table goes.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Begin anew, and write over files that are there.")
    ] = False,
    as_json: JsonOption = False,
    device: DeviceOption = None,
    config: ConfigOption = None,
) -> None:
    """Finds the faces of a whole tree of images, and saves them as crops in the same tree.

    A run that was broken off goes on when it is asked for again. Exits 1 if there is no crop.

    Examples: visaged crop photos/ crops/ --margin 10%,40%,10%,10% --size 160x160 ·
    visaged crop photos/ crops/ --fallback mean:1.2 --rewrite-csv photos.csv --csv-out crops.csv
    """
    from daemon.cli import crop_report
    from gallery.preparing import job as jobs
    from gallery.preparing.errors import PreparingFailed
    from gallery.preparing.options import CropOptions, Fallback, Margin, Size

    options = CropOptions(
        margin=Margin.parse(margin),
        size=None if size is None else Size.parse(size, "--size"),
        faces=faces,
        fallback=Fallback.parse(fallback),
        align=align,
    )
    settings = configured(config, device=device)
    job = jobs.Job(
        source,
        dest,
        options,
        manifest or dest / "manifest.csv",
        _rewrite(rewrite_csv, column, csv_out),
        force,
        _detector_settings(settings),
    )
    table = jobs.check(job)
    load = _Load(settings)
    started = time.perf_counter()
    try:
        with _bar() as progress:
            result = jobs.run(job, load, table, progress)
    except PreparingFailed as failed:
        typer.echo(f"visaged: {failed}; the same command goes on from here", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo("broken off; the same command goes on from here", err=True)
        raise
    seconds = time.perf_counter() - started - load.seconds
    if as_json:
        print_json(crop_report.as_json(job, result, seconds))
    else:
        crop_report.tell(job, result, seconds, load.device)
    crop_report.warn(result)
    raise typer.Exit(0 if result.summary.crops + result.summary.fallbacks else 1)


class _Load:
    """Loads the nets, which takes seconds, where there is anything to do."""

    def __init__(self, settings: Config) -> None:
        self._settings = settings
        self.seconds = 0.0
        self.device = ""

    def __call__(self) -> MtcnnDetector:
        from daemon.engine import build_detector

        started = time.perf_counter()
        detector, self.device = build_detector(self._settings)
        self.seconds = time.perf_counter() - started
        return detector


def _rewrite(file: Path | None, column: str, out: Path | None) -> Rewrite | None:
    from gallery.preparing.job import Rewrite

    if (file is None) != (out is None):
        raise UsageError("--rewrite-csv IN.csv and --csv-out OUT.csv belong together")
    return None if file is None or out is None else Rewrite(file, column, out)


def _detector_settings(config: Config) -> dict[str, str]:
    """What decides which faces are found."""
    return {
        "[detector] min_face_px": str(config.detector.min_face_px),
        "[detector] thresholds": " ".join(map(str, config.detector.thresholds)),
    }


@contextmanager
def _bar() -> Iterator[Callable[[int, Rows], None]]:
    """A bar with counts on stderr, only on a terminal."""
    from collections import Counter

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("cropping"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[counts]}"),
        TimeRemainingColumn(),
    )
    counts = Counter(crops=0, missed=0, refused=0)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None, counts="")

        def progress(total: int, rows: Rows) -> None:
            for row in rows:
                counts[
                    {"face": "crops", "fallback": "crops", "no_face": "missed"}.get(row.reason, "refused")
                ] += 1
            told = "  ".join(f"{count} {name}" for name, count in counts.items())
            bar.update(task, total=total, advance=1, counts=told)

        yield progress


def add_to(app: typer.Typer) -> None:
    """Registers the command."""
    app.command()(crop)
