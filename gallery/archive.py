"""What an archive of a gallery holds: people and references as JSON, encodings as arrays, crops as files."""

from __future__ import annotations

import io
import json
import math
import sqlite3
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO

import numpy as np
from numpy.typing import NDArray

from gallery import archive_file, reading, schema, soundness
from gallery.archive_file import Opened
from gallery.errors import ArchiveRefused
from gallery.migrations import MIGRATIONS
from gallery.store import Gallery

KIND = "gallery"
TABLES = {"people.json": "person", "references.json": "reference", "thresholds.json": "threshold"}
"""Members that hold a table's rows, a JSON object each, in the order in which they were made."""
ENCODINGS = "encodings.npz"
"""references_I: the ids, vectors_I: float32[n, d], for the model I of the manifest's `models`."""
CROPS = "crops/"
"""Before a reference's id and .jpg or .png."""
MOST_JSON_BYTES, MOST_CROP_BYTES = 1 << 30, 4 << 20
SUFFIXES = {b"\xff\xd8": ".jpg", b"\x89P": ".png"}
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}

Value = str | int | float | None


@dataclass(frozen=True, slots=True)
class Carried:
    """An archive's content that was found sound, as a gallery's tables in memory."""

    connection: sqlite3.Connection
    """Its tables hold what the archive holds, in this visaged's schema."""
    model: str | None
    """Of the gallery that it came from."""


def write(gallery: Gallery, target: IO[bytes], *, with_crops: bool, names: Sequence[str] = ()) -> int:
    """Fills a file with everybody, or with these people; how many it was. The trail says so."""
    chosen = [gallery.person(name).id for name in names]
    with gallery.change() as note:
        for person_id in chosen or (None,):
            note("exported", person_id, crops=int(with_crops))
    with schema.explained(gallery.path), _one_moment(gallery.connection) as connection:
        wanted = chosen or [row[0] for row in connection.execute("SELECT id FROM person")]
        connection.execute("CREATE TEMP TABLE wanted (id TEXT PRIMARY KEY)")
        connection.executemany("INSERT INTO wanted VALUES (?)", [(each,) for each in wanted])
        told, members = _content(gallery, connection, with_crops=with_crops)
    archive_file.write(target, KIND, told, members)
    return len(wanted)


@contextmanager
def opened(source: IO[bytes]) -> Iterator[Carried]:
    """An archive of a gallery, all of it looked at; ArchiveRefused where anything is not as it must be."""
    with (
        archive_file.opened(source, KIND) as archive,
        closing(sqlite3.connect(":memory:", isolation_level=None)) as connection,
    ):
        model = archive.told.get("model")
        if not isinstance(model, str | None) or not soundness.is_line(model or ""):
            raise ArchiveRefused("its manifest is not one of a gallery")
        try:
            _fill(connection, archive)
        except (sqlite3.Error, OverflowError, ValueError, KeyError, TypeError, RecursionError) as error:
            if isinstance(error, ArchiveRefused):
                raise
            raise ArchiveRefused(f"its content is none of a gallery: {error}") from error
        yield Carried(connection, model)


@contextmanager
def _one_moment(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("BEGIN")
    try:
        yield connection
    finally:
        connection.execute("ROLLBACK")


def _content(
    gallery: Gallery, connection: sqlite3.Connection, *, with_crops: bool
) -> tuple[dict[str, object], dict[str, bytes]]:
    members: dict[str, bytes] = {}
    for member, table in TABLES.items():
        owner = "id" if table == "person" else "person_id"
        members[member] = _as_json(
            connection.execute(
                f"SELECT * FROM {table} WHERE {owner} IN (SELECT id FROM wanted) ORDER BY rowid"  # noqa: S608
            )
        )
    models, members[ENCODINGS] = _encodings(gallery, connection)
    if with_crops:
        members.update(_crops(gallery, connection))
    told: dict[str, object] = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "schema": len(MIGRATIONS),
        "model": connection.execute("SELECT model FROM gallery").fetchone()[0],
        "models": models,
        "crops": with_crops,
    }
    return told, members


def _as_json(cursor: sqlite3.Cursor) -> bytes:
    columns = [each[0] for each in cursor.description]
    rows = [dict(zip(columns, row, strict=True)) for row in cursor]
    return json.dumps(rows, ensure_ascii=False, indent=1, allow_nan=False).encode()


def _encodings(gallery: Gallery, connection: sqlite3.Connection) -> tuple[list[str], bytes]:
    """The models, and their arrays."""
    rows: dict[str, list[tuple[str, bytes]]] = {}
    for key, model, vector, checksum in connection.execute(
        """SELECT reference_id, model, vector, checksum FROM encoding JOIN reference ON id = reference_id
           WHERE person_id IN (SELECT id FROM wanted) ORDER BY model, reference.rowid"""
    ):
        rows.setdefault(model, []).append((key, reading.sound(gallery.path, key, vector, checksum)))
    arrays: dict[str, NDArray[np.float32] | NDArray[np.str_]] = {}
    for i, (_, kept) in enumerate(rows.items()):
        arrays[f"references_{i}"] = np.array([key for key, _ in kept], np.str_)
        arrays[f"vectors_{i}"] = reading.matrix(gallery.path, [vector for _, vector in kept]).astype("<f4")
    packed = io.BytesIO()
    np.savez(packed, allow_pickle=False, **arrays)
    return list(rows), packed.getvalue()


