"""Saves what can be read of a damaged journal: its longest beginning."""

from __future__ import annotations

import json
import mmap
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from daemon import journal_leaves
from daemon.events import stream_of
from daemon.journal_tables import connect_to_read, holes
from gallery.encryption import Key

Row = tuple[int, str, int, str]
"""seq, topic, unix_us, body."""


def save(damaged: Path, connection: sqlite3.Connection, key: Key | None = None) -> int:
    """Fills the empty tables of a new journal; how many events it was."""
    topics: dict[str, int] = {}
    newest = saved = 0
    for seq, topic, made_us, body in readable(damaged, key):
        number = topics.setdefault(topic, len(topics) + 1)
        connection.execute("INSERT INTO event VALUES (?, ?, ?, ?)", (seq, number, made_us, body))
        newest, saved = seq, saved + 1
    rows = [(number, topic) for topic, number in topics.items()]
    connection.executemany("INSERT INTO topic VALUES (?, ?, 0)", rows)
    with suppress(sqlite3.DatabaseError), closing(connect_to_read(damaged, key)) as old:
        old.execute("PRAGMA writable_schema = ON")
        known = [hole for hole in holes(old) if hole[1] < newest]
        connection.executemany("INSERT INTO hole VALUES (?, ?)", known)
    return saved


def readable(path: Path, key: Key | None = None) -> Iterator[Row]:
    """The longest beginning of a damaged journal that can be read."""
    newest: int | None = None
    for row in _by_tree(path, key):
        newest = row[0]
        yield row
    # Of an encrypted one nothing is found so: what is on its pages is not there in clear.
    if key is None:
        yield from _by_pages(path, newest)


def _by_tree(path: Path, key: Key | None) -> Iterator[Row]:
    """As SQLite finds them, with the write-ahead log, up to the first that it can't reach."""
    newest: int | None = None
    try:
        with closing(connect_to_read(path, key)) as connection:
            # Without it SQLite reads nothing of a file that is shorter than its header says.
            connection.execute("PRAGMA writable_schema = ON")
            after_hole = {last + 1 for _, last in holes(connection)}
            for seq, made_us, body in connection.execute("SELECT seq, unix_us, body FROM event ORDER BY seq"):
                topic = _topic(seq, body)
                follows = newest is None or seq == newest + 1 or seq in after_hole
                if topic is None or not follows or not isinstance(made_us, int):
                    return
                newest = seq
                yield seq, topic, made_us, body
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        # What was read until here is it.
        return


def _by_pages(path: Path, newest: int | None) -> Iterator[Row]:
    """Those that follow, in step, from wherever they lie in the file; None: the longest row of them."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            places: dict[int, list[int]] = {}
            for number, place in journal_leaves.places(content):
                places.setdefault(number, []).append(place)
            seq = _longest_run(places) if newest is None else newest + 1
            while seq in places:
                row = _row(content, seq, places[seq])
                if row is not None:
                    newest = seq
                    yield row
                elif newest is not None:
                    return
                seq += 1
    except (OSError, ValueError):
        # An empty file.
        return


def _row(content: journal_leaves.Content, seq: int, places: Iterable[int]) -> Row | None:
    """The event of this number at one of these places, of which others only look like one."""
    for place in places:
        try:
            made_us, body = journal_leaves.record(content, place)
        except journal_leaves.Malformed:
            continue
        topic = _topic(seq, body)
        if topic is not None:
            return seq, topic, made_us, body
    return None


def _longest_run(numbers: Iterable[int]) -> int:
    """The first of the most numbers that follow each other."""
    best, longest, first, before = 0, 0, 0, None
    for number in sorted(numbers):
        if before is None or number != before + 1:
            first = number
        if number - first + 1 > longest:
            best, longest = first, number - first + 1
        before = number
    return best


def _topic(seq: int, body: object) -> str | None:
    """The topic that an envelope belongs to; None: it is no event of this number."""
    try:
        event: Any = json.loads(body) if isinstance(body, str) else None
        if event["data"]["seq"] != seq:
            return None
        _, area, kind = event["type"].split(".")
        topic = "/".join(filter(None, (area, event.get("subject"), kind))) + "/"
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return topic if stream_of(topic) else None
