"""`visaged replay-decisions`: what another threshold would have decided."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.common import (
    ConfigOption,
    DeviceOption,
    JsonOption,
    configured,
    print_json,
    print_table,
)
from daemon.errors import UsageError

if TYPE_CHECKING:
    from daemon.replay import Told


def replay_decisions(
    clip: Annotated[Path, typer.Argument(metavar="CLIP", help="A video file or a folder of images.")],
    threshold: Annotated[float, typer.Option("--threshold", help="The threshold to try.")],
    margin: Annotated[
        float | None, typer.Option("--margin", help="The margin to try.", show_default="[tracker] margin")
    ] = None,
    as_json: JsonOption = False,
    device: DeviceOption = None,
    config: ConfigOption = None,
) -> None:
    """Plays a clip as configured and as asked, and prints what would have been told otherwise.

    Example: visaged replay-decisions door.mp4 --threshold 0.5
    """
    from daemon.config_file import override
    from daemon.engine import build_engine
    from daemon.people_desk import open_desk
    from daemon.replay import compare

    if not clip.exists():
        raise UsageError(f"{clip}: there is no such file or folder")
    settings = configured(config, device=device)
    tried = override(settings, "--threshold", "encoder", threshold=threshold, calibrated=False)
    if margin is not None:
        tried = override(tried, "--margin", "tracker", margin=margin)
    with open_desk(settings) as desk:
        engine, _ = build_engine(settings)
        pairs = compare(str(clip.absolute()), engine, desk.index(engine.model), settings, tried)
    if as_json:
        print_json([{"configured": _plain(first), "tried": _plain(second)} for first, second in pairs])
        return
    differing = [(first, second) for first, second in pairs if first != second]
    if differing:
        rows = [(_words(first), _words(second)) for first, second in differing]
        print_table([f"as configured ({settings.encoder.threshold:g})", f"at {threshold:g}"], rows)
    typer.echo(f"{len(differing)} of {len(pairs)} would have been told otherwise", err=True)


def _plain(told: Told | None) -> object:
    from dataclasses import asdict

    return None if told is None else asdict(told)


def _words(told: Told | None) -> str:
    if told is None:
        return "nothing"
    distance = "" if told.distance is None else f" {told.distance:.3f}"
    return f"frame {told.frame}: {told.kind} {told.name or 'nobody'}{distance}"


def add_to(app: typer.Typer) -> None:
    """Registers the command."""
    app.command()(replay_decisions)
