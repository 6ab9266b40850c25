"""A gallery in one file: what goes out comes in again, and what is not whole is refused whole."""

from __future__ import annotations

import io
import json
import os
import stat
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gallery import archive, archive_file, consent, forgetting, reading, reencoding
from gallery.errors import ArchiveRefused, GalleryError, ModelMismatch
from gallery.store import Gallery
from tests.gallery.builders import ENROLLED_UNIX_NS, reference
from tests.gallery.carrying import exported, fill, imported, rows

Change = Callable[[dict[str, bytes], dict[str, object]], None]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "gallery.db"
    fill(path)
    return path


@pytest.fixture(scope="module")
def content(source: Path) -> bytes:
    return exported(source)


def test_an_archive_taken_into_an_empty_gallery_makes_an_equal_one(source: Path, tmp_path: Path) -> None:
    other = tmp_path / "gallery.db"
    report = imported(other, exported(source))
    assert rows(other) == rows(source)
    assert (report.people_added, report.references_added, report.conflicts) == (3, 12, ())


def test_without_crops_all_but_the_pictures_is_carried(source: Path, tmp_path: Path) -> None:
    other = tmp_path / "gallery.db"
    imported(other, exported(source, with_crops=False))
    assert rows(other) == {**rows(source), "crop": []}


def test_who_is_named_alone_is_carried_alone(source: Path, tmp_path: Path) -> None:
    other = tmp_path / "gallery.db"
    assert imported(other, exported(source, names=("person 1",))).people_added == 1
    with Gallery.open(other) as gallery, Gallery.open(source) as whole:
        assert gallery.people() == [whole.person("person 1")]


def test_taken_in_twice_nothing_is_doubled_and_nothing_changes(
    source: Path, content: bytes, tmp_path: Path
) -> None:
    other = tmp_path / "gallery.db"
    imported(other, content)
    with Gallery.open(other) as gallery:
        before = gallery.revision, gallery.trail()
    report = imported(other, content)
    assert (report.people_added, report.references_added, report.references_present) == (0, 0, 12)
    assert report.conflicts == ()
    assert rows(other) == rows(source)
    with Gallery.open(other) as gallery:
        assert (gallery.revision, gallery.trail()) == before


def test_the_trails_of_both_say_so_with_ids_alone(source: Path, content: bytes, tmp_path: Path) -> None:
    other = tmp_path / "gallery.db"
    imported(other, content)
    with Gallery.open(other) as gallery, Gallery.open(source) as whole:
        assert [entry.what for entry in gallery.trail()] == ["imported"] * 3
        assert {entry.person_id for entry in gallery.trail()} == {each.id for each in whole.people()}
        assert whole.trail()[-1].what == "exported"


def test_a_person_of_the_same_id_gets_what_is_missing(source: Path, content: bytes, tmp_path: Path) -> None:
    other = tmp_path / "gallery.db"
    imported(other, content)
    with Gallery.open(other) as gallery:
        gallery.connection.execute("DELETE FROM reference WHERE source_name = '1-1.jpg'")
        gallery.rename("person 1", "somebody")
    report = imported(other, content)
    assert (report.people_merged, report.references_added, report.references_present) == (1, 1, 11)
    (conflict,) = report.conflicts
    assert (conflict.code, conflict.person.name) == ("person_differs", "person 1")
    assert conflict.explanation.endswith("name")
    with Gallery.open(other) as gallery:
        assert len(gallery.references("somebody")) == 3


