"""What a run amounts to: how many crops, the mean box, and where faces were missed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from gallery.preparing.manifest import text_of
from gallery.preparing.rows import Box, Row

NO_FACE = ("no_face", "fallback")
"""Reasons of an image that could be opened, and on which no face was found."""


@dataclass(frozen=True, slots=True)
class Group:
    """Images that have a folder or a file stem in common."""

    name: str
    """The folder below the tree, "." for the tree itself; or the stem."""
    images: int
    """Of them, those that could be opened."""
    missed: int
    """Of these, those on which no face was found."""

    @property
    def share(self) -> float:
        """Missed, 0 to 1."""
        return self.missed / self.images


@dataclass(frozen=True, slots=True)
class Summary:
    """A manifest in figures."""

    images: int
    """Files that were looked at."""
    with_face: int
    """Images on which a face was found."""
    missed: int
    """Images on which none was found."""
    crops: int
    """Crops of faces."""
    fallbacks: int
    """Crops of images without a face."""
    refused: dict[str, int]
    """By reason: files that could not be opened, and crops whose place is taken."""
    mean_box: Box | None
    """Mean left, top, right and bottom of the faces that were cropped, in pixels; None: there are none."""
    missed_by_folder: tuple[Group, ...]
    """Where most are missed first. Groups of one image that was not missed are left out."""
    missed_by_stem: tuple[Group, ...]
    """Likewise, by the file's name without its ending."""


def summarize(rows: Sequence[Row]) -> Summary:
    """Counts a manifest's rows."""
    images = {row.source: row for row in rows}
    missed = {name for name, row in images.items() if row.reason in NO_FACE}
    with_face = {row.source for row in rows if row.face is not None}
    refused = Counter(row.reason for row in rows if row.reason not in ("face", *NO_FACE))
    opened = sorted(missed | with_face)
    return Summary(
        images=len(images),
        with_face=len(with_face),
        missed=len(missed),
        crops=sum(row.reason == "face" for row in rows),
        fallbacks=sum(row.reason == "fallback" for row in rows),
        refused=dict(refused.most_common()),
        mean_box=_mean_box([row.face.box for row in rows if row.reason == "face" and row.face is not None]),
        missed_by_folder=_groups(opened, missed, lambda path: str(path.parent)),
        missed_by_stem=_groups(opened, missed, lambda path: path.stem),
    )


def _groups(
    opened: Sequence[str], missed: set[str], key: Callable[[PurePosixPath], str]
) -> tuple[Group, ...]:
    keys = {name: key(PurePosixPath(name)) for name in opened}
    images, misses = Counter(keys.values()), Counter(keys[name] for name in missed)
    groups = [Group(text_of(name), count, misses[name]) for name, count in images.items()]
    told = [group for group in groups if group.missed or group.images > 1]
    return tuple(sorted(told, key=lambda group: (-group.share, -group.missed, -group.images, group.name)))


def _mean_box(boxes: Sequence[Box]) -> Box | None:
    if not boxes:
        return None
    left, top, right, bottom = (round(sum(edges) / len(boxes), 2) for edges in zip(*boxes, strict=True))
    return left, top, right, bottom
