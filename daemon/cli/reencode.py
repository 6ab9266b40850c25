"""`visaged reencode`: another encoder for the gallery that there is."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from daemon.cli.common import (
    ConfigOption,
    DeviceOption,
    JsonOption,
    configured,
    print_json,
    print_table,
    progress_bar,
)

if TYPE_CHECKING:
    from daemon.config import Config
    from gallery.reencoding import Lacking


def reencode(
    encoder: Annotated[
        Literal["dlib", "sface", "facenet"] | None,
        typer.Option("--encoder", help="The new encoder.", show_default="[encoder] name"),
    ] = None,
    set_aside_rest: Annotated[
        bool,
        typer.Option(
            "--set-aside-rest",
            help="References without a picture are not matched with any more; see reinstate.",
        ),
    ] = False,
    as_json: JsonOption = False,
    device: DeviceOption = None,
    config: ConfigOption = None,
) -> None:
    """Encodes the gallery anew for another encoder, from the pictures that are kept ([gallery] keep_crops).

    The gallery stays with its encoder until all is done; a run that was broken off goes on. Then set
    [encoder] name, and start the daemon again: it takes the new encodings. References without a picture are
    listed: their pictures must be enrolled again. Exits 1 as long as any is left.

    Example: visaged reencode --encoder sface
    """
    from daemon.care_desk import care_of
    from daemon.engine import build_engine
    from daemon.people_desk import open_desk
    from daemon.reencoding_desk import reencoding_of
    from gallery.reencoding import fill
    from gallery.renewal import OLD_MODEL

    settings = configured(config, device=device)
    target = _with_encoder(settings, encoder)
    with open_desk(settings) as desk:
        engine, _ = build_engine(target)
        model, before = engine.model, desk.model
        work = reencoding_of(desk)
        encoded = 0
        if model != before:
            todo = work.lacking(model)
            with progress_bar("encoding", sum(each.has_crop for each in todo)) as advance:
                encoded = fill(
                    engine.encoder, todo, work.crops, lambda ids, rows: work.put(model, ids, rows), advance
                )
        left = [each for each in work.lacking(model) if each.in_use]
        if set_aside_rest and left:
            care_of(desk).set_aside({each.id: OLD_MODEL for each in left})
            left = []
        switched = not left and _switch(desk, model, is_configured=target == settings)
    if as_json:
        rows = [asdict(each) for each in left]
        print_json({"model": model, "encoded": encoded, "left": rows, "in_use": switched})
    else:
        _tell(model, encoded, left, is_in_use=switched)
    raise typer.Exit(1 if left else 0)


def _with_encoder(config: Config, name: str | None) -> Config:
    if name is None or name == config.encoder.name:
        return config
    from daemon.config_file import override

    # What was chosen for the other encoder means nothing to this one.
    return override(config, "--encoder", "encoder", name=name, alignment="mtcnn", engine="auto", weights=None)


def _switch(desk: object, model: str, *, is_configured: bool) -> bool:
    """Whether the gallery is matched with by these encodings now. A daemon switches when it starts."""
    from gallery.reencoding import switch
    from gallery.store import Gallery

    if not isinstance(desk, Gallery):
        return bool(getattr(desk, "model", None) == model)
    return switch(desk, model) if is_configured else desk.model == model


def _tell(model: str, encoded: int, left: list[Lacking], *, is_in_use: bool) -> None:
    typer.echo(f"{encoded} references were encoded by {model}")
    if left:
        counts = Counter(each.person.name for each in left)
        print_table(["person", "references without a picture"], list(counts.items()))
        typer.echo(
            f"{len(left)} references are left, and the gallery stays as it is: --set-aside-rest goes on "
            "without them; each is back when its picture is enrolled again"
        )
    elif is_in_use:
        typer.echo("the gallery is matched with by them from now on; run visaged calibrate again")
    else:
        typer.echo("complete: set [encoder] name in the configuration, and start the daemon (again)")


def add_to(app: typer.Typer) -> None:
    """Registers the command."""
    app.command()(reencode)