@pytest.mark.parametrize(("ahead_s", "is_adopted"), [(-5, False), (1000, True)])
def test_of_who_is_here_the_earlier_date_to_expire_holds_but_none_that_has_passed(
    tmp_path: Path, ahead_s: int, is_adopted: bool
) -> None:
    now_unix_ns = time.time_ns()
    there, later = now_unix_ns + ahead_s * 10**9, now_unix_ns + 10**15
    path = tmp_path / "gallery.db"
    with Gallery.open(path) as gallery:
        gallery.add("Ann", [reference("ann.jpg", [1.0, 0.0])], ENROLLED_UNIX_NS, {"expires_unix_ns": there})
    content = exported(path)
    with Gallery.open(path) as gallery:
        gallery.connection.execute("UPDATE person SET expires_unix_ns = ?", (later,))
    report = imported(path, content)
    with Gallery.open(path) as gallery:
        assert consent.of(gallery, "Ann").expires_unix_ns == (there if is_adopted else later)
        assert forgetting.expired(gallery, now_unix_ns) == []
    assert [conflict.code for conflict in report.conflicts] == ([] if is_adopted else ["person_differs"])


def test_another_person_of_the_same_name_is_left_out_unless_both_are_one(
    content: bytes, tmp_path: Path
) -> None:
    other = tmp_path / "gallery.db"
    with Gallery.open(other) as gallery:
        gallery.add("person 1", [reference("mine", np.ones(16))], ENROLLED_UNIX_NS)
        mine = gallery.person("person 1")
    report = imported(other, content)
    assert [(each.code, each.person.name) for each in report.conflicts] == [("name_taken", "person 1")]
    assert report.people_added == 2
    with Gallery.open(other) as gallery:
        assert gallery.person("person 1") == mine
    report = imported(other, content, by_name=True)
    assert (report.people_merged, report.references_added, report.conflicts) == (1, 4, ())
    with Gallery.open(other) as gallery:
        assert (gallery.person("person 1").id, len(gallery.references("person 1"))) == (mine.id, 4)


def test_a_picture_of_somebody_else_or_of_who_it_is_not_is_told_and_left_out(
    content: bytes, tmp_path: Path
) -> None:
    other = tmp_path / "gallery.db"
    with Gallery.open(other) as gallery:
        gallery.add("Eve", [reference("2-0.jpg", np.ones(16))], ENROLLED_UNIX_NS)
        gallery.add("person 1", [reference("not 1", np.ones(16))], ENROLLED_UNIX_NS)
    report = imported(other, content, by_name=True)
    assert [(each.code, each.person.name) for each in report.conflicts] == [
        ("contradiction", "person 1"),
        ("image_of_another", "person 2"),
    ]
    with Gallery.open(other) as gallery:
        assert gallery.person("person 2").references == 2


def test_encodings_that_can_not_be_compared_are_refused(content: bytes, tmp_path: Path) -> None:
    other = tmp_path / "gallery.db"
    with Gallery.open(other) as gallery:
        gallery.add("Eve", [reference("eve", np.ones(16), model="another-model")], ENROLLED_UNIX_NS)
    before = rows(other)
    with pytest.raises(ModelMismatch, match="another-model"):
        imported(other, content)
    assert rows(other) == before


def test_a_space_of_the_other_galleries_model_is_enough(tmp_path: Path) -> None:
    one, other = tmp_path / "one.db", tmp_path / "other.db"
    with Gallery.open(one) as gallery:
        gallery.add("Ann", [reference("ann", np.ones(16))], ENROLLED_UNIX_NS)
        ids = [each.id for each in reencoding.lacking(gallery, "new")]
        reencoding.put(gallery, "new", ids, np.ones((1, 4), np.float32))
    with Gallery.open(other) as gallery:
        gallery.add("Eve", [reference("eve", np.zeros(4), model="new")], ENROLLED_UNIX_NS)
    assert imported(other, exported(one)).people_added == 1
    with Gallery.open(other) as gallery:
        assert [person.name for person in gallery.index("new").people] == ["Eve", "Ann"]


