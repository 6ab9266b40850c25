"""What the search of files finds of a person, and what it does not take for theirs."""

from __future__ import annotations

import json
import os
import sqlite3
import unicodedata
import uuid
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from gallery.forgetting_search import WINDOW_BYTES, Sought, mentions, search, without

VECTOR = np.random.default_rng(5).normal(size=128).astype(np.float32)
OTHER = str(uuid.uuid4())
OWN = str(uuid.uuid4())


def found(tmp_path: Path, content: bytes, sought: Sought) -> list[tuple[str, int]]:
    file = tmp_path / "file"
    file.write_bytes(content)
    return sorted((each.what, each.place) for each in search([file], sought))


@pytest.mark.parametrize("start", [0, 1, 7, WINDOW_BYTES - 9, WINDOW_BYTES, 2 * WINDOW_BYTES + 13])
def test_any_sixteen_bytes_of_an_encoding_are_found_wherever_they_lie(tmp_path: Path, start: int) -> None:
    sought = Sought(encodings=VECTOR.tobytes())
    for piece in (VECTOR[8:12].tobytes(), VECTOR[8:12].astype("<f8").tobytes()):
        content = bytes(start) + piece + bytes(100)
        assert found(tmp_path, content, sought) == [("encoding", start)]
    assert found(tmp_path, bytes(start) + VECTOR.tobytes(), sought) == [
        ("encoding", start + 16 * i) for i in range(32)
    ]


def test_numbers_that_may_stand_anywhere_are_not_looked_for(tmp_path: Path) -> None:
    zeros = np.zeros(128, np.float32).tobytes()
    assert found(tmp_path, zeros * 10, Sought(encodings=zeros, pictures=(bytes(16),))) == []


def test_a_piece_of_a_picture_is_found(tmp_path: Path) -> None:
    piece = bytes(range(40, 56))
    assert found(tmp_path, bytes(9) + piece, Sought(pictures=(piece,))) == [("picture", 9)]


@pytest.mark.parametrize(
    "name", ["Ann", "김철수", 'Ann "Bo" O\\Hara', "Zoë 🦊", "Jose\u0301".encode().decode()]
)
def test_a_name_is_found_in_every_form_in_which_it_may_be_written(tmp_path: Path, name: str) -> None:
    sought = Sought(names=(unicodedata.normalize("NFC", name),))
    (composed,) = sought.names
    for text in (composed, json.dumps(composed, ensure_ascii=False), json.dumps(composed)):
        assert len(found(tmp_path, f"who: {text}, there".encode(), sought)) == 1
    assert len(found(tmp_path, b"- " + unicodedata.normalize("NFD", composed).encode(), sought)) == 1


def test_a_name_within_another_word_or_somebody_elses_name_is_not_theirs(tmp_path: Path) -> None:
    sought = Sought(names=("Ann",), others=("Ann Lee",))
    assert found(tmp_path, b"Annette, JoAnn, Ann2, Ann Lee, and BAnn", sought) == []
    assert found(tmp_path, b"Annette and Ann Le, Ann", sought) == [("name", 12), ("name", 20)]
    # What follows a name in Korean is written to it.
    korean = Sought(names=("김철",), others=("김철수",))
    assert found(tmp_path, "김철수는 왔다".encode(), korean) == []
    assert found(tmp_path, "김철은 왔다".encode(), korean) == [("name", 0)]


def test_the_same_name_of_somebody_who_stays_is_theirs_and_not_looked_for(tmp_path: Path) -> None:
    sought = Sought(names=("Ann",), other_ids=frozenset({OTHER}))
    assert found(tmp_path, f'{{"id":"{OTHER}","name":"Ann"}}'.encode(), sought) == []
    assert len(found(tmp_path, f'{{"id":"{OWN}","name":"Ann"}}'.encode(), sought)) == 1


def test_somebody_who_is_called_like_a_word_of_the_file_is_found_where_a_name_stands(tmp_path: Path) -> None:
    sought = Sought(names=("door",), words=frozenset({"door"}))
    assert found(tmp_path, b'{"camera":"door","subject":"door"}', sought) == []
    assert len(found(tmp_path, f'{{"id":"{OWN}","name":"door"}}'.encode(), sought)) == 1
    assert len(found(tmp_path, f"{OWN}door".encode(), sought)) == 1


@pytest.mark.parametrize("name", ["Ann", "Bo", "Annabel Lee", "이"])
def test_a_row_of_a_table_and_of_its_index_of_names_is_found_though_nothing_parts_the_columns(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE person (id TEXT, name TEXT UNIQUE, enrolled INTEGER)")
        connection.execute("INSERT INTO person VALUES (?, ?, ?)", (OWN, name, 1_700_000_000_000_000_000))
    assert len(list(search([path], Sought(names=(name,))))) == 2
    noise = np.random.default_rng(1).bytes(3_000_000)
    assert found(tmp_path, noise, Sought(names=("Bo", "Ann"))) == []


def test_a_file_that_is_gone_holds_nothing_and_one_that_is_packed_is_told(tmp_path: Path) -> None:
    sought = Sought(names=("Ann",))
    assert list(search([tmp_path / "gone"], sought)) == []
    assert found(tmp_path, b"PK\x03\x04....", sought) == [("compressed", 0)]


def test_a_file_whose_name_is_no_text_is_told_by_the_name_in_it(tmp_path: Path) -> None:
    file = tmp_path / os.fsdecode(b"Annabel \xff.txt")
    file.write_bytes(b"nothing")
    assert [each.what for each in search([file], Sought(names=("Annabel",)))] == ["called"]


def test_a_text_is_freed_of_a_name_and_of_no_other() -> None:
    assert mentions("/videos/Ann/1.mp4 can't be read", ("Ann",))
    assert not mentions("/videos/Annette/1.mp4 can't be read", ("Ann",))
    assert without("/videos/Ann/Ann.mp4 of Annette", ("Ann",)) == "/videos//.mp4 of Annette"
