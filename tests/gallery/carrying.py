"""A gallery in which there is something of everything, and what two galleries must have in common."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from gallery import archive, archive_merging, care
from gallery.archive_merging import Imported
from gallery.schema import explained
from gallery.store import Gallery
from tests.gallery.builders import ENROLLED_UNIX_NS, MODEL, reference

OTHER_MODEL = "sface-mtcnn-fedcba9876543210"
TABLES = ("person", "reference", "encoding", "threshold", "crop")
Rows = dict[str, list[tuple[object, ...]]]


def jpeg(grey: int = 128, side_px: int = 24) -> bytes:
    """A small picture of one colour."""
    from PIL import Image

    packed = io.BytesIO()
    Image.new("RGB", (side_px, side_px), (grey, grey, grey)).save(packed, "JPEG")
    return packed.getvalue()


def fill(path: Path, people: int = 3, references: int = 3) -> None:
    """Consent, thresholds, what somebody is not, what is set aside, a second model, pictures."""
    import zlib

    draw = np.random.default_rng(3)
    with Gallery.open(path) as gallery, explained(path):
        for i in range(people):
            name = f"{'김연아' if i == 0 else 'person'} {i}"
            rows = draw.normal(size=(references, 16)).astype(np.float32)
            kept = [reference(f"{i}-{j}.jpg", row) for j, row in enumerate(rows)]
            gallery.add(name, kept, ENROLLED_UNIX_NS + i)
            gallery.add_not(name, [reference(f"not {i}", -rows[0])], ENROLLED_UNIX_NS + i)
        ids = [each.id for each in gallery.people()]
        gallery.set_thresholds(
            dict.fromkeys(ids[:2], 0.4), model=MODEL, fmr=0.01, calibrated_unix_ns=ENROLLED_UNIX_NS
        )
        first = gallery.references(gallery.people()[0].name)
        care.set_aside(gallery, {first[1].id: "outlier"})
        with gallery.change() as note:
            note("consent", ids[0])
            execute = gallery.connection.execute
            execute(
                "UPDATE person SET consent_basis = 'contract', consent_date = '2026-01-02', note = 'a\nb', "
                "expires_unix_ns = ? WHERE id = ?",
                (ENROLLED_UNIX_NS * 2, ids[0]),
            )
            for each in first[:2]:
                picture, other = jpeg(len(each.id)), each.encoding[:8].tobytes()
                execute("INSERT INTO crop VALUES (?, ?, ?)", (each.id, picture, zlib.crc32(picture)))
                row = (each.id, OTHER_MODEL, other, zlib.crc32(other))
                execute("INSERT INTO encoding VALUES (?, ?, ?, ?)", row)


def rows(path: Path) -> Rows:
    """All rows of all tables but the trail, and the model; not the revision, which only ever rises."""
    with Gallery.open(path, create=False) as gallery:
        found = {
            table: sorted(gallery.connection.execute(f"SELECT * FROM {table}").fetchall(), key=repr)
            for table in TABLES
        }
        return {**found, "model": gallery.connection.execute("SELECT model FROM gallery").fetchall()}


def exported(path: Path, *, with_crops: bool = True, names: tuple[str, ...] = ()) -> bytes:
    """An archive of the gallery."""
    target = io.BytesIO()
    with Gallery.open(path, create=False) as gallery:
        archive.write(gallery, target, with_crops=with_crops, names=names)
    return target.getvalue()


def imported(path: Path, content: bytes, *, by_name: bool = False) -> Imported:
    """Takes an archive into the gallery."""
    with archive.opened(io.BytesIO(content)) as carried, Gallery.open(path) as gallery:
        return archive_merging.merge(gallery, carried, by_name=by_name)