def test_a_file_is_written_for_its_owner_whole_or_not_and_not_over_another(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    before = os.umask(0)
    try:
        with archive_file.created(path, force=False) as target:
            archive_file.write(target, "gallery", {}, {"a": b"1"})
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    written = path.read_bytes()
    with pytest.raises(ArchiveRefused, match="--force"), archive_file.created(path, force=False):
        pass

    def fail() -> None:
        with archive_file.created(path, force=True) as target:
            target.write(b"half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert path.read_bytes() == written
    assert list(tmp_path.iterdir()) == [path]
    nowhere = archive_file.created(tmp_path / "no" / "a.zip", force=False)
    with pytest.raises(ArchiveRefused, match="can't be written"), nowhere:
        pass


def refused(content: bytes, path: Path, words: str = ".") -> None:
    """Nothing is there afterwards, not even an empty gallery's change."""
    with pytest.raises(ArchiveRefused, match=words):
        imported(path, content)
    if path.exists():
        assert rows(path)["person"] == []


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), noise=st.binary(min_size=1, max_size=64))
def test_an_archive_with_any_bytes_changed_is_refused(
    content: bytes, tmp_path: Path, place: float, noise: bytes
) -> None:
    at = int(place * len(content))
    changed = bytearray(content)
    changed[at : at + len(noise)] = noise[: len(content) - at]
    if bytes(changed) != content:
        refused(bytes(changed), tmp_path / "gallery.db")


def test_every_region_of_an_archive_counts(content: bytes, tmp_path: Path) -> None:
    regions = np.linspace(0, len(content) - 1, 400).astype(int).tolist()
    for at in [*regions, *range(len(content) - 120, len(content))]:
        changed = bytearray(content)
        changed[at] ^= 1 << (at % 8)
        refused(bytes(changed), tmp_path / "gallery.db")


@pytest.mark.parametrize("kept", [0, 1, 30, 200, 0.1, 0.25, 0.5, 0.75, 0.9, 0.999, -1, -22, -100])
def test_a_truncated_archive_is_refused(content: bytes, tmp_path: Path, kept: float) -> None:
    end = int(kept * len(content)) if 0 < kept < 1 else int(kept)
    refused(content[:end], tmp_path / "gallery.db")


def test_a_longer_archive_is_refused(content: bytes, tmp_path: Path) -> None:
    refused(content + b"\0", tmp_path / "gallery.db")
    refused(b"\0" + content, tmp_path / "gallery.db")


def repacked(content: bytes, change: Change) -> bytes:
    """The archive, sealed and with digests that fit, of what `change` made of members and manifest."""
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        members = {name: opened.read(name) for name in opened.namelist()}
    told = json.loads(members.pop("manifest.json"))
    for key in ("format", "version", "kind", "members"):
        told.pop(key)
    change(members, told)
    target = io.BytesIO()
    archive_file.write(target, "gallery", told, members)
    return target.getvalue()


def test_an_archive_packed_anew_as_it_was_is_taken(content: bytes, source: Path, tmp_path: Path) -> None:
    imported(tmp_path / "gallery.db", repacked(content, lambda members, told: None))
    assert rows(tmp_path / "gallery.db") == rows(source)


def edited(member: str, edit: Callable[[list[dict[str, object]]], object]) -> Change:
    def change(members: dict[str, bytes], told: dict[str, object]) -> None:
        table = json.loads(members[member])
        edit(table)
        members[member] = json.dumps(table).encode()

    return change


def renamed(member: str, new: str) -> Change:
    """With another id in the first row, wherever it stands; the table of this id must be consistent."""

    def change(members: dict[str, bytes], told: dict[str, object]) -> None:
        old = json.loads(members[member])[0]["id"]
        for name, text in members.items():
            if name.endswith(".json"):
                members[name] = text.replace(old.encode(), new.encode())
        if member == "references.json":
            with np.load(io.BytesIO(members["encodings.npz"])) as found:
                texts = {
                    key: np.where(rows == old, new, rows) if rows.dtype.kind == "U" else rows
                    for key, rows in found.items()
                }
            arrays(**texts)(members, told)
            for name in [name for name in members if old in name]:
                members.pop(name)

    return change


