"""A whole order: what to crop, and which manifest and table to write of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gallery.faces.types import Detector
from gallery.images import path_text
from gallery.preparing import crop_files, journal, manifest, rewriting, summary, tree
from gallery.preparing.crop_desk import Places, Rows
from gallery.preparing.cropping import Cropped, check_places, crop
from gallery.preparing.errors import PreparingRefused
from gallery.preparing.options import CropOptions


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A table of images to write anew as one of crops."""

    file: Path
    """The table, a CSV file."""
    column: str
    """The heading of the column that holds the images' paths."""
    out: Path
    """Where the new table goes."""


@dataclass(frozen=True, slots=True)
class Job:
    """What was asked for."""

    tree: Path
    """The folder of images."""
    crops: Path
    """The folder of crops."""
    options: CropOptions
    """How to cut."""
    manifest: Path
    """A .csv or .parquet file."""
    rewrite: Rewrite | None = None
    """None: no table is written anew."""
    force: bool = False
    """Begin anew, and write over what is there."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Of the detector: what else decides which faces are found, by the name that its user knows it by."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it."""

    cropped: Cropped
    """Everything that the manifest holds, and more."""
    summary: summary.Summary
    """The same in figures."""
    rewritten: rewriting.Rewritten | None
    """None: no table was asked for."""


def check(job: Job) -> rewriting.Table | None:
    """Refuses what can't be meant before anything is loaded or written; the table to rewrite, if any."""
    check_places(job.tree, job.crops)
    manifest.check_kind(job.manifest)
    outputs = {"--manifest": job.manifest}
    if job.rewrite is not None:
        outputs |= {"--csv-out": job.rewrite.out}
        if os.path.realpath(job.rewrite.out) in map(os.path.realpath, (job.rewrite.file, job.manifest)):
            raise PreparingRefused("--csv-out must be another file than --rewrite-csv and the manifest")
    for option, file in outputs.items():
        parent = file.absolute().parent
        if not parent.is_dir() and os.path.realpath(parent) != os.path.realpath(job.crops):
            raise PreparingRefused(f"{option}: {path_text(parent)} is no folder")
        if file.is_dir():
            raise PreparingRefused(f"{option}: {path_text(file)} is a folder")
    return None if job.rewrite is None else rewriting.read(job.rewrite.file, job.rewrite.column)


def run(
    job: Job,
    load: Callable[[], Detector],
    table: rewriting.Table | None,
    progress: Callable[[int, Rows], None] = lambda total, rows: None,
) -> Result:
    """Does it, from where an earlier run was broken off.

    load: loads the detector, called where there is anything to detect. table: what `check` gave.
    """
    sources = tree.find(job.tree)
    asked = {"SOURCE": os.path.realpath(job.tree)} | job.options.described() | dict(job.settings)
    outputs = [job.manifest] if job.rewrite is None else [job.manifest, job.rewrite.out]
    with journal.opened(job.crops, asked, force=job.force) as record:
        for file in outputs:
            _check_output(file, record, force=job.force)
        places = Places(job.tree, job.crops, tuple(outputs), job.force)
        cropped = crop(sources, places, load, job.options, record, progress)
        _write(record, job.manifest, manifest.content(job.manifest, cropped.rows))
        rewritten = None
        if job.rewrite is not None and table is not None:
            rewritten = rewriting.rewrite(table, cropped.rows, job.tree, job.crops)
            _write(record, job.rewrite.out, rewritten.content)
    return Result(cropped, summary.summarize(cropped.rows), rewritten)


def _check_output(file: Path, record: journal.Journal, *, force: bool) -> None:
    if os.path.lexists(file) and not force and os.path.realpath(file) not in record.outputs:
        raise PreparingRefused(f"{path_text(file)} is there already; name another file, or --force")


def _write(record: journal.Journal, file: Path, content: bytes) -> None:
    record.begin_output(file)
    crop_files.write(file, content, file.with_name(f".{file.name}.part"))
