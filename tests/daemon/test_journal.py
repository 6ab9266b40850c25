"""The journal numbers, keeps, gives again and forgets."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import stat
import uuid
from pathlib import Path

import pytest

from daemon import events
from daemon.events import Event, Stopping
from daemon.frame import CameraChange
from daemon.head_mark import HeadMark, JournalInUse, Mark
from daemon.journal import BITE_EVENTS, BITE_PAGES, SLACK_BYTES, Journal, Keep
from daemon.journal_file import JournalRefused
from daemon.journal_reader import PAGE_EVENTS, JournalReader
from daemon.journal_tables import unix_us
from tests.daemon.event_samples import RECOGNIZED
from tests.daemon.journaling import EPOCH, kept, number_of, numbered, numbers

DAY_US = 86_400 * 1_000_000


@pytest.fixture(autouse=True)
def _power_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who opens the journal finds the machine started anew."""
    monkeypatch.setattr("daemon.head_mark.boot", lambda: uuid.uuid4().hex.encode())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


def opened(path: Path) -> Journal:
    return Journal.open(path, EPOCH)


def filled(path: Path, count: int, padding: int = 0) -> None:
    """A closed journal of the events 1 to count."""
    with opened(path) as journal:
        for first in range(1, count + 1, 100):
            journal.append(
                [numbered(number, padding) for number in range(first, min(first + 100, count + 1))]
            )


def test_numbers_rise_by_one_and_go_on_after_a_restart(path: Path) -> None:
    seqs = []
    for run in range(3):
        with Journal.open(path, f"epoch {run}") as journal:
            for size in (1, 3):
                seqs += [message.seq for message in journal.append([numbered(k) for k in range(size)])]
            assert journal.head == seqs[-1]
    assert seqs == list(range(1, 13))
    assert [event["data"]["seq"] for event in kept(path)] == seqs
    assert [event["data"]["epoch"] for event in kept(path)][::4] == ["epoch 0", "epoch 1", "epoch 2"]


def test_what_is_given_again_is_byte_for_byte_what_was_published(path: Path) -> None:
    with opened(path) as journal:
        messages = journal.append(
            [
                events.life(RECOGNIZED),
                events.camera(CameraChange("door", "offline", '"\\ \x00 김연아 \u2028')),
            ]
        )
        with JournalReader(path) as reader:
            page = reader.page(0)
    assert list(page.events) == [(message.topic, message.body) for message in messages]
    assert json.loads(messages[0].body)["data"]["durable"] is True


def test_prev_is_the_event_before_with_the_same_two_parts_of_the_topic(path: Path) -> None:
    def changes() -> list[Event]:
        return [
            events.camera(CameraChange("a", "online", None)),
            events.camera(CameraChange("ab", "online", None)),
            events.life(RECOGNIZED),
            events.camera(CameraChange("a", "offline", None)),
            events.daemon(Stopping("x")),
            events.life(RECOGNIZED),
            events.camera(CameraChange("ab", "ended", None)),
        ]

    prevs = []
    for _ in range(2):
        with opened(path) as journal:
            prevs += [json.loads(message.body)["data"]["prev"] for message in journal.append(changes())]
    assert prevs == [None, None, None, 1, None, 3, 2, 4, 7, 6, 8, 5, 10, 9]


def test_prev_stays_right_when_the_event_before_is_no_longer_kept(path: Path) -> None:
    filled(path, 10)
    with opened(path) as journal:
        assert journal.trim(Keep(0, 1 << 40), unix_us("2100-01-01T00:00:00Z"))
    with opened(path) as journal:
        assert [event["data"]["seq"] for event in kept(path)] == [10]
        (message,) = journal.append([numbered(5)])
    # Numbers 2, 5 and 8 were about this camera.
    assert json.loads(message.body)["data"]["prev"] == 8


