"""Writes a table of images anew as a table of their crops."""

from __future__ import annotations

import csv
import functools
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from gallery.images import path_text
from gallery.preparing.errors import PreparingRefused
from gallery.preparing.manifest import text_of
from gallery.preparing.rows import Row

DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file, one of whose columns holds paths of images."""

    file: Path
    """Where it is."""
    delimiter: str
    """Between its cells."""
    headings: tuple[str, ...]
    """Of its columns."""
    place: int
    """Of the column with the paths."""
    rows: tuple[tuple[str, ...], ...]
    """Below the headings; short ones are filled up."""


@dataclass(slots=True)
class Rewritten:
    """The table with crops for images."""

    content: bytes
    """Of the file to write, UTF-8."""
    rows: int
    """Below the headings."""
    without_crop: list[str] = field(default_factory=list)
    """Cells of images that gave no crop; the cell is empty."""
    unknown: list[str] = field(default_factory=list)
    """Cells that lead to no image of the tree; the cell is empty."""


def read(file: Path, column: str) -> Table:
    """The table, before any work is done on it; PreparingRefused where it is none or has no such column."""
    try:
        text = file.read_text("utf-8-sig")
    except OSError as error:
        raise PreparingRefused(f"--rewrite-csv: {path_text(file)} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PreparingRefused(f"--rewrite-csv: {path_text(file)} must be UTF-8") from error
    first = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    try:
        lines = [line for line in csv.reader(StringIO(text, newline=""), delimiter=delimiter) if line]
    except csv.Error as error:
        raise PreparingRefused(f"--rewrite-csv: {path_text(file)} is no CSV: {error}") from error
    headings = tuple(lines[0]) if lines else ()
    if column not in headings:
        known = ", ".join(headings) or "none"
        raise PreparingRefused(f"--column: {path_text(file)} has no column {column}; its columns: {known}")
    rows = tuple(tuple(line) + ("",) * (len(headings) - len(line)) for line in lines[1:])
    return Table(file, delimiter, headings, headings.index(column), rows)


def rewrite(table: Table, rows: Sequence[Row], tree: Path, crops: Path) -> Rewritten:
    """Each row with the path of its image's crop, once for each crop if there are several.

    A path counts from the tree, from the table's folder or from where we are, whichever leads to an image of
    the tree. The crop's path begins as the crops' folder was given, and is absolute where the image's was.
    """
    finder = _Finder(rows, tree, table.file.absolute().parent)
    text = StringIO()
    writer = csv.writer(text, delimiter=table.delimiter, lineterminator="\n")
    writer.writerow(table.headings)
    told = Rewritten(b"", len(table.rows))
    for line in table.rows:
        cell = line[table.place]
        found = finder.crops_of(cell)
        if not found:
            (told.unknown if found is None else told.without_crop).append(cell)
        folder = crops.absolute() if Path(cell).is_absolute() else crops
        for path in [path_text(folder / crop) for crop in found or ()] or [""]:
            writer.writerow([*line[: table.place], path, *line[table.place + 1 :]])
    told.content = text.getvalue().encode()
    return told


class _Finder:
    """Finds the image that a cell means."""

    def __init__(self, rows: Sequence[Row], tree: Path, folder: Path) -> None:
        self._crops: dict[str, list[str]] = {}
        for row in rows:
            some = self._crops.setdefault(_plain(text_of(row.source)), [])
            if row.crop is not None:
                some.append(row.crop)
        self._tree = os.path.realpath(tree)
        self._starts = (Path(self._tree), folder, Path.cwd())

    def crops_of(self, cell: str) -> list[str] | None:
        """None: the cell leads to no image of the tree."""
        for start in self._starts if cell else ():
            # Links on the way to the tree are resolved, those in it are names of their own.
            path = Path(os.path.normpath(start / cell))
            for place in (path, Path(_resolved(str(path.parent)), path.name)):
                relative = os.path.relpath(place, self._tree)
                found = self._crops.get(_plain(relative.replace(os.sep, "/")))
                if found is not None:
                    return found
        return None


@functools.lru_cache(maxsize=4096)
def _resolved(folder: str) -> str:
    try:
        return os.path.realpath(folder)
    except ValueError:
        return folder


def _plain(name: str) -> str:
    """Composed: macOS lists names decomposed, and tables mostly have them composed."""
    return unicodedata.normalize("NFC", name)
