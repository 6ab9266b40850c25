"""Lists the images of a tree of folders."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from gallery.images import path_text
from gallery.preparing.errors import PreparingRefused


@dataclass(frozen=True, slots=True)
class Source:
    """A file that may be an image, or what looks like one and can't be opened."""

    name: str
    """Its path below the tree, with slashes."""
    path: Path
    """Where it is."""
    size_bytes: int
    """To notice that it was changed; -1: it can't be asked."""
    modified_unix_ns: int
    """Likewise."""
    unlisted: bool = False
    """A folder that we may not look into."""


def find(tree: Path) -> list[Source]:
    """Everything in a tree that is not hidden, in the order of its names.

    Links to files are files. Links to folders are not followed: what lies in the tree is found where it is.
    What does not is refused when it is opened, so a link to it is listed.
    """
    if not tree.is_dir():
        raise PreparingRefused(f"{path_text(tree)}: SOURCE must be a folder of images")
    unlisted: list[Source] = []

    def note(error: OSError) -> None:
        unlisted.append(_source(tree, Path(error.filename), unlisted=True))

    found = []
    for folder, folders, files in os.walk(tree, onerror=note):
        folders[:] = [name for name in folders if not name.startswith(".")]
        place = Path(folder)
        links = [name for name in folders if _leads_out(place / name, tree)]
        found += [_source(tree, place / name) for name in [*files, *links] if not name.startswith(".")]
    return sorted(found + unlisted, key=lambda source: source.name)


def _leads_out(folder: Path, tree: Path) -> bool:
    return folder.is_symlink() and not Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(tree))


def _source(tree: Path, path: Path, *, unlisted: bool = False) -> Source:
    name = path.relative_to(tree).as_posix()
    try:
        status = path.stat()
    except OSError:
        return Source(name, path, -1, -1, unlisted)
    return Source(name, path, status.st_size, status.st_mtime_ns, unlisted)
