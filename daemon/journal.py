"""The log behind the events: numbers each, stores it before it is published, and forgets what is too old."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from daemon.events import Event, Mark, stream_of
from daemon.head_mark import HeadMark, JournalInUse
from daemon.journal_file import JournalRefused, open_connection
from daemon.journal_tables import FAILURES, holes, unix_us
from daemon.private_file import make_folder
from gallery.encryption import Key
from gallery.schema import transaction

logger = logging.getLogger(__name__)

BITE_EVENTS = 200
"""Deleted in one transaction: 2 ms, so that nobody waits long for the next commit."""
BITE_PAGES = 64
"""Given back to the file system in one transaction."""
SLACK_BYTES = 4 << 20
"""The file may be larger by so much than what is kept: emptied pages are used again soon."""
TIDY_COMMITS = 500
"""After so many the write-ahead log, of some 8 MB then, is moved into the file, which takes about 10 ms."""


LAST_OF_TOPICS = """SELECT id, name, max(last_seq, coalesce(
    (SELECT max(seq) FROM event WHERE topic_id = topic.id), 0)) FROM topic"""
NOTE_LAST = """UPDATE topic SET last_seq = deleted.seq FROM (
    SELECT topic_id, max(seq) AS seq FROM event WHERE seq <= ? GROUP BY topic_id) AS deleted
    WHERE topic.id = deleted.topic_id"""


@dataclass(frozen=True, slots=True)
class Keep:
    """How much of the past is kept."""

    seconds: float
    """Events older than this go."""
    bytes: int
    """Of the journal's file; beyond it the oldest events go."""


@dataclass(frozen=True, slots=True)
class Message:
    """An event as it is published, and as a replay gives it again."""

    event: Event
    """What it was made from."""
    seq: int | None
    """Its number; None: it is not in the journal."""
    topic: bytes
    """First part."""
    body: bytes
    """Second part: the envelope, in UTF-8."""


