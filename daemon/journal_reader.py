"""The reading side of the journal: pages of events, for whoever missed some."""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from daemon.journal_tables import connect_to_read
from gallery.encryption import Key

PAGE_EVENTS = 500
PAGE_BYTES = 256 << 10
"""A page is at most so long, but for an event that is longer by itself."""

Row = tuple[int, int, bytes]
"""seq, topic_id, body."""


@dataclass(frozen=True, slots=True)
class Page:
    """Part of the journal."""

    oldest: int
    """The number of the oldest event kept; head + 1: none."""
    head: int
    """The number that was given last; 0: none."""
    events: Sequence[tuple[bytes, bytes]]
    """Topic and body, in order."""
    more: bool
    """False: everything that was asked for, up to head, has been given."""
    gap: int | None
    """Of what was asked for, all before this number is lost or no longer kept; None: nothing."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    everything: bool
    names: dict[int, bytes]
    """By the topics' numbers in the file."""


class JournalReader:
    """A connection that reads, for the thread that opened it; never in a writer's way."""

    def __init__(self, path: Path, key: Key | None = None) -> None:
        """sqlite3.Error where it can't be read."""
        self._connection = connect_to_read(path, key)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of it."""
        self._connection.close()

    def page(
        self,
        after: int,
        topics: Sequence[str] = ("",),
        limit: int = PAGE_EVENTS,
        most_bytes: int = PAGE_BYTES,
    ) -> Page:
        """Events of higher numbers than `after` whose topic begins with one of `topics`."""
        with self._snapshot():
            oldest, head = self._bounds()
            gap = oldest if after + 1 < oldest else None
            after = max(after, oldest - 1)
            wanted = _Wanted("" in topics, self._names(topics))
            # A page never reaches over a hole, so that each is told.
            for first, last in self._holes(after):
                if first > after + 1:
                    events, _ = self._read(after, first, wanted, limit, most_bytes)
                    if events:
                        return Page(oldest, head, events, True, gap)
                gap, after = last + 1, last
            events, more = self._read(after, head + 1, wanted, limit, most_bytes)
            return Page(oldest, head, events, more, gap)

    def before(self, unix_us: int) -> int:
        """What `after` has to be for all events since a moment; where older ones are no longer kept, that is
        a number from which the page tells a gap.
        """
        with self._snapshot():
            oldest, head = self._bounds()
            low, high = oldest, head + 1
            # The numbers rise with the time, but for a clock that was set back.
            while low < high:
                middle = (low + high) // 2
                row = self._connection.execute(
                    "SELECT seq, unix_us FROM event WHERE seq >= ? ORDER BY seq LIMIT 1", (middle,)
                ).fetchone()
                if row is None or row[1] >= unix_us:
                    high = middle
                else:
                    low = row[0] + 1
            return low - 2 if low == oldest > 1 else low - 1

    def mentions(self, text: str, after: int, topics: Sequence[str], limit: int) -> list[tuple[int, str]]:
        """Number and body of the newest events after a number whose body holds this text, oldest first."""
        with self._snapshot():
            found = [
                (int(seq), str(body))
                for topic_id in self._names(topics)
                for seq, body in self._connection.execute(
                    """SELECT seq, body FROM event WHERE topic_id = ? AND seq > ? AND instr(body, ?)
                       ORDER BY seq DESC LIMIT ?""",
                    (topic_id, after, text, limit),
                )
            ]
        return sorted(found)[-limit:]

    def bounds(self) -> tuple[int, int]:
        """Oldest and head."""
        with self._snapshot():
            return self._bounds()

    def _snapshot(self) -> _Snapshot:
        return _Snapshot(self._connection)

    def _bounds(self) -> tuple[int, int]:
        ask = self._connection.execute
        first, newest = ask("SELECT (SELECT min(seq) FROM event), (SELECT max(seq) FROM event)").fetchone()
        (lost,) = ask("SELECT max(last) FROM hole").fetchone()
        head = max(newest or 0, lost or 0)
        return (head + 1 if first is None else first), head

    def _holes(self, after: int) -> list[tuple[int, int]]:
        query = "SELECT first, last FROM hole WHERE last > ? ORDER BY first"
        return self._connection.execute(query, (after,)).fetchall()

    def _names(self, prefixes: Sequence[str]) -> dict[int, bytes]:
        """The topics that are meant, by their numbers."""
        every = self._connection.execute("SELECT id, name FROM topic")
        return {number: name.encode() for number, name in every if name.startswith(tuple(prefixes))}

    def _read(
        self, after: int, before: int, wanted: _Wanted, limit: int, most_bytes: int
    ) -> tuple[list[tuple[bytes, bytes]], bool]:
        """Events between two numbers, and whether there are more of them."""
        events: list[tuple[bytes, bytes]] = []
        length = 0
        for _, topic_id, body in self._rows(after, before, wanted, limit + 1):
            length += len(body)
            if len(events) == limit or (events and length > most_bytes):
                return events, True
            events.append((wanted.names[topic_id], body))
        return events, False

    def _rows(self, after: int, before: int, wanted: _Wanted, limit: int) -> Iterator[Row]:
        columns = "SELECT seq, topic_id, CAST(body AS BLOB) FROM event WHERE seq > ? AND seq < ?"
        ask = self._connection.execute
        if wanted.everything:
            return ask(f"{columns} ORDER BY seq LIMIT ?", (after, before, limit))
        # By the index, topic by topic: a filter that nothing matches costs nothing.
        return heapq.merge(
            *(
                ask(f"{columns} AND topic_id = ? ORDER BY seq LIMIT ?", (after, before, topic_id, limit))
                for topic_id in wanted.names
            )
        )


class _Snapshot:
    """What is read within is of one moment."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
