"""`audit`, `reinstate`, `merge`, `enroll --strict` and the contact sheet; also with a daemon."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daemon.control import ControlServer, Facts, Live
from gallery.store import Gallery
from tests.daemon.cli.conftest import Shell
from tests.gallery.builders import ENROLLED_UNIX_NS
from tests.gallery.test_audit import MODEL, person_at
from tests.gallery.test_care import content
from tests.gallery.test_strict import hair, new


def gallery_of(shell: Shell) -> Gallery:
    return Gallery.open(shell.folder / "state" / "gallery.db")


def fill(shell: Shell) -> None:
    """ann, with a picture of no face; and anna, who is ann."""
    from dataclasses import replace

    with gallery_of(shell) as gallery:
        rows = {"ann": [*person_at(0, 6)[:3], hair()], "anna": person_at(0, 6)[3:], "bob": person_at(1)}
        for name, encodings in rows.items():
            references = [
                replace(new(row), source_digest=f"{name}{i}".ljust(64, "0"), source_name=f"{name}{i}.jpg")
                for i, row in enumerate(encodings)
            ]
            gallery.add(name, references, ENROLLED_UNIX_NS)


@contextmanager
def daemon(shell: Shell) -> Iterator[None]:
    """The control socket of a daemon that has this gallery."""
    state = shell.folder / "state"
    facts = Facts("1.0", str(state / "gallery.db"), MODEL, str(state))
    with ControlServer(state / "control.sock", facts, Live(lambda camera: None, lambda track: None, dict)):
        yield


def mend(visaged: Shell) -> None:
    found = visaged("audit", "--json").document
    assert [each["code"] for each in found["findings"]] == ["no_face", "same_person"]
    assert found["fixed"] == 0
    assert set(found["findings"][0]) == {
        "code",
        "severity",
        "people",
        "references",
        "distance",
        "explanation",
        "remedy",
        "set_aside",
    }
    with gallery_of(visaged) as gallery:
        before = content(gallery)
    done = visaged("audit", "--fix")
    assert done.code == 0
    assert "set aside 1" in done.out
    reference = found["findings"][0]["references"][0]["id"]
    listed = {each["id"]: each["set_aside"] for each in visaged("people", "ann", "--json").document}
    assert listed[reference] == "no_face"
    assert [each["code"] for each in visaged("audit", "--json").document["findings"]] == ["same_person"]
    assert visaged("reinstate", reference[:8], "--json").document == {"reinstated": [reference]}
    with gallery_of(visaged) as gallery:
        assert content(gallery) == before
    again = visaged("reinstate", reference)
    assert again.code == 2
    assert "in use" in again.err
    merged = visaged("merge", "anna", "ann", "--json").document
    assert (merged["name"], merged["references"]) == ("ann", 7)
    assert [each["name"] for each in visaged("people", "--json").document] == ["ann", "bob"]


def test_findings_are_set_aside_taken_back_and_people_merged(visaged: Shell) -> None:
    fill(visaged)
    mend(visaged)


def test_the_same_with_a_running_daemon(visaged: Shell) -> None:
    fill(visaged)
    with daemon(visaged):
        mend(visaged)


def test_findings_are_told_in_words_with_what_helps(visaged: Shell) -> None:
    fill(visaged)
    done = visaged("audit")
    assert "error: no_face: ann" in done.out
    assert "visaged merge anna ann" in done.out
    assert "visaged audit --fix sets 1 references aside; nothing was changed" in done.out


def test_a_contact_sheet_shows_kept_pictures_and_says_where_there_are_none(
    visaged: Shell, tmp_path: Path
) -> None:
    fill(visaged)
    empty, kept = tmp_path / "empty.png", tmp_path / "kept.png"
    done = visaged("people", "ann", "--plot", empty)
    assert done.code == 0
    assert "no pictures are kept" in done.err
    with Image.open(empty) as sheet:
        assert np.asarray(sheet.convert("L")).min() < 60
        assert sheet.width == 4 * 180
    picture = io.BytesIO()
    Image.new("RGB", (40, 40), (255, 0, 255)).save(picture, "PNG")
    with gallery_of(visaged) as gallery:
        key = gallery.references("ann")[0].id
        row = (key, picture.getvalue(), zlib.crc32(picture.getvalue()))
        gallery.connection.execute("INSERT INTO crop VALUES (?, ?, ?)", row)
    with daemon(visaged):
        done = visaged("people", "ann", "--plot", kept)
    assert "no pictures are kept" not in done.err
    with Image.open(kept) as sheet:
        assert (np.asarray(sheet.convert("RGB")) == (255, 0, 255)).all(axis=2).sum() == 40 * 40


def packed(side_px: int) -> bytes:
    """A black PNG."""
    file = io.BytesIO()
    Image.new("L", (side_px, side_px)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("what", ["no picture", "half a picture", "one that fills the memory"])
def test_a_kept_picture_that_can_not_be_read_is_an_empty_square_of_the_sheet(
    visaged: Shell, tmp_path: Path, what: str
) -> None:
    def grey() -> int:
        done = visaged("people", "ann", "--plot", tmp_path / "ann.png")
        assert done.code == 0
        with Image.open(tmp_path / "ann.png") as sheet:
            return int((np.asarray(sheet.convert("RGB")) == (230, 230, 230)).all(axis=2).sum())

    fill(visaged)
    none_kept = grey()
    picture = {
        "no picture": b"\xff\xd8nothing",
        "half a picture": packed(400)[:200],
        "one that fills the memory": packed(9_000),
    }[what]
    with gallery_of(visaged) as gallery:
        row = (gallery.references("ann")[0].id, picture, zlib.crc32(picture))
        gallery.connection.execute("INSERT INTO crop VALUES (?, ?, ?)", row)
    # A picture would cover one of four squares.
    assert grey() > 0.95 * none_kept


def test_a_sheet_is_of_one_person_and_a_png(visaged: Shell, tmp_path: Path) -> None:
    assert visaged("people", "--plot", tmp_path / "all.png").code == 2
    assert visaged("people", "ann", "--plot", tmp_path / "ann.gif").code == 2


def test_strict_is_refused_beside_not(visaged: Shell, tmp_path: Path) -> None:
    done = visaged("enroll", "ann", "--not", "--strict", tmp_path / "any.jpg")
    assert done.code == 2
    assert "--strict" in done.err
