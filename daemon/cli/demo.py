"""`visaged demo`: the whole daemon on the shipped portraits, in a temporary folder."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli.common import ConfigOption, DeviceOption, configured


def demo(
    as_json: Annotated[bool, typer.Option("--json", help="One {topic, event} a line on stdout.")] = False,
    device: DeviceOption = None,
    config: ConfigOption = None,
) -> None:
    """Enrols two people, plays them and a stranger to the real daemon, prints what a subscriber receives.

    Everything happens in a temporary folder that is removed afterwards; of the configuration only
    the device is used.

    Example: visaged demo
    """
    from daemon.demo import play

    raise typer.Exit(play(configured(config, device=device).daemon.device, as_json=as_json))


def add_to(app: typer.Typer) -> None:
    """Registers the command."""
    app.command()(demo)
