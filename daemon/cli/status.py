"""`visaged status`: how the running daemon fares."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import typer

from daemon.cli.common import ConfigOption, JsonOption, configured, print_json, print_table
from daemon.cli.watch import KeysOption, ReplayOption

if TYPE_CHECKING:
    from rich.text import Text

COLOURS = {"online": "green", "starting": "cyan", "ended": "dim", "offline": "bold red", "frozen": "bold red"}
"""Of a camera's state; all others see, but badly."""


def status(
    replay: ReplayOption = None,
    keys: KeysOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Says how the running daemon and its cameras fare; exits 1 with one line when none answers.

    Example: visaged status --json
    """
    from daemon.status import NoAnswer, ask_status

    try:
        found = ask_status(configured(config), replay, keys)
    except NoAnswer as error:
        typer.echo(f"visaged: {error}", err=True)
        raise typer.Exit(1) from None
    if as_json:
        print_json(found)
        return
    print_table(["daemon", ""], _facts(found))
    typer.echo()
    headings = [
        "camera",
        "state",
        "since",
        "frame age",
        "read",
        "processed",
        "replaced",
        "reopened",
        "unfit",
        "reason",
    ]
    print_table(headings, [_row(camera) for camera in found["cameras"]])


def _facts(found: dict[str, Any]) -> list[tuple[str, object]]:
    journal, gallery = found["journal"], found["gallery"]
    kept = f"events {found['oldest']} to {found['head']}" if found["head"] else "empty"
    gpu = "" if found["gpu_memory_mb"] is None else f", {found['gpu_memory_mb']:g} MB of the GPU"
    facts: list[tuple[str, object]] = [
        ("version", found["version"]),
        ("model", found["model"]),
        ("device", found["device"]),
        ("up for", str(timedelta(seconds=round(found["uptime_s"])))),
        ("epoch", found["epoch"]),
        (
            "journal",
            _coloured(kept, "green") if journal["ok"] else _coloured(str(journal["reason"]), "bold red"),
        ),
        (
            "gallery",
            f"revision {gallery['revision']}: {gallery['people']} people, {gallery['references']} references",
        ),
        ("memory", "not known" if found["memory_mb"] is None else f"{found['memory_mb']:g} MB{gpu}"),
        ("overruns", found["overruns"]),
        ("dropped", found["dropped"]),
    ]
    return [*facts, ("refused", _counted(found["refused"]) or "nobody")]


def _row(camera: dict[str, Any]) -> list[object]:
    age_s, since = camera["frame_age_s"], camera["since"]
    return [
        camera["name"],
        _coloured(camera["state"], COLOURS.get(camera["state"], "yellow")),
        "" if since is None else datetime.fromisoformat(since).astimezone().strftime("%Y-%m-%d %H:%M:%S"),
        "" if age_s is None else f"{age_s:.1f} s",
        camera["frames_read"],
        camera["frames_processed"],
        camera["frames_replaced"],
        _counted(camera["reopened"]),
        _counted(camera["unfit"]),
        camera["reason"] or "",
    ]


def _counted(counts: list[dict[str, Any]]) -> str:
    return ", ".join(f"{each['reason']} {each['count']}" for each in counts)


def _coloured(words: str, style: str) -> Text:
    from rich.text import Text

    return Text(words, style)


def add_to(app: typer.Typer) -> None:
    """Registers the command."""
    app.command()(status)