def arrays(**given: object) -> Change:
    def change(members: dict[str, bytes], told: dict[str, object]) -> None:
        packed = io.BytesIO()
        np.savez(packed, **given)  # type: ignore[arg-type]
        members["encodings.npz"] = packed.getvalue()

    return change


def packed_arrays(members: dict[str, bytes], told: dict[str, object]) -> None:
    with np.load(io.BytesIO(members["encodings.npz"])) as found:
        packed = io.BytesIO()
        np.savez_compressed(packed, **found)
    members["encodings.npz"] = packed.getvalue()


def boastful_array(members: dict[str, bytes], told: dict[str, object]) -> None:
    members["encodings.npz"] = members["encodings.npz"].replace(b"(12, 16)", b"(99999999999, 16)"[:8])


def endless_threshold(members: dict[str, bytes], told: dict[str, object]) -> None:
    """With a checksum that fits."""
    table = json.loads(members["thresholds.json"])
    checksum = reading.threshold_checksum(table[0]["person_id"], float("inf"), table[0]["model"])
    table[0].update(distance="endless", checksum=checksum)
    members["thresholds.json"] = json.dumps(table).replace('"endless"', "1e999").encode()


def endless_probability(members: dict[str, bytes], told: dict[str, object]) -> None:
    members["thresholds.json"] = members["thresholds.json"].replace(b'"fmr": 0.01', b'"fmr": 1e999', 1)


ILL_MEANT: dict[str, Change] = {
    "a name with a line break": edited("people.json", lambda table: table[0].update(name="a\nb")),
    "a name twice": edited("people.json", lambda table: table[0].update(name=table[1]["name"])),
    "a name that is a number": edited("people.json", lambda table: table[0].update(name=None)),
    "a name for an id": renamed("people.json", "Ann Lee"),
    "a path for an id": renamed("references.json", "../../ann"),
    "a column too many": edited("people.json", lambda table: table[0].update(extra=1)),
    "a column too few": edited("people.json", lambda table: table[0].pop("note")),
    "text for a number": edited("references.json", lambda table: table[0].update(quality="good")),
    "a quality of 2": edited("references.json", lambda table: table[0].update(quality=2.0)),
    "an endless number": edited("references.json", lambda table: table[0].update(enrolled_unix_ns=1 << 70)),
    "a list for text": edited("references.json", lambda table: table[0].update(source_name=["a"])),
    "an escape sequence": edited("references.json", lambda table: table[0].update(source_name="\x1b[2J")),
    "somebody's, who is not there": edited("references.json", lambda table: table[0].update(person_id="?")),
    "a reference without an encoding": edited(
        "references.json",
        lambda table: table.append({**table[0], "id": "new", "source_digest": "0" * 64}),
    ),
    "another threshold": edited("thresholds.json", lambda table: table[0].update(distance=9.0)),
    "a threshold without end": endless_threshold,
    "a probability without end": endless_probability,
    "a model of two lines": lambda members, told: told.update(model="a\nb"),
    "models of two lines": lambda members, told: told.update(models=["a\nb", "c"]),
    "rows that are none": edited("people.json", lambda table: table.append({})),
    "no people": lambda members, told: members.update({"people.jsno": members.pop("people.json")}),
    "no JSON": lambda members, told: members.update({"people.json": b"["}),
    "deep JSON": lambda members, told: members.update({"people.json": b"[" * 200_000}),
    "NaN": lambda members, told: members.update({"people.json": b"[NaN]"}),
    "a newer schema": lambda members, told: told.update(schema=999),
    "a schema that is none": lambda members, told: told.update(schema="1"),
    "models that are none": lambda members, told: told.update(models=[1]),
    "a model too many": lambda members, told: told.update(models=["a", "b", "c"]),
    "an object array": arrays(
        references_0=np.array(["a"]), vectors_0=np.array([[{}]], object),
        references_1=np.array(["a"]), vectors_1=np.ones((1, 2), np.float32),
    ),
    "numbers that are none": arrays(
        references_0=np.array(["a"]), vectors_0=np.full((1, 2), np.nan, np.float32),
        references_1=np.array(["a"]), vectors_1=np.ones((1, 2), np.float32),
    ),
    "packed arrays": packed_arrays,
    "an array that boasts": boastful_array,
    "a picture that is none": lambda members, told: members.update({"crops/a.jpg": b"GIF89a"}),
    "a picture of nobody": lambda members, told: members.update({"crops/a.jpg": b"\xff\xd8"}),
    "a picture too large": lambda members, told: members.update(
        {"crops/a.jpg": b"\xff\xd8" + bytes(archive.MOST_CROP_BYTES)}
    ),
    "a file of another kind": lambda members, told: members.update({"run.sh": b"rm"}),
    "a path up": lambda members, told: members.update({"../../x": b"x"}),
    "an absolute path": lambda members, told: members.update({"/etc/x": b"x"}),
}  # fmt: skip