def test_all_of_a_batch_or_nothing_is_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(path) as journal:
        journal.append([numbered(1)])
        with monkeypatch.context() as patched:
            patched.setattr("daemon.journal.unix_us", lambda time: 1 / 0 if time == "x" else 0)
            with pytest.raises(ZeroDivisionError):
                journal.append([numbered(2), Event("daemon/x/", "", "", "a.b.c", None, "x", {})])
        assert journal.append([numbered(3)])[0].seq == 2
    assert numbers(kept(path)) == [1, 3]


def test_a_page_ends_where_it_has_to_and_says_whether_there_is_more(path: Path) -> None:
    filled(path, PAGE_EVENTS + 2)
    with JournalReader(path) as reader:
        first = reader.page(0)
        assert (len(first.events), first.more, first.head) == (PAGE_EVENTS, True, PAGE_EVENTS + 2)
        rest = reader.page(PAGE_EVENTS)
        assert (len(rest.events), rest.more) == (2, False)
        assert (len(reader.page(0, limit=PAGE_EVENTS + 2).events), reader.page(1, limit=501).more) == (
            502,
            False,
        )
        assert reader.page(PAGE_EVENTS + 2).events == []
        assert reader.page(2**62).events == []
        short = reader.page(0, most_bytes=1)
        assert (len(short.events), short.more) == (1, True)


@pytest.mark.parametrize(
    ("topics", "expected"),
    [
        (("",), {0, 1, 2, 3, 4, 5}),
        ((), set()),
        (("camera/door/",), {0, 3}),
        (("camera/door/on", "camera/yard/"), {2, 3, 5}),
        (("camera/door/", "camera/door/online/"), {0, 3}),
        (("face/", "camera/doo"), {0, 3}),
        (("face/",), set()),
    ],
)
def test_topics_filter_by_prefix_as_zeromq_does(
    path: Path, topics: tuple[str, ...], expected: set[int]
) -> None:
    filled(path, 60)
    found = kept(path, topics)
    assert {number_of(event) % 6 for event in found} == expected
    assert numbers(found) == sorted(numbers(found))
    assert len(found) == 10 * len(expected)


def test_an_empty_journal_says_so(path: Path) -> None:
    with opened(path) as journal, JournalReader(path) as reader:
        assert (journal.head, journal.oldest) == (0, 1)
        page = reader.page(0)
        assert (page.oldest, page.head, page.events, page.more, page.gap) == (1, 0, [], False, None)


def test_since_a_moment_is_from_the_first_event_made_then(path: Path) -> None:
    with opened(path) as journal:
        at = [unix_us(message.event.time) for message in journal.append([numbered(k) for k in range(8)])]
        with JournalReader(path) as reader:
            for place, made_us in enumerate(at):
                # Several may be of one microsecond.
                assert reader.before(made_us) == at.index(made_us), place
                assert reader.before(made_us + 1) == sum(other <= made_us for other in at)
            assert reader.page(reader.before(0)).gap is None
            journal._delete(3)
            page = reader.page(reader.before(at[0]))
            assert (page.gap, len(page.events)) == (4, 5)
            assert reader.page(reader.before(at[-1] + 1)).events == []


@pytest.mark.parametrize(
    "time",
    ["2026-03-01T08:30:00.123456Z", "2026-03-01T09:30:00.123456+01:00", "2026-03-01T08:30:00.123456+00:00"],
)
def test_a_time_with_a_zone_is_a_moment(time: str) -> None:
    assert unix_us(time) == 1_772_353_800_123_456


def test_a_time_without_a_zone_is_none() -> None:
    with pytest.raises(ValueError, match="zone"):
        unix_us("2026-03-01T08:30:00")


def trim_all(journal: Journal, keep: Keep, now_us: int) -> int:
    """How many bites there were."""
    bites = 0
    while journal.trim(keep, now_us):
        bites += 1
        assert bites < 10_000
    return bites


def test_events_older_than_is_kept_go_in_bites_and_the_newest_stays(path: Path) -> None:
    filled(path, 3 * BITE_EVENTS)
    with opened(path) as journal:
        now_us = unix_us(events.rfc3339(0)) + unix_us(numbered(0).time)
        assert trim_all(journal, Keep(86_400, 1 << 40), now_us) == 0
        assert trim_all(journal, Keep(86_400, 1 << 40), now_us + 2 * DAY_US) == 3
        assert numbers(kept(path)) == [3 * BITE_EVENTS]
        assert (journal.oldest, journal.head) == (3 * BITE_EVENTS, 3 * BITE_EVENTS)
        with JournalReader(path) as reader:
            assert reader.page(0).gap == 3 * BITE_EVENTS


