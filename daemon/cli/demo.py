"""`visaged demo`: the whole daemon on the shipped portraits, in a temporary folder."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli.common import DeviceOption


def demo(
    device: DeviceOption = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="One {topic, event} a line on stdout.")] = False,
) -> None:
    """Enrols two people, plays them and a stranger to the real daemon, prints what a subscriber receives.

    Everything happens in a temporary folder that is removed afterwards.

    Example: visaged demo
    """
    from daemon.demo import play

    raise typer.Exit(play(device or "auto", as_json=as_json))


def add_to(app: typer.Typer) -> None:
    """Registers the command."""
    app.command()(demo)
