"""`visaged watch`: subscribes and prints."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.common import ConfigOption, configured
from daemon.errors import UsageError

if TYPE_CHECKING:
    from daemon.config import Config

JOURNAL_TIMEOUT_S = 10.0
"""Who wants to see the past, and no more, is told when the daemon does not answer."""

TopicsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--topic", metavar="PREFIX", help="Only topics that begin so, e.g. face/door/; may be repeated."
    ),
]
ConnectOption = Annotated[
    str | None,
    typer.Option("--connect", metavar="ENDPOINT", help="A daemon's events.", show_default="[events] bind"),
]
ReplayOption = Annotated[
    str | None,
    typer.Option(
        "--replay", metavar="ENDPOINT", help="That daemon's journal.", show_default="[events] replay"
    ),
]
KeysOption = Annotated[
    Path | None,
    typer.Option("--keys", metavar="FILE", help="From `visaged keys new`.", show_default="[client] keys"),
]


def watch(
    topic: TopicsOption = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="SEQ|TIME",
            help="Stored events after this number, or from this time on; then end.",
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Do not end, and fill every gap from the journal.")
    ] = False,
    connect: ConnectOption = None,
    replay: ReplayOption = None,
    keys: KeysOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One {topic, event} a line, as it was received.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Prints events as they arrive, until interrupted; what is lost on the way is lost, but with --follow.

    With --since, those that were before: --since 0 is all there are, --since 2026-03-01T08:30 those of that
    time (by this host's clock) and later. With --since and --follow, those and all that come.

    Example: visaged watch --topic face/door/ --json
    """
    from daemon.client import ask, subscribe
    from daemon.wording import json_line, line_of

    settings = configured(config)
    journal = journal_of(settings, connect, replay) if follow or since is not None else None
    keys = keys or settings.client.keys
    silent = f"{journal} does not answer: is the daemon running, and does it know this key?"
    ends = since is not None and not follow
    try:
        subscription = subscribe(
            connect or settings.events.bind,
            replay=journal,
            topics=topic or [""],
            keys=keys,
            since=int(since) if since is not None and since.isdecimal() else since,
            follow=not ends,
            timeout_s=JOURNAL_TIMEOUT_S if ends else None,
        )
        if ends and journal is not None:
            # Who wants to see what was is not kept waiting for a daemon that may never come.
            ask({"op": "head"}, replay=journal, keys=keys, timeout_s=JOURNAL_TIMEOUT_S, await_daemon=False)
    except ValueError as error:
        raise UsageError(str(error)) from None
    except TimeoutError:
        raise UsageError(silent) from None
    # Ctrl-C is how watching ends.
    with subscription as events, suppress(KeyboardInterrupt):
        for event in events:
            typer.echo((json_line if as_json else line_of)(event.topic, event.event))
        if not events.ended:
            raise UsageError(silent)


def journal_of(config: Config, connect: str | None, replay: str | None) -> str:
    """The endpoint of the journal that belongs to the events; UsageError where there is none."""
    if replay is None and connect is not None:
        raise UsageError("--connect names a daemon's events; its journal is needed too: give --replay")
    if replay is None and config.events.replay == "off":
        raise UsageError(
            '[events] replay is "off": without the daemon\'s journal there is only what comes now'
        )
    return replay or config.events.replay


def add_to(app: typer.Typer) -> None:
    """Registers the command."""
    app.command()(watch)
