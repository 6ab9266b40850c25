"""`visaged service install` and `uninstall`: visaged under systemd."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.common import JsonOption, print_json
from daemon.errors import UsageError

if TYPE_CHECKING:
    from daemon.unit import Put

ROOT = Path("/")

PrefixOption = Annotated[
    Path,
    typer.Option("--prefix", metavar="DIR", help="Below this folder instead of /; systemd is told nothing."),
]

service = typer.Typer(name="service", rich_markup_mode=None)


@service.callback(invoke_without_command=True)
def which(context: typer.Context) -> None:
    """Puts visaged under systemd, or takes it away from there."""
    if context.invoked_subcommand is None:
        raise UsageError("service needs to know what: service install or service uninstall")


@service.command()
def install(
    show: Annotated[bool, typer.Option("--print", help="Show the unit, and write nothing.")] = False,
    prefix: PrefixOption = ROOT,
    as_json: JsonOption = False,
) -> None:
    """Writes visaged.service, and /etc/visaged/config.toml where there is none; starts nothing.

    The unit starts the visaged that this command belongs to.

    Example: sudo .venv/bin/visaged service install
    """
    from daemon import unit

    if show:
        typer.echo(unit.unit_text(), nl=False)
        return
    done = _as_root(prefix, unit.install)
    _tell(done, as_json)
    if prefix == ROOT:
        _systemctl("daemon-reload")
    typer.echo("next: look at the configuration, then systemctl enable --now visaged", err=True)


@service.command()
def uninstall(prefix: PrefixOption = ROOT, as_json: JsonOption = False) -> None:
    """Stops the service and removes its unit; configuration, gallery and journal stay.

    Example: sudo .venv/bin/visaged service uninstall
    """
    from daemon import unit

    if prefix == ROOT and os.geteuid() == 0 and (ROOT / unit.UNIT).exists():
        _systemctl("disable", "--now", "visaged.service")
    _tell(_as_root(prefix, unit.uninstall), as_json)
    if prefix == ROOT:
        _systemctl("daemon-reload")


def _as_root(prefix: Path, work: Callable[[Path], list[Put]]) -> list[Put]:
    if prefix == ROOT and os.geteuid() != 0:
        raise UsageError("only root may change /etc: run it with sudo, or give --prefix DIR")
    try:
        return work(prefix)
    except OSError as error:
        raise UsageError(f"{error.filename}: cannot be written: {error.strerror}") from None


def _tell(done: list[Put], as_json: bool) -> None:
    if as_json:
        print_json([{"path": str(put.path), "done": put.done} for put in done])
        return
    for put in done:
        typer.echo(f"{put.path}: {put.done}")


def _systemctl(*arguments: str) -> None:
    """Where systemd is not what runs this machine, there is nobody to tell."""
    if shutil.which("systemctl") and Path("/run/systemd/system").is_dir():
        subprocess.run(["systemctl", *arguments], check=False)  # noqa: S607


def add_to(app: typer.Typer) -> None:
    """Registers the commands."""
    app.add_typer(service)