def _crops(gallery: Gallery, connection: sqlite3.Connection) -> Iterator[tuple[str, bytes]]:
    for key, image, checksum in connection.execute(
        """SELECT reference_id, image, checksum FROM crop JOIN reference ON id = reference_id
           WHERE person_id IN (SELECT id FROM wanted) ORDER BY reference.rowid"""
    ):
        if zlib.crc32(image) != checksum:
            raise schema.damaged(gallery.path, f"the picture of reference {key} is not what was written")
        yield f"{CROPS}{key}{SUFFIXES.get(image[:2], '.jpg')}", image


def _fill(connection: sqlite3.Connection, archive: Opened) -> None:
    """Puts it all into a gallery's tables, whose types, keys and checks refuse what does not belong there."""
    version = archive.told.get("schema")
    if not isinstance(version, int) or not 1 <= version <= len(MIGRATIONS):
        raise ArchiveRefused(f"made by a newer visaged (schema {version!a}, we know {len(MIGRATIONS)})")
    connection.execute("PRAGMA foreign_keys = ON")
    schema.migrate(connection, version)
    with schema.transaction(connection):
        for member, table in TABLES.items():
            _insert(connection, table, json.loads(archive.read(member, MOST_JSON_BYTES), parse_constant=_no))
        for model, ids, vectors in _arrays(archive):
            rows = [(key, model, row.tobytes()) for key, row in zip(ids, vectors, strict=True)]
            connection.executemany(
                "INSERT INTO encoding VALUES (?, ?, ?, ?)", [(*row, zlib.crc32(row[2])) for row in rows]
            )
        known = {*TABLES, ENCODINGS}
        for name in archive.members.keys() - known:
            _insert_crop(connection, name, archive.read(name, MOST_CROP_BYTES))
    schema.migrate(connection)
    soundness.check_values(connection, shown=True)


def _insert(connection: sqlite3.Connection, table: str, rows: object) -> None:
    known = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
    if not isinstance(rows, list) or not all(isinstance(row, dict) and set(row) == known for row in rows):
        raise ArchiveRefused(f"its table {table} has not the columns of one")
    columns = sorted(known)
    marks = ", ".join("?" * len(columns))
    connection.executemany(
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})",  # noqa: S608
        [[row[column] for column in columns] for row in rows],
    )


def _arrays(archive: Opened) -> Iterator[tuple[str, list[str], NDArray[np.float32]]]:
    """Model, ids of references and vectors; read without numpy's own loader, which would believe a header."""
    models = archive.told.get("models")
    content = archive.read(ENCODINGS, archive_file.MOST_BYTES)
    if not isinstance(models, list) or not all(isinstance(model, str) and model for model in models):
        raise ArchiveRefused("its manifest names no models")
    with archive_file.zipfile_of(io.BytesIO(content)) as packed:
        names = {f"{kind}_{i}.npy" for i in range(len(models)) for kind in ("references", "vectors")}
        if {entry.filename for entry in packed.infolist()} != names:
            raise ArchiveRefused(f"{ENCODINGS} holds other arrays than its models'")
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in packed.infolist()):
            raise ArchiveRefused(f"{ENCODINGS} is packed")
        for i, model in enumerate(models):
            ids = _array(packed.read(f"references_{i}.npy"), "U", 1)
            vectors = _array(packed.read(f"vectors_{i}.npy"), "f", 2)
            if vectors.dtype != reading.STORED or not vectors.size or not np.isfinite(vectors).all():
                raise ArchiveRefused(f"{ENCODINGS} holds what is no encoding")
            yield model, [str(key) for key in ids], vectors.astype(np.float32, copy=False)


def _array(content: bytes, kind: str, dimensions: int) -> NDArray[np.generic]:
    """From .npy: of plain numbers or texts alone, and not larger than what is there."""
    file = io.BytesIO(content)
    read_header = HEADERS.get(np.lib.format.read_magic(file))
    if read_header is None:
        raise ArchiveRefused(f"{ENCODINGS} is of another numpy")
    shape, fortran, dtype = read_header(file)
    rest = content[file.tell() :]
    if dtype.kind != kind or dtype.hasobject or fortran or len(shape) != dimensions:
        raise ArchiveRefused(f"{ENCODINGS} holds other arrays than encodings")
    if math.prod(shape) * dtype.itemsize != len(rest) or min(shape, default=0) < 0:
        raise ArchiveRefused(f"{ENCODINGS} is not as large as it says")
    return np.frombuffer(rest, dtype).reshape(shape)


def _insert_crop(connection: sqlite3.Connection, name: str, image: bytes) -> None:
    key = name.removeprefix(CROPS)[: -len(".jpg")]
    suffix = SUFFIXES.get(image[:2])
    if not name.startswith(CROPS) or suffix is None or not name.endswith(suffix):
        raise ArchiveRefused(f"{name} is no member of an archive of a gallery")
    connection.execute("INSERT INTO crop VALUES (?, ?, ?)", (key, image, zlib.crc32(image)))


def _no(constant: str) -> Value:
    raise ArchiveRefused(f"{constant} is no number")
