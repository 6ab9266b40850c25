"""Tables on a real terminal: across where they fit, a block of lines a row where words would be broken."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest

STYLE = re.compile(r"\x1b\[[0-9;]*m")
HEADINGS = ["id", "name", "note"]
ROWS = [
    ["446fb5f6-339c-46a4-9cb6-b166131a3362", "Ann Lee [red]", ""],
    ["5f3f6a72", "Bob", "of the third floor"],
]
CODE = f"from daemon.cli.common import print_table; print_table({HEADINGS}, {ROWS})"


def shown(columns: int) -> list[list[str]]:
    """Lines, in pieces that two spaces or more part."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm"}
    try:
        subprocess.run([sys.executable, "-c", CODE], stdout=theirs, env=environment, check=True)
        text = STYLE.sub("", os.read(ours, 10_000).decode())
    finally:
        os.close(ours)
        os.close(theirs)
    return [[piece.strip() for piece in line.split("  ") if piece.strip()] for line in text.splitlines()]


@pytest.mark.parametrize("columns", [80, 56])
def test_where_it_is_enough_to_wrap_texts_it_is_a_table_and_no_word_is_broken(columns: int) -> None:
    first, *rest = shown(columns)
    assert first == HEADINGS
    words = " ".join(piece for line in rest for piece in line).split()
    assert sorted(words) == sorted(" ".join(cell for row in ROWS for cell in row).split())


def test_on_a_narrow_terminal_no_word_is_broken_and_nothing_left_out() -> None:
    assert shown(46) == [
        ["id", ROWS[0][0]],
        ["name", "Ann Lee [red]"],
        [],
        ["id", "5f3f6a72"],
        ["name", "Bob"],
        ["note", "of the third floor"],
    ]


def test_into_a_pipe_every_row_is_one_line() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    first, *rest = done.stdout.splitlines()
    assert first.split() == HEADINGS
    assert len(rest) == len(ROWS)
