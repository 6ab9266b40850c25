"""`visaged identify`: who is on a picture."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.common import (
    ConfigOption,
    DeviceOption,
    JsonOption,
    ThresholdOption,
    configured,
    print_json,
    print_table,
    progress_bar,
)
from daemon.errors import UsageError

if TYPE_CHECKING:
    from gallery.identification import IdentifiedFace, IdentifiedImage


UNKNOWN = {
    "far": "unknown",
    "nobody_enrolled": "unknown",
    "close_call": "unknown (a close call)",
    "taken": "unknown (the same person is nearer elsewhere)",
    "vetoed": "unknown (like a face that is not this person)",
}
"""Who a face is that gets no name, by what decided."""


def identify(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="JPEG, PNG or WebP.")],
    save_annotated: Annotated[
        Path | None,
        typer.Option("--save-annotated", metavar="DIR", help="Save copies with faces and names drawn in."),
    ] = None,
    threshold: ThresholdOption = None,
    as_json: JsonOption = False,
    device: DeviceOption = None,
    config: ConfigOption = None,
) -> None:
    """Says who is on each picture. Exits 0 if any of them could be read.

    Example: visaged identify party.jpg --save-annotated out/
    """
    from daemon.engine import build_engine
    from daemon.people_desk import open_desk
    from gallery.identification import identify as identify_image

    settings = configured(config, device=device, threshold=threshold)
    if save_annotated is not None:
        _make_folder(save_annotated)
    found: list[IdentifiedImage] = []
    with open_desk(settings, create=True) as desk:
        engine, _ = build_engine(settings)
        with progress_bar("identifying", len(images)) as advance:
            for image in images:
                found.append(identify_image(image, engine, desk, settings.rules))
                advance(image)
    if as_json:
        print_json([_as_json(each) for each in found])
    else:
        _tell(found)
    if save_annotated is not None:
        _save(save_annotated, images, found)
    raise typer.Exit(0 if any(each.error is None for each in found) else 1)


def _as_json(found: IdentifiedImage) -> dict[str, object]:
    """As the contract has it; the detail of an error is for people, and goes to stderr."""
    if found.error is not None:
        typer.echo(f"{found.image}: {found.error}: {found.detail}", err=True)
    faces = [asdict(face) for face in found.faces]
    for face in faces:
        del face["why"]
    return {"image": found.image, "error": found.error, "faces": faces}


def _tell(found: list[IdentifiedImage]) -> None:
    rows = [(each.image, *_row(face)) for each in found for face in each.faces]
    if rows:
        print_table(["image", "person", "distance", "runner-up", "box", "reasons"], rows)
    for each in found:
        if each.error is not None:
            typer.echo(f"{each.image}: {each.error}: {each.detail}", err=True)
        elif not each.faces:
            typer.echo(f"{each.image}: no face found", err=True)


def _row(face: IdentifiedFace) -> tuple[str, ...]:
    return (
        face.person.name if face.person else UNKNOWN[face.why],
        "" if face.distance is None else f"{face.distance:.3f} of {face.threshold:.2f}",
        f"{face.runner_up.name} {face.runner_up.distance:.3f}" if face.runner_up else "",
        " ".join(f"{edge:.0f}" for edge in face.box),
        ", ".join(face.reasons),
    )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: the folder can't be made: {error.strerror}") from None


def _save(folder: Path, images: list[Path], found: list[IdentifiedImage]) -> None:
    """One file an image, numbered where two have one name or where an original would be written over."""
    from daemon.annotated import with_faces
    from daemon.image_file import save
    from gallery.errors import ImageRefused
    from gallery.images import open_image

    taken: set[str] = set()
    originals = {os.path.realpath(image) for image in images}
    for image, each in zip(images, found, strict=True):
        if each.error is not None:
            continue
        try:
            bgr = open_image(image).bgr
        except ImageRefused as refused:
            # It was there when the faces were looked for.
            typer.echo(f"{each.image}: {refused.reason}: {refused.detail}", err=True)
            continue
        drawn, notices = with_faces(bgr, each.faces)
        for notice in notices:
            typer.echo(notice, err=True)
        name, number = f"{image.stem}.png", 2
        while name in taken or os.path.realpath(folder / name) in originals:
            name, number = f"{image.stem}-{number}.png", number + 1
        taken.add(name)
        save(folder / name, drawn)
        typer.echo(f"saved {folder / name}", err=True)


def add_to(app: typer.Typer) -> None:
    """Registers the command."""
    app.command()(identify)
