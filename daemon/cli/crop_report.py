"""Tells what came of `visaged crop`: figures, and where faces were missed."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from daemon.cli.common import print_table

if TYPE_CHECKING:
    from gallery.preparing.job import Job, Result
    from gallery.preparing.summary import Group

MOST_GROUPS = 20
"""Folders, and file stems, that the tables show; --json has them all."""


def as_json(job: Job, result: Result, seconds: float) -> dict[str, object]:
    """One document for programs."""
    from gallery.images import path_text
    from gallery.preparing.manifest import text_of

    cropped, rewritten = result.cropped, result.rewritten
    table: dict[str, object] | None = None
    if job.rewrite is not None and rewritten is not None:
        table = {
            "file": path_text(job.rewrite.out),
            "rows": rewritten.rows,
            "without_crop": len(rewritten.without_crop),
            "unknown": len(rewritten.unknown),
        }
    return {
        **asdict(result.summary),
        "mean_crop_px": None if cropped.mean_px is None else [round(side, 2) for side in cropped.mean_px],
        "looked_at": cropped.looked_at,
        "seconds": round(seconds, 3),
        "images_per_second": round(cropped.looked_at / seconds, 2),
        "changed": [text_of(name) for name in cropped.changed],
        "left_over": [text_of(name) for name in cropped.left_over],
        "manifest": path_text(job.manifest),
        "csv": table,
    }


def tell(job: Job, result: Result, seconds: float, device: str) -> None:
    """Figures and tables on stdout; device: empty where nothing was to do."""
    from gallery.images import path_text

    figures, cropped = result.summary, result.cropped
    refused = sum(figures.refused.values())
    typer.echo(
        f"{figures.images} images: {figures.with_face} with a face, {figures.missed} missed, "
        f"{refused} refused; {figures.crops} crops of faces, {figures.fallbacks} fallbacks"
    )
    if figures.mean_box is not None and cropped.mean_px is not None:
        box = " ".join(f"{edge:.1f}" for edge in figures.mean_box)
        width, height = cropped.mean_px
        typer.echo(
            f"mean box: {box} (left, top, right, bottom); mean crop: {width:.1f} x {height:.1f} pixels"
        )
    if figures.refused:
        typer.echo("\nrefused")
        print_table(["reason", "files"], list(figures.refused.items()))
    if figures.missed:
        _tell_groups("missed by folder", "folder", figures.missed_by_folder)
        _tell_groups("missed by file stem", "stem", figures.missed_by_stem)
    done, rate = cropped.looked_at, cropped.looked_at / seconds
    here = f", on {device}" if device else ""
    typer.echo(
        f"\n{done} images in {seconds:.1f} s: {rate:.1f} a second{here}" if done else "\nnothing was to do"
    )
    typer.echo(f"manifest: {path_text(job.manifest)}")
    if job.rewrite is not None and result.rewritten is not None:
        typer.echo(f"table: {path_text(job.rewrite.out)}, {result.rewritten.rows} rows")


def _tell_groups(title: str, heading: str, groups: tuple[Group, ...]) -> None:
    typer.echo(f"\n{title}")
    rows = [(each.name, each.missed, each.images, f"{each.share:.0%}") for each in groups[:MOST_GROUPS]]
    print_table([heading, "missed", "of", "share"], rows)
    if len(groups) > MOST_GROUPS:
        typer.echo(f"and {len(groups) - MOST_GROUPS} more (--json)")


def warn(result: Result) -> None:
    """What the owner should know of files that are not as the manifest might make believe."""
    from gallery.preparing.manifest import text_of

    cropped, rewritten = result.cropped, result.rewritten
    told = [
        (cropped.changed, "images were changed since they were cropped, and keep their crops (--force)"),
        (cropped.left_over, "crops of earlier runs are no longer in the manifest"),
    ]
    if rewritten is not None:
        told.append((tuple(rewritten.without_crop), "rows of the table have no crop: their cell is empty"))
        told.append((tuple(rewritten.unknown), "rows of the table lead to no image: their cell is empty"))
    taken = tuple(row.source for row in cropped.rows if row.reason == "exists")
    told.append((taken, "crops were not written, because a file of that name is there (--force)"))
    for names, what in told:
        if names:
            typer.echo(f"{len(names)} {what}; the first: {text_of(names[0])}", err=True)
