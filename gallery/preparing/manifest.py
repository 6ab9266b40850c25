"""Writes the manifest: a line for each crop and for each image that gave none."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from importlib.util import find_spec
from io import BytesIO, StringIO
from pathlib import Path

from gallery.images import path_text
from gallery.preparing.errors import PreparingRefused
from gallery.preparing.rows import Row

COLUMNS = ("source", "crop", "box", "score", "landmarks", "reason")


def check_kind(file: Path) -> None:
    """Refuses, before any work is done, what could not be written after."""
    if file.suffix.lower() not in (".csv", ".parquet"):
        raise PreparingRefused(f"--manifest: {path_text(file)} must end in .csv or .parquet")
    if file.suffix.lower() == ".parquet" and find_spec("pyarrow") is None:
        raise PreparingRefused("--manifest: .parquet needs pyarrow: uv sync --extra parquet; or write a .csv")


def content(file: Path, rows: Sequence[Row]) -> bytes:
    """The manifest in the format that the file's name says."""
    return _parquet(rows) if file.suffix.lower() == ".parquet" else _csv(rows)


def text_of(name: str) -> str:
    """A path as text; bytes in it that are no text become \\udc80 and the like."""
    return path_text(Path(name))


def _csv(rows: Sequence[Row]) -> bytes:
    """Boxes and landmarks as JSON; what there is not is empty."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        box, score, landmarks = (
            ("", "", "")
            if row.face is None
            else (json.dumps(row.face.box), row.face.score, json.dumps(row.face.landmarks))
        )
        crop = "" if row.crop is None else text_of(row.crop)
        writer.writerow([text_of(row.source), crop, box, score, landmarks, row.reason])
    return text.getvalue().encode()


def _parquet(rows: Sequence[Row]) -> bytes:
    """Boxes and landmarks as lists; what there is not is null."""
    import pyarrow
    from pyarrow import parquet

    schema = pyarrow.schema(
        [
            ("source", pyarrow.string()),
            ("crop", pyarrow.string()),
            ("box", pyarrow.list_(pyarrow.float64())),
            ("score", pyarrow.float64()),
            ("landmarks", pyarrow.list_(pyarrow.list_(pyarrow.float64()))),
            ("reason", pyarrow.string()),
        ]
    )
    faces = [row.face for row in rows]
    columns = {
        "source": [text_of(row.source) for row in rows],
        "crop": [None if row.crop is None else text_of(row.crop) for row in rows],
        "box": [None if face is None else face.box for face in faces],
        "score": [None if face is None else face.score for face in faces],
        "landmarks": [None if face is None else face.landmarks for face in faces],
        "reason": [row.reason for row in rows],
    }
    buffer = BytesIO()
    parquet.write_table(pyarrow.Table.from_pydict(columns, schema=schema), buffer)
    return buffer.getvalue()