def test_a_journal_that_is_too_large_loses_its_oldest_and_its_file_becomes_smaller(path: Path) -> None:
    filled(path, 8_000, padding=2_000)
    with opened(path) as journal:
        before = path.stat().st_size
        assert before > 16_000_000
        # Some 40 for events and 100 for pages.
        assert 80 < trim_all(journal, Keep(1e9, 1_000_000), 0) < 250
        journal.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        left = numbers(kept(path))
        assert left == list(range(left[0], 8_001))
        assert 200 <= len(left) < 450
        assert path.stat().st_size < 1_000_000 + SLACK_BYTES + 2 * BITE_PAGES * 4096
        assert journal.oldest == left[0]
        (message,) = journal.append([numbered(8_001)])
        assert message.seq == 8_001


def test_a_reader_sees_one_moment_while_the_journal_goes_on(path: Path) -> None:
    with opened(path) as journal, JournalReader(path) as reader:
        for number in range(1, 300):
            journal.append([numbered(number)])
            if number % 40 == 0:
                journal.trim(Keep(0, 1 << 40), unix_us("2100-01-01T00:00:00Z"))
            page = reader.page(0)
            seqs = [json.loads(body)["data"]["seq"] for _, body in page.events]
            assert seqs == list(range(page.oldest, number + 1))
            assert page.head == number


def test_two_daemons_cannot_have_one_journal(path: Path) -> None:
    with opened(path), pytest.raises(JournalRefused, match=r"another daemon.*\[journal\] path"):
        opened(path)
    opened(path).close()