@pytest.mark.parametrize("what", ILL_MEANT)
def test_an_archive_made_to_do_harm_is_refused_whole(content: bytes, tmp_path: Path, what: str) -> None:
    refused(repacked(content, ILL_MEANT[what]), tmp_path / "gallery.db")


def sealed(content: bytes) -> bytes:
    """With a digest that fits, whatever was done to it."""
    target = io.BytesIO(content)
    archive_file._seal(target)
    return target.getvalue()


def test_a_packed_member_as_bombs_are_is_refused(tmp_path: Path) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("manifest.json", b"0" * 10_000_000)
        packed.comment = archive_file.SEAL + b"0" * 64
    refused(sealed(target.getvalue()), tmp_path / "gallery.db", "packed")


def test_one_member_twice_is_refused(content: bytes, tmp_path: Path) -> None:
    # As long a name as another's, in both places where a zip keeps it.
    changed = content.replace(b"thresholds.json", b"references.json")
    refused(sealed(changed), tmp_path / "gallery.db", "members")


def test_members_that_lie_over_one_another_are_refused(content: bytes, tmp_path: Path) -> None:
    # The central directory is made to tell of a member that is larger than the file.
    at = content.rindex(b"PK\x01\x02")
    size = (1 << 30).to_bytes(4, "little")
    changed = content[: at + 20] + size + size + content[at + 28 :]
    refused(sealed(changed), tmp_path / "gallery.db", "larger than the file")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b'"version": 1', b'"version": 9', "version 9"),
        (b'"format": "visaged"', b'"format": "vizaged"', "no archive of visaged"),
        (b'"kind": "gallery"', b'"kind": "gollery"', "not a gallery"),
        (b'"bytes": ', b'"bites": ', "not what its manifest says"),
    ],
)
def test_another_version_kind_or_digest_is_refused(
    content: bytes, tmp_path: Path, old: bytes, new: bytes, words: str
) -> None:
    import zlib

    at = content.rindex(b'{\n "format"')
    end = content.index(b"PK\x01\x02", at)
    text = content[at:end].replace(old, new, 1)
    assert text != content[at:end]
    # The zip's own checksums too, as whoever means harm would.
    crc_old = zlib.crc32(content[at:end]).to_bytes(4, "little")
    crc_new = zlib.crc32(text).to_bytes(4, "little")
    changed = (content[:at] + text + content[end:]).replace(crc_old, crc_new)
    refused(sealed(changed), tmp_path / "gallery.db", words)


def test_a_damaged_gallery_is_not_exported(tmp_path: Path) -> None:
    path = tmp_path / "gallery.db"
    fill(path)
    with Gallery.open(path) as gallery:
        gallery.connection.execute("UPDATE encoding SET checksum = checksum + 1")
    with pytest.raises(GalleryError, match="damaged"):
        exported(path)
