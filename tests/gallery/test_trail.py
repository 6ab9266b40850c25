"""What a gallery writes down about its changes."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest

from gallery.errors import PersonUnknown
from gallery.store import Gallery
from tests.gallery.builders import ENROLLED_UNIX_NS, MODEL, reference


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gallery.db"


def test_every_change_leaves_an_entry_that_says_who_what_and_when(path: Path) -> None:
    before_ns = time.time_ns()
    with Gallery.open(path) as gallery:
        gallery.who = "operator"
        ann = gallery.add("Ann", [reference("a.jpg"), reference("b.jpg")], ENROLLED_UNIX_NS)
        gallery.add_not("Ann", [reference("c.jpg")], ENROLLED_UNIX_NS)
        gallery.set_thresholds({ann.id: 0.4}, model=MODEL, fmr=0.01, calibrated_unix_ns=9)
        gallery.rename("Ann", "Ann Lee")
        gallery.forget("Ann Lee")
        told = gallery.trail()
    assert [(entry.number, entry.what, entry.person_id, dict(entry.detail)) for entry in told] == [
        (1, "enrolled", ann.id, {"references": 2}),
        (2, "enrolled_not", ann.id, {"references": 1}),
        (3, "thresholds_set", None, {"people": 1, "fmr": 0.01}),
        (4, "renamed", ann.id, {}),
        (5, "forgotten", ann.id, {"references": 2}),
    ]
    assert {entry.who for entry in told} == {"operator"}
    millisecond_ns = 1_000_000
    assert all(before_ns - millisecond_ns <= entry.unix_ns <= time.time_ns() for entry in told)


def test_a_change_that_fails_leaves_no_entry(path: Path) -> None:
    with Gallery.open(path) as gallery:
        with pytest.raises(PersonUnknown):
            gallery.forget("Ann")
        assert gallery.trail() == []


@pytest.mark.parametrize("statement", ["DELETE FROM trail", "UPDATE trail SET who = 'somebody else'"])
def test_an_entry_is_neither_changed_nor_removed(path: Path, statement: str) -> None:
    with Gallery.open(path) as gallery:
        gallery.add("Ann", [reference("a.jpg")], ENROLLED_UNIX_NS)
        with pytest.raises(sqlite3.IntegrityError, match="only added to"):
            gallery.connection.execute(statement)
        assert len(gallery.trail()) == 1


def test_no_name_of_a_person_stands_in_the_trail(path: Path) -> None:
    with Gallery.open(path) as gallery:
        gallery.add("Anneliese", [reference("a.jpg")], ENROLLED_UNIX_NS)
        gallery.rename("Anneliese", "Friederike")
        gallery.forget("Friederike")
        rows = repr(gallery.connection.execute("SELECT * FROM trail").fetchall())
    assert "Anneliese" not in rows
    assert "Friederike" not in rows


def test_a_reference_that_is_set_aside_is_kept_but_not_matched_with(path: Path) -> None:
    with Gallery.open(path) as gallery:
        gallery.add("Ann", [reference("a.jpg", [1.0, 0.0]), reference("b.jpg", [0.0, 1.0])], ENROLLED_UNIX_NS)
        with gallery.change():
            gallery.connection.execute(
                "UPDATE reference SET set_aside = 'outlier' WHERE source_name = 'b.jpg'"
            )
        assert gallery.index(MODEL).encodings.tolist() == [[1.0, 0.0]]
        assert [kept.set_aside for kept in gallery.references("Ann")] == [None, "outlier"]
        assert gallery.person("Ann").references == 1
