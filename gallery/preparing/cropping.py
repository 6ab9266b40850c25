"""Crops the faces of a whole tree of images into another folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from gallery.faces.types import Detector
from gallery.images import path_text
from gallery.preparing.crop_desk import CropDesk, Places, Rows
from gallery.preparing.errors import PreparingRefused
from gallery.preparing.geometry import mean_size
from gallery.preparing.journal import Journal
from gallery.preparing.options import CropOptions
from gallery.preparing.reading import detected, opened
from gallery.preparing.tree import Source

MIDDLES_AT_ONCE = 8
"""Images without a face that are held, each of up to 150 MB."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Cropped:
    """What there is after a run."""

    rows: Rows
    """The manifest: every image of the tree in its order, also those of earlier runs."""
    looked_at: int
    """Images of this run."""
    changed: tuple[str, ...]
    """Images that were changed since they were cropped; their crops stay as they are."""
    left_over: tuple[str, ...]
    """Crops of earlier runs that no row tells of: of images that are gone, or of other options."""
    mean_px: tuple[float, float] | None
    """Mean width and height of the crops of faces, before they are scaled; None: there are none."""


def check_places(tree: Path, crops: Path) -> None:
    """Refuses folders of which one would be filled from itself."""
    source, target = Path(os.path.realpath(tree)), Path(os.path.realpath(crops))
    if target.is_relative_to(source) or source.is_relative_to(target):
        raise PreparingRefused(
            f"{path_text(crops)}: DEST must lie outside of SOURCE, and SOURCE outside of DEST, "
            "or crops would be taken for images"
        )
    if crops.exists() and not crops.is_dir():
        raise PreparingRefused(f"{path_text(crops)}: DEST must be a folder, or not be there yet")


def crop(
    sources: Sequence[Source],
    places: Places,
    load: Callable[[], Detector],
    options: CropOptions,
    journal: Journal,
    progress: Callable[[int, Rows], None] = lambda total, rows: None,
) -> Cropped:
    """Cuts what the journal does not know as done, and tells of all.

    load: loads the detector; it is not called where there is nothing to detect.
    progress is called with how many images there are to do, and the rows of each when they are done; misses
    that are cut once the mean is known count again.
    Raises PreparingFailed where a file can't be written.
    """
    desk = CropDesk(sources, places, options, journal)
    todo = [source for source in sources if desk.is_to_do(source)]
    free = []
    for source in todo:
        if desk.is_free(source.name, source):
            free.append(source)
        else:
            progress(len(todo), desk.taken(source))
    if free:
        with (
            closing(detected(free, places.tree, load())) as batches,
            closing(_lagging(desk.save_seen, batches)) as saved,
        ):
            for rows in saved:
                progress(len(todo), rows)
    mean_px = mean_size(row.pixels for row in desk.rows() if row.reason == "face" and row.pixels)
    if options.fallback.kind == "mean" and mean_px is not None:
        width, height = (side * options.fallback.factor for side in mean_px)
        missed = [source for source in sources if desk.is_missed(source)]
        with (
            closing(opened(missed, places.tree)) as images,
            closing(
                _lagging(lambda batch: desk.save_middles(batch, (width, height)), _in_batches(images))
            ) as saved,
        ):
            for rows in saved:
                progress(len(todo) + len(missed), rows)
    return Cropped(desk.rows(), len(todo), desk.changed(), desk.left_over(), mean_px)


def _lagging(save: Callable[[Item], list[Rows]], batches: Iterable[Item]) -> Generator[Rows, None, None]:
    """Saves each batch while the next one is made."""
    with ThreadPoolExecutor(1, "crops") as writer:
        saving: Future[list[Rows]] | None = None
        for batch in batches:
            coming = writer.submit(save, batch)
            if saving is not None:
                yield from saving.result()
            saving = coming
        if saving is not None:
            yield from saving.result()


def _in_batches(images: Iterable[Item]) -> Iterator[list[Item]]:
    batch: list[Item] = []
    for image in images:
        batch.append(image)
        if len(batch) == MIDDLES_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch
