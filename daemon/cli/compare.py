"""`visaged compare`: every face of some pictures against every other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.common import (
    ConfigOption,
    DeviceOption,
    JsonOption,
    ThresholdOption,
    check_plot,
    configured,
    print_json,
    print_table,
    progress_bar,
)

if TYPE_CHECKING:
    from gallery.preparing.comparing import Comparison

USUAL_THRESHOLDS = (0.5, 0.6)
"""Of face_recognition: its default, and what its users take where a stranger does harm."""
MOST_PAIRS = 500
"""That the table shows; --json has them all."""


def compare(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="JPEG, PNG or WebP.")],
    plot: Annotated[
        Path | None,
        typer.Option(metavar="PNG", help="Save the faces side by side, with their distances."),
    ] = None,
    threshold: ThresholdOption = None,
    as_json: JsonOption = False,
    device: DeviceOption = None,
    config: ConfigOption = None,
) -> None:
    """Compares every face of the pictures with every other, and says which are under which threshold.

    No gallery is asked. Exits 1 where there are fewer than two faces.

    Example: visaged compare ann1.jpg ann2.jpg party.jpg --plot faces.png
    """
    from daemon.engine import build_engine
    from gallery.preparing.comparing import compare as compare_images

    if plot is not None:
        check_plot(plot)
    settings = configured(config, device=device, threshold=threshold)
    engine, _ = build_engine(settings)
    with progress_bar("comparing", len(images)) as advance:
        found = compare_images(images, engine, advance)
    own = settings.encoder.threshold
    thresholds = sorted({*USUAL_THRESHOLDS, own})
    if as_json:
        print_json(_as_json(found, own, thresholds))
    else:
        _tell(found, own, thresholds)
    for refused in found.refused:
        typer.echo(f"{refused.image}: {refused.reason}: {refused.detail}", err=True)
    for image in found.faceless:
        typer.echo(f"{image}: no face found", err=True)
    if plot is not None and found.faces:
        from daemon.comparison_plot import save

        for notice in save(plot, found, thresholds):
            typer.echo(notice, err=True)
        typer.echo(f"saved {plot}", err=True)
    if not found.pairs:
        typer.echo("there are no two faces to compare", err=True)
    raise typer.Exit(0 if found.pairs else 1)


def _as_json(found: Comparison, own: float, thresholds: list[float]) -> dict[str, object]:
    return {
        "model": found.model,
        "threshold": own,
        "thresholds": thresholds,
        "faces": [
            {
                "number": face.number,
                "image": face.image,
                "box": face.box,
                "landmarks": face.landmarks,
                "score": face.score,
                "reasons": face.reasons,
            }
            for face in found.faces
        ],
        "pairs": [
            {
                "first": pair.first,
                "second": pair.second,
                "distance": pair.distance,
                "under": [threshold for threshold in thresholds if pair.distance <= threshold],
            }
            for pair in found.pairs
        ],
        "refused": [
            {"image": each.image, "reason": each.reason, "detail": each.detail} for each in found.refused
        ],
        "faceless": found.faceless,
    }


def _tell(found: Comparison, own: float, thresholds: list[float]) -> None:
    if found.faces:
        print_table(
            ["#", "image", "box", "reasons"],
            [
                (
                    face.number,
                    face.image,
                    " ".join(f"{edge:.0f}" for edge in face.box),
                    ", ".join(face.reasons),
                )
                for face in found.faces
            ],
        )
    if not found.pairs:
        return
    names = {face.number: f"{face.number} {Path(face.image).name}" for face in found.faces}
    headings = [f"under {each:g}{' (configured)' if each == own else ''}" for each in thresholds]
    typer.echo()
    print_table(
        ["face", "face", "distance", *headings],
        [
            (
                names[pair.first],
                names[pair.second],
                f"{pair.distance:.3f}",
                *("yes" if pair.distance <= threshold else "no" for threshold in thresholds),
            )
            for pair in found.pairs[:MOST_PAIRS]
        ],
    )
    if len(found.pairs) > MOST_PAIRS:
        typer.echo(f"and {len(found.pairs) - MOST_PAIRS} pairs that are farther apart (--json)")


def add_to(app: typer.Typer) -> None:
    """Registers the command."""
    app.command()(compare)
