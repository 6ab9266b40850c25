"""A cursor's file says where a program stands, also after a crash in the middle of a write."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.client import Cursor


def reread(path: Path) -> tuple[int | None, int]:
    cursor = Cursor(path)
    cursor.close()
    return cursor.position, cursor.handed


def test_a_new_cursor_says_nothing(tmp_path: Path) -> None:
    assert reread(tmp_path / "cursor") == (None, 0)
    assert reread(tmp_path / "cursor") == (None, 0), "a program that was killed before it knew where to begin"


def test_what_was_written_last_is_read(tmp_path: Path) -> None:
    cursor = Cursor(tmp_path / "cursor")
    for seq in (0, 1, 2, 9, 10, 99, 100, 10**18):
        cursor.write(seq, seq + 1)
        cursor.close()
        assert reread(tmp_path / "cursor") == (seq, seq + 1)
        cursor = Cursor(tmp_path / "cursor")
    cursor.write(3, 3)
    cursor.close()
    assert reread(tmp_path / "cursor") == (3, 3), "another journal may begin anew"


def test_a_torn_write_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "cursor"
    cursor = Cursor(path)
    for seq in (1, 2, 3, 4):
        cursor.write(seq, seq)
    before = path.read_bytes()
    cursor.write(5, 5)
    after = path.read_bytes()
    cursor.close()
    results = set()
    for end in range(Cursor.RECORD_BYTES + 1):
        path.write_bytes(after[:end] + before[end:])
        results.add(reread(path))
    assert results == {(4, 4), (5, 5)}


def test_every_spoilt_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "cursor"
    cursor = Cursor(path)
    cursor.write(7, 8)
    cursor.close()
    whole = path.read_bytes()
    for place in range(len(whole.rstrip())):
        path.write_bytes(whole[:place] + b"9" + whole[place + 1 :])
        if path.read_bytes() == whole:
            continue
        with pytest.raises(ValueError, match="is no cursor, or damaged"):
            Cursor(path)


@pytest.mark.parametrize("content", [b"3", b"\n", bytes(1024), b"visaged-cursor 1 2 3", b"\xff" * 2000])
def test_a_file_that_is_no_cursor_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "cursor"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{path} is no cursor"):
        Cursor(path)
    assert path.read_bytes() == content


def test_a_cursor_can_be_read_by_people(tmp_path: Path) -> None:
    cursor = Cursor(tmp_path / "cursor")
    cursor.write(12, 13)
    cursor.close()
    assert (tmp_path / "cursor").read_text().split()[:4] == ["visaged-cursor", "1", "12", "13"]


def test_writing_the_same_writes_nothing(tmp_path: Path) -> None:
    cursor = Cursor(tmp_path / "cursor")
    cursor.write(1, 1)
    once = (tmp_path / "cursor").read_bytes()
    cursor.write(1, 1)
    cursor.close()
    assert (tmp_path / "cursor").read_bytes() == once