class Journal:
    """The writing side. Opened by one thread, then used by one thread."""

    def __init__(self, connection: sqlite3.Connection, mark: HeadMark, path: Path, epoch: str) -> None:
        self.connection = connection
        """Of the thread that writes, for what is done beside appending."""
        self._mark = mark
        self._mark_failed = False
        self.path = path
        """The file."""
        self.epoch = epoch
        """Of this run of the daemon; stands in every event."""
        self._topics: dict[str, int] = {}
        """Topic to its number in the file."""
        self._last: dict[str, int] = {}
        """Stream to the number of its newest event."""
        self.head = 0
        """The number that was given last; 0: none yet."""
        self.oldest = 1
        """Of the events that are kept; head + 1: there is none."""
        self._commits = 0
        """Since the write-ahead log was moved into the file."""
        self._lost = 0
        """Of the numbers that were given and lost, the highest; 0: none."""

    @classmethod
    def open(cls, path: Path, epoch: str, *, suspected: bool = False, key: Key | None = None) -> Self:
        """Opens, makes or saves it. JournalRefused, sqlite3.Error or OSError where it can't be had.

        suspected: it is read through, even where its mark says that this is not needed. key: of encryption.
        """
        make_folder(path.parent)
        try:
            mark = HeadMark(path.with_name(path.name + ".head"))
        except JournalInUse:
            raise JournalRefused(
                f"{path}: another daemon writes to it; [journal] path sets another"
            ) from None
        with contextlib.ExitStack() as opened:
            opened.enter_context(mark)
            found = mark.found
            head = 0 if found is None else found.head
            sound = found is not None and found.sound and not suspected
            connection = open_connection(path, ours=found is not None, head=head, sound=sound, key=key)
            opened.callback(connection.close)
            journal = cls(connection, mark, path, epoch)
            journal._begin(head)
            opened.pop_all()
        return journal

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(clean=kind is None)

    def append(self, events: Sequence[Event]) -> list[Message]:
        """Stores all of these or none, and then they are on the disk; sqlite3.Error if it can't."""
        seq, last = self.head, dict(self._last)
        messages = []
        for event in events:
            seq += 1
            mark = Mark(seq, last.get(event.stream, self._lost) or None, self.epoch, durable=True)
            messages.append(Message(event, seq, *event.encode(mark)))
            last[event.stream] = seq
        with transaction(self.connection):
            self._insert(messages)
        self.head, self._last = seq, last
        self._commits += 1
        self._note_head()
        return messages

    def probe(self) -> None:
        """Writes something and takes it away again; raises as append does."""
        name = "probe/" + "x" * (64 << 10)
        with transaction(self.connection):
            self.connection.execute("INSERT INTO topic (name, last_seq) VALUES (?, 0)", (name,))
        with transaction(self.connection):
            self.connection.execute("DELETE FROM topic WHERE name = ?", (name,))

    def trim(self, keep: Keep, now_unix_us: int) -> bool:
        """One small bite of what need not be kept; whether there was something."""
        page_bytes, pages, free = (
            self._pragma(name) for name in ("page_size", "page_count", "freelist_count")
        )
        too_large = (pages - free) * page_bytes > keep.bytes
        limit_us = now_unix_us - round(keep.seconds * 1e6)
        last = None
        bite = "SELECT seq, unix_us FROM event WHERE seq < ? ORDER BY seq LIMIT ?"
        # The newest always stays.
        for seq, made_us in self.connection.execute(bite, (self.head, BITE_EVENTS)).fetchall():
            if not too_large and made_us >= limit_us:
                break
            last = seq
        if last is not None:
            self._delete(last)
            return True
        if pages * page_bytes > keep.bytes + SLACK_BYTES and free > BITE_PAGES:
            # execute() would give back one page and no more.
            self.connection.executescript(f"PRAGMA incremental_vacuum({BITE_PAGES})")
            self._commits += BITE_PAGES // 4
            return True
        return False

    @property
    def free_pages(self) -> int:
        """Of the file, those that are not in use and not yet given back."""
        return self._pragma("freelist_count")

    def tidy(self) -> None:
        """Moves the write-ahead log into the file, if it is worth it and no reader needs it."""
        if self._commits >= TIDY_COMMITS:
            self._commits = 0
            self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def close(self, *, clean: bool = True) -> None:
        """Lets go of it. clean: nothing went wrong, so that the next opening need not check it."""
        try:
            self.connection.close()
            if clean:
                self._mark.write(self.head, clean=True)
                self._mark.sync()
        except FAILURES as error:
            logger.warning("%s was not closed in order: %s", self.path, error)
        finally:
            self._mark.close()

    def _begin(self, marked_head: int) -> None:
        """Finds out how far numbers were given; notes those whose events are lost."""
        for number, topic, seq in self.connection.execute(LAST_OF_TOPICS):
            self._topics[topic] = number
            stream = stream_of(topic)
            self._last[stream] = max(seq, self._last.get(stream, 0))
        (first, last) = self.connection.execute("SELECT min(seq), max(seq) FROM event").fetchone()
        stored = last or 0
        self._lost = max((last for _, last in holes(self.connection)), default=0)
        newest = max(stored, self._lost, marked_head, *self._last.values(), 0)
        if newest > max(stored, self._lost):
            self._note_hole(max(stored, self._lost) + 1, newest)
        self.head = newest
        self.oldest = newest + 1 if first is None else first
        if self._lost:
            # Whoever follows one stream alone asks for a replay, and learns of what was lost.
            self._last = {stream: max(seq, self._lost) for stream, seq in self._last.items()}
        self._mark.write(self.head)
        self._mark.sync()

    def _note_hole(self, first: int, last: int) -> None:
        logger.error("%s has lost the events of numbers %s to %s", self.path, first, last)
        with transaction(self.connection):
            self.connection.execute("INSERT INTO hole VALUES (?, ?)", (first, last))
        self._lost = last

    def _insert(self, messages: Sequence[Message]) -> None:
        for topic in {message.event.topic for message in messages} - self._topics.keys():
            self.connection.execute("INSERT OR IGNORE INTO topic (name, last_seq) VALUES (?, 0)", (topic,))
            found = self.connection.execute("SELECT id FROM topic WHERE name = ?", (topic,)).fetchone()
            self._topics[topic] = found[0]
        self.connection.executemany(
            "INSERT INTO event VALUES (?, ?, ?, ?)",
            [
                (each.seq, self._topics[each.event.topic], unix_us(each.event.time), each.body.decode())
                for each in messages
            ],
        )

    def _delete(self, last: int) -> None:
        with transaction(self.connection):
            self.connection.execute(NOTE_LAST, (last,))
            self.connection.execute("DELETE FROM event WHERE seq <= ?", (last,))
            (first,) = self.connection.execute("SELECT min(seq) FROM event").fetchone()
            self.connection.execute("DELETE FROM hole WHERE last < ?", (first,))
        self.oldest = first
        self._commits += 1

    def _note_head(self) -> None:
        try:
            self._mark.write(self.head)
            self._mark_failed = False
        except OSError as error:
            if not self._mark_failed:
                logger.error("%s can't be written: %s", self._mark.path, error.strerror)
            self._mark_failed = True

    def _pragma(self, name: str) -> int:
        (value,) = self.connection.execute(f"PRAGMA {name}").fetchone()
        return int(value)
