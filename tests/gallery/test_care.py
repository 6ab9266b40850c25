"""Setting references aside and back, and making one person of two, in a real file."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from gallery import care
from gallery.errors import GalleryError, PersonUnknown
from gallery.store import Gallery
from tests.gallery.builders import ENROLLED_UNIX_NS, MODEL, reference


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with Gallery.open(tmp_path / "gallery.db") as opened:
        opened.add("ann", [reference("1", (0, 0)), reference("2", (1, 0))], ENROLLED_UNIX_NS)
        opened.add("anna", [reference("3", (2, 0))], ENROLLED_UNIX_NS)
        yield opened


def content(gallery: Gallery) -> list[list[tuple[object, ...]]]:
    """Everything but the trail and the revision."""
    tables = ("person", "reference", "encoding", "threshold", "crop")
    whole = [
        sorted(gallery.connection.execute(f"SELECT * FROM {table}").fetchall(), key=repr) for table in tables
    ]
    return [*whole, gallery.connection.execute("SELECT model FROM gallery").fetchall()]


def test_what_is_set_aside_is_not_matched_with_until_it_is_reinstated(gallery: Gallery) -> None:
    before, revision = content(gallery), gallery.revision
    (first, second) = gallery.references("ann")
    assert care.set_aside(gallery, {first.id: "outlier"}) == 1
    assert gallery.references("ann")[0].set_aside == "outlier"
    assert [person.references for person in gallery.people()] == [1, 1]
    assert len(gallery.index(MODEL)) == 2
    assert gallery.revision > revision
    # Only its first reason counts.
    assert care.set_aside(gallery, {first.id: "duplicate", second.id: "duplicate"}) == 1
    assert gallery.references("ann")[0].set_aside == "outlier"
    assert care.reinstate(gallery, [first.id[:8], second.id]) == [first.id, second.id]
    assert content(gallery) == before
    whats = [entry.what for entry in gallery.trail()][-4:]
    assert whats == ["set_aside", "set_aside", "reinstated", "reinstated"]


@pytest.mark.parametrize("unknown", ["ffffffff-0000", "abc", "in use"])
def test_what_is_not_there_or_in_use_is_refused_and_nothing_is_changed(
    gallery: Gallery, unknown: str
) -> None:
    first, second = (each.id for each in gallery.references("ann"))
    care.set_aside(gallery, {first: "outlier"})
    before, revision = content(gallery), gallery.revision
    with pytest.raises(GalleryError):
        care.reinstate(gallery, [first, second if unknown == "in use" else unknown])
    with pytest.raises(GalleryError):
        care.set_aside(gallery, {second: "outlier", "nobody's": "outlier"})
    assert (content(gallery), gallery.revision) == (before, revision)


def test_two_people_become_one_who_keeps_name_and_id(gallery: Gallery) -> None:
    stays = gallery.person("anna")
    gallery.add_not("ann", [reference("3", (2, 0)), reference("stranger")], ENROLLED_UNIX_NS)
    execute = gallery.connection.execute
    execute("UPDATE person SET expires_unix_ns = 7, consent_basis = 'contract' WHERE name = 'ann'")
    merged = care.merge(gallery, "ann", "anna")
    assert (merged.id, merged.name, merged.references) == (stays.id, "anna", 3)
    assert [person.name for person in gallery.people()] == ["anna"]
    # Of what ann was told not to be, anna's own picture contradicts; the stranger's does not.
    assert [each.source_name for each in gallery.not_references("anna")] == ["stranger"]
    assert execute("SELECT expires_unix_ns, consent_basis FROM person").fetchall() == [(7, "contract")]
    entry = gallery.trail()[-1]
    assert (entry.what, entry.person_id) == ("merged", stays.id)
    assert "ann" not in str(entry.detail).replace(stays.id, "")


def test_nobody_is_merged_with_themselves_or_with_who_is_not_there(gallery: Gallery) -> None:
    before = content(gallery)
    with pytest.raises(GalleryError, match="two people"):
        care.merge(gallery, "ann", "ann")
    with pytest.raises(PersonUnknown):
        care.merge(gallery, "ann", "bob")
    assert content(gallery) == before


def test_kept_pictures_are_checked_against_what_was_written(gallery: Gallery) -> None:
    (first, _) = gallery.references("ann")
    assert care.crops(gallery, "ann") == {}
    execute = gallery.connection.execute
    execute("INSERT INTO crop VALUES (?, ?, ?)", (first.id, b"picture", zlib.crc32(b"picture")))
    assert care.crops(gallery, "ann") == {first.id: b"picture"}
    execute("UPDATE crop SET image = ?", (b"another",))
    with pytest.raises(GalleryError, match="damaged"):
        care.crops(gallery, "ann")


def test_material_holds_what_is_set_aside_and_what_is_of_an_old_model(gallery: Gallery) -> None:
    first, second = (each.id for each in gallery.references("ann"))
    care.set_aside(gallery, {first: "outlier"})
    gallery.connection.execute("UPDATE encoding SET model = 'old' WHERE reference_id = ?", (second,))
    material = care.material(gallery)
    assert (material.references[0].id, material.references[0].set_aside) == (first, "outlier")
    assert [each.id for each in material.old] == [second]
    assert material.encodings.tolist() == [[0, 0], [2, 0]]