def test_its_files_are_nobody_elses_business(path: Path) -> None:
    with opened(path) as journal:
        journal.append([numbered(1)])
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert set(modes) == {"journal.db", "journal.db-wal", "journal.db-shm", "journal.db.head"}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("content", [b"", b"root:x:0:0", b"x" * 5000])
def test_a_file_that_is_no_journal_is_left_alone(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(JournalRefused, match="another program's file"):
        opened(path)
    assert path.read_bytes() == content


def test_another_programs_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE event (seq)")
    connection.close()
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(JournalRefused, match="another program's file"):
            opened(path)
    assert path.read_bytes() == before


def test_a_folder_in_its_place_and_a_journal_of_a_newer_visaged_are_refused(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(JournalRefused, match="not a file"):
        opened(path)
    path.rmdir()
    filled(path, 1)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(JournalRefused, match="newer visaged"):
        opened(path)


@pytest.mark.parametrize("rest", [b"", b"\0", b"\xaa"])
def test_a_damaged_journal_keeps_what_can_be_read_and_stays_beside_it(
    path: Path, caplog: pytest.LogCaptureFixture, rest: bytes
) -> None:
    filled(path, 3_000, padding=500)
    content = path.read_bytes()
    half = len(content) // 2
    damaged = content[:half] + rest * (len(content) - half)
    path.write_bytes(damaged)
    with HeadMark(path.with_name("journal.db.head")) as mark:
        mark.write(3_000, clean=False)
    with opened(path) as journal:
        left = numbers(kept(path))
        assert left == list(range(1, len(left) + 1))
        assert 1_200 < len(left) < 1_600
        assert journal.append([numbered(301)])[0].seq == 3_001
    assert path.with_name("journal.db.damaged").read_bytes() == damaged
    assert f"{len(left)} events" in caplog.text
    assert f"numbers {len(left) + 1} to 3000" in caplog.text


def test_a_journal_without_anything_readable_goes_on_with_the_next_number(path: Path) -> None:
    filled(path, 300, padding=500)
    content = path.read_bytes()
    path.write_bytes(content[:4096] + bytes(len(content) - 4096))
    # It was closed in order, so nobody looks through it; but its tables are not there.
    with opened(path) as journal:
        assert kept(path) == []
        assert journal.append([numbered(1)])[0].seq == 301


@pytest.mark.parametrize("padding", [0, 200, 3_800, 6_000, 20_000])
def test_events_are_saved_also_where_the_tree_above_them_is_lost(path: Path, padding: int) -> None:
    filled(path, 700, padding)
    there = kept(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'event'").fetchone()
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xaa" * 4096)
    with HeadMark(path.with_name("journal.db.head")) as mark:
        mark.write(700, clean=False)
    with opened(path) as journal:
        assert kept(path) == there
        assert json.loads(journal.append([numbered(1)])[0].body)["data"]["prev"] == 700


def test_where_there_is_no_room_to_save_a_damaged_journal_it_stays_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(path, 300, padding=500)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with HeadMark(path.with_name("journal.db.head")) as mark:
        mark.write(300, clean=False)
    before = sorted(file.name for file in path.parent.iterdir()), path.read_bytes()
    with monkeypatch.context() as full:
        full.setattr("daemon.journal_file.save", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            opened(path)
    assert (sorted(file.name for file in path.parent.iterdir()), path.read_bytes()) == before
    with opened(path) as journal:
        assert len(kept(path)) > 20
        assert journal.head == 300


def test_what_a_kill_has_left_of_a_journal_that_was_being_made_is_swept_away(path: Path) -> None:
    path.parent.mkdir()
    left = [path.with_name(f".journal.db-x8{end}") for end in (".new", ".new-wal", ".new-shm")]
    for file in (*left, path.with_name(".other.db-1.new")):
        file.write_bytes(b"x")
    opened(path).close()
    assert sorted(file.name for file in path.parent.iterdir()) == [
        ".other.db-1.new",
        "journal.db",
        "journal.db.head",
    ]


def test_a_journal_that_was_removed_goes_on_with_the_next_number(path: Path) -> None:
    filled(path, 10)
    path.unlink()
    with opened(path) as journal:
        assert (journal.head, journal.oldest) == (10, 11)
        assert journal.append([numbered(11)])[0].seq == 11
        with JournalReader(path) as reader:
            assert (reader.page(4).gap, reader.page(10).gap) == (11, None)


def test_a_journal_put_back_from_a_backup_does_not_give_numbers_again(path: Path) -> None:
    filled(path, 10)
    backup = path.read_bytes()
    with opened(path) as journal:
        journal.append([numbered(k) for k in range(11, 21)])
    path.write_bytes(backup)
    with opened(path) as journal:
        assert journal.append([numbered(21)])[0].seq == 21
        with JournalReader(path) as reader:
            assert [reader.page(after).gap for after in (5, 9, 10, 19, 20)] == [None, None, 21, 21, None]


def test_a_process_that_was_killed_leaves_a_journal_that_need_not_be_read_through(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[object] = []
    monkeypatch.setattr("daemon.journal_file._check", looked.append)
    for same, expected in ((True, 0), (False, 1)):
        if same:
            monkeypatch.setattr("daemon.head_mark.boot", lambda: b"today")
        else:
            monkeypatch.setattr("daemon.head_mark.boot", lambda: uuid.uuid4().hex.encode())
        with opened(path) as journal:
            journal.append([numbered(1)])
            journal.close(clean=False)
        looked.clear()
        with opened(path) as journal:
            assert len(looked) == expected
            journal.close(clean=False)
        looked.clear()
        Journal.open(path, EPOCH, suspected=True).close()
        assert len(looked) == 1


def test_a_mark_says_what_was_written_last_and_whether_the_journal_can_be_trusted(tmp_path: Path) -> None:
    file = tmp_path / "mark"
    with HeadMark(file) as mark:
        assert mark.found is None
        with pytest.raises(JournalInUse):
            HeadMark(file)
    for head, clean in ((7, False), (9, True), (8, False)):
        with HeadMark(file) as mark:
            mark.write(head, clean=clean)
        with HeadMark(file) as mark:
            assert mark.found == Mark(head, clean)
