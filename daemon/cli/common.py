"""What several commands share: their options, the configuration, tables and JSON."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from daemon.config import Config

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="PATH", help="The configuration's file.", show_default="./config.toml"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout instead of a table.")]
DeviceOption = Annotated[
    str | None,
    typer.Option("--device", help="auto, cpu, cuda or cuda:1.", show_default="[daemon] device"),
]
ThresholdOption = Annotated[
    float | None,
    typer.Option(
        "--threshold",
        help="Largest distance that is a match, for everybody.",
        show_default="[encoder] threshold",
    ),
]


PIPE_WIDTH = 10_000
"""Columns of a table that no person looks at."""
PAIR = 2
"""Columns of a table that is one of headings and values already."""


def configured(
    path: Path | None, *, device: str | None = None, threshold: float | None = None, chatty: bool = False
) -> Config:
    """The configuration with what the command line says otherwise; logging is set up as it says.

    A command that ends by itself logs warnings at most, unless it is chatty.
    """
    config = read_config(path, device, threshold)
    level = logging.getLevelNamesMapping()[config.daemon.log_level.upper()]
    logging.basicConfig(
        level=max(level, logging.WARNING),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    # Ours alone: PyTorch, for one, has pages to say at info when it ends.
    for package in ("daemon", "gallery"):
        logging.getLogger(package).setLevel(level if chatty else max(level, logging.WARNING))
    return config


def read_config(path: Path | None, device: str | None, threshold: float | None) -> Config:
    """The configuration with what the command line says otherwise; raises ConfigError."""
    from daemon.config_file import load, override

    config = load(path)
    if device is not None:
        config = override(config, "--device", "daemon", device=device)
    if threshold is not None:
        config = override(config, "--threshold", "encoder", threshold=threshold, calibrated=False)
    return config


def check_plot(file: Path) -> None:
    """Refuses before the work what could not be saved after."""
    if file.suffix.lower() != ".png":
        raise UsageError(f"--plot: {file} must end in .png")
    if not file.absolute().parent.is_dir():
        raise UsageError(f"--plot: {file.absolute().parent} is no folder")


def print_json(document: object) -> None:
    """One JSON document on stdout, names readable in any script."""
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False))


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table on stdout; text is shown as it is, never taken for markup.

    On a terminal so narrow that words, ids and times would be broken, each row becomes a block of lines.
    """
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    # Into a pipe, rich would fold at 80 columns what another program wants whole.
    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
    cells = [[cell if isinstance(cell, Text) else Text(str(cell)) for cell in row] for row in rows]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, heading in enumerate(headings):
        is_text = any(" " in row[place].plain for row in cells)
        # Rich takes room from the widest column, were it of ids; only texts are to be wrapped.
        table.add_column(heading, overflow="fold", no_wrap=len(headings) > PAIR and not is_text)
    for row in cells:
        table.add_row(*row)
    unbroken = Measurement.get(console, console.options.update(width=PIPE_WIDTH), table).minimum
    narrow = unbroken > console.width and len(headings) > PAIR
    console.print(_down(headings, cells) if narrow else table)


def _down(headings: Sequence[str], rows: Sequence[Sequence[Text]]) -> Table:
    """A line a cell that says something, and an empty one between rows."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for place, row in enumerate(rows):
        if place:
            table.add_row()
        for heading, cell in zip(headings, row, strict=True):
            if cell.plain:
                table.add_row(heading, cell)
    return table


@contextmanager
def progress_bar(what: str, total: int) -> Iterator[Callable[[object], None]]:
    """A bar on stderr, only on a terminal; the function that it gives advances it by one."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total)
        yield lambda _: progress.advance(task)
