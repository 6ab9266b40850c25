"""`visaged watch`: subscribes and prints."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from daemon.cli.common import ConfigOption, configured
from daemon.errors import UsageError


def watch(
    topic: Annotated[
        str, typer.Option("--topic", metavar="PREFIX", help="Only topics that begin so, e.g. face/door/.")
    ] = "",
    connect: Annotated[
        str | None,
        typer.Option(
            "--connect", metavar="ENDPOINT", help="A daemon's socket.", show_default="[events] bind"
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One {topic, event} a line, as it was received.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Prints events as they arrive, until interrupted.

    Example: visaged watch --topic face/door/ --json
    """
    from daemon.client import subscribe
    from daemon.wording import json_line, line_of

    endpoint = connect or configured(config).events.bind
    try:
        subscription = subscribe(endpoint, topics=(topic,))
    except ValueError as error:
        raise UsageError(str(error)) from None
    # Ctrl-C is how watching ends.
    with subscription as events, suppress(KeyboardInterrupt):
        for event in events:
            typer.echo((json_line if as_json else line_of)(event.topic, event.event))


def add_to(app: typer.Typer) -> None:
    """Registers the command."""
    app.command()(watch)
