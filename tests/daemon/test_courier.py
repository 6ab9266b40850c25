"""Events are stored, then published, in order; neither disk nor subscriber holds up who hands them over."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon import events
from daemon.courier import QUEUE_EVENTS, Courier
from daemon.events import Event, Heartbeat
from daemon.journal import Journal, Keep
from daemon.journal_tables import unix_us
from daemon.presence import Presence
from daemon.publisher import Publisher
from daemon.recorder import Recorder
from daemon.replay_desk import ReplayDesk
from tests.daemon.event_samples import NAMED, RECOGNIZED
from tests.daemon.journaling import CAMERAS, EPOCH, FOREVER, kept, number_of, numbered, numbers
from tests.daemon.listening import Listener, listener

WAIT_S = 30
STOP_S = 5
"""DESIGN: how soon the daemon has to have stopped."""


@contextlib.contextmanager
def bus(path: Path, keep: Keep = FOREVER) -> Iterator[tuple[Courier, Listener]]:
    """A courier, and a subscriber to everything whose subscription has arrived."""
    recorder = Recorder(path, EPOCH, keep)
    with (
        recorder,
        Publisher("tcp://127.0.0.1:*") as publisher,
        listener(publisher.bound, "") as everything,
        Courier(publisher, recorder, Presence(CAMERAS, recorder.head)) as courier,
    ):
        assert courier.await_subscribers(1, threading.Event(), timeout_s=WAIT_S)
        yield courier, everything


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def heartbeat() -> Event:
    return events.daemon(Heartbeat(1.0, 0, []))


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def received(everything: Listener, count: int) -> list[dict[str, Any]]:
    """The data of the next events."""
    return [everything.receive()[1]["data"] for _ in range(count)]


def received_until(everything: Listener, topic: str) -> list[tuple[str, dict[str, Any]]]:
    """Topic and data of what comes, to the first of this topic."""
    found: list[tuple[str, dict[str, Any]]] = []
    while not found or found[-1][0] != topic:
        name, event = everything.receive()
        found.append((name, event["data"]))
    return found


def test_what_is_published_is_in_the_journal_already_byte_for_byte(path: Path) -> None:
    with bus(path) as (courier, everything):
        for number in range(1, 200):
            courier.send(numbered(number))
            if number % 50 == 0:
                time.sleep(0.02)
        for number in range(1, 200):
            topic, event = everything.receive()
            assert (number_of(event), event["data"]["seq"], event["data"]["durable"]) == (
                number,
                number,
                True,
            )
            if number in (1, 60, 199):
                assert kept(path)[number - 1] == event
            assert topic.startswith("camera/")


def test_sightings_and_heartbeats_keep_their_place_and_have_no_number(path: Path) -> None:
    order = [numbered(1), events.sighting(NAMED), events.life(RECOGNIZED), events.sighting(NAMED)] * 5
    with bus(path) as (courier, everything):
        for event in order:
            courier.send(event)
        came = [everything.receive() for _ in order]
    assert [topic for topic, _ in came] == [event.topic for event in order]
    assert [event["data"]["seq"] for _, event in came] == [
        *(seq for k in range(5) for seq in (2 * k + 1, None, 2 * k + 2, None))
    ]
    assert [event["id"] for event in kept(path)] == [event.id for event in order if not event.passing]


def test_a_heartbeat_tells_the_number_of_the_last_event_before_it(path: Path) -> None:
    with bus(path) as (courier, everything):
        for k in range(30):
            for event in (heartbeat(), numbered(k), numbered(k), heartbeat()):
                courier.send(event)
        head = 0
        for data in received(everything, 120):
            if "head" in data:
                assert (data["head"], data["oldest"], data["epoch"]) == (head, 1, EPOCH)
                assert data["journal"] == {"ok": True, "reason": None}
            else:
                head += 1
                assert data["seq"] == head


def test_what_was_sent_just_before_the_end_is_stored_and_arrives(path: Path) -> None:
    with bus(path) as (courier, everything):
        for number in range(1, 1_201):
            courier.send(numbered(number))
        courier.__exit__(None, None, None)
        assert [data["seq"] for data in received(everything, 1_200)] == list(range(1, 1_201))
    assert numbers(kept(path)) == list(range(1, 1_201))


def test_while_another_program_has_the_journal_locked_events_go_out_all_the_same(path: Path) -> None:
    with bus(path) as (courier, everything):
        courier.send(numbered(1))
        assert courier.passed().result(WAIT_S)
        assert received(everything, 1)[0]["durable"]
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for number in (2, 3):
                courier.send(numbered(number))
                assert not courier.passed().result(WAIT_S)
            came = received_until(everything, "camera/door/online/")
            assert [topic for topic, _ in came].count("daemon/journal_failed/") == 1
            assert "locked" in came[0][1]["reason"]
            for _, data in came:
                assert (data["seq"], data["prev"], data["durable"]) == (None, None, False)
            courier.send(heartbeat())
            (beat,) = received(everything, 1)
            assert not beat["journal"]["ok"]
            assert "locked" in beat["journal"]["reason"]
            assert beat["head"] == 1
        topics = recover(courier, everything)
        assert "daemon/journal_failed/" not in topics
        courier.send(numbered(4))
        assert received(everything, 1)[0]["seq"] == 2
    assert numbers(kept(path)) == [1, 4]


def recover(courier: Courier, everything: Listener) -> list[str]:
    """Waits until a heartbeat says that the journal is well; the topics of what came meanwhile."""
    topics = []
    deadline_s = time.monotonic() + WAIT_S
    while time.monotonic() < deadline_s:
        courier.send(heartbeat())
        came = received_until(everything, "daemon/heartbeat/")
        topics += [topic for topic, _ in came]
        if came[-1][1]["journal"]["ok"]:
            return topics
        time.sleep(0.1)
    raise AssertionError("the journal did not recover")


class Hang:
    """A disk that stops to answer; nothing real does so on demand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers = threading.Event()
        self.answers.set()
        append = Journal.append

        def hanging(journal: Journal, batch: list[Event]) -> Any:
            assert self.answers.wait(WAIT_S)
            return append(journal, batch)

        monkeypatch.setattr(Journal, "append", hanging)


def test_a_disk_that_hangs_holds_up_nothing_and_what_it_stores_late_can_be_had(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hang = Hang(monkeypatch)
    with bus(path) as (courier, everything):
        courier.send(numbered(1))
        assert received(everything, 1)[0]["durable"]
        hang.answers.clear()
        for number in (2, 3, 4):
            courier.send(numbered(number))
        came = received_until(everything, "camera/gate/offline/")
        assert came[0] == ("daemon/journal_failed/", came[0][1])
        assert came[0][1]["reason"] == "the disk does not answer"
        assert {data["durable"] for _, data in came} == {False}
        hang.answers.set()
        recover(courier, everything)
        courier.send(heartbeat())
        (beat,) = received(everything, 1)
        # At least the first of them was asked for, and came late.
        assert beat["head"] == len(kept(path)) >= 2
        courier.send(numbered(5))
        assert received(everything, 1)[0]["seq"] == beat["head"] + 1
    assert numbers(kept(path))[:2] == [1, 2]


def test_neither_a_disk_that_hangs_nor_a_subscriber_that_stands_still_hold_up_the_end(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hang = Hang(monkeypatch)
    recorder = Recorder(path, EPOCH, FOREVER)
    with (
        Publisher("tcp://127.0.0.1:*") as publisher,
        listener(publisher.bound, "", queue_events=1),
        recorder,
        Courier(publisher, recorder, Presence(CAMERAS, 0)) as courier,
    ):
        assert courier.await_subscribers(1, threading.Event(), timeout_s=WAIT_S)
        hang.answers.clear()
        # More than the buffers of a connection hold.
        for number in range(1, 1_501):
            courier.send(numbered(number, padding=10_000))
        started_s = time.monotonic()
        courier.__exit__(None, None, None)
        publisher.close()
        recorder.__exit__(None, None, None)
        took_s = time.monotonic() - started_s
    hang.answers.set()
    assert took_s < STOP_S


def test_what_waits_while_the_disk_hangs_goes_out_at_the_end(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hang = Hang(monkeypatch)
    with bus(path) as (courier, everything):
        hang.answers.clear()
        for number in range(1, 1_501):
            courier.send(numbered(number))
        courier.__exit__(None, None, None)
        came = received_until(everything, "daemon/journal_failed/")
        last = numbers({"data": data} for data in received(everything, 1_500))
    hang.answers.set()
    assert len(came) == 1
    assert last == list(range(1, 1_501))


def test_a_journal_that_can_not_be_opened_is_no_reason_not_to_start(tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.write_text("a file where the folder should be")
    with bus(folder / "journal.db") as (courier, everything):
        courier.send(heartbeat())
        courier.send(numbered(1))
        came = received_until(everything, "camera/gate/online/")
        assert came[0][0] == "daemon/journal_failed/"
        beat = came[1][1]
        assert (beat["head"], beat["oldest"], beat["journal"]["ok"]) == (None, None, False)
        folder.unlink()
        recover(courier, everything)
        courier.send(numbered(2))
        assert received(everything, 1)[0]["seq"] == 1


def test_damage_while_it_runs_is_found_by_who_reads_and_costs_a_hole(path: Path) -> None:
    with bus(path) as (courier, everything):
        for number in range(1, 1_001):
            courier.send(numbered(number, padding=500))
        received(everything, 1_000)
        desk = ReplayDesk(courier._recorder, Presence(CAMERAS, 0))
        with contextlib.closing(sqlite3.connect(path)) as other:
            other.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        for file in (path, path.with_name("journal.db-wal")):
            with file.open("r+b") as content:
                content.seek(300_000)
                content.write(b"\xaa" * (file.stat().st_size - 300_000))
        answers: list[dict[str, Any]] = []
        while not answers or "error" in answers[-1]:
            answers.append(json.loads(desk.answer(b'{"op":"replay","after":0}')))
            time.sleep(0.1)
        desk.close()
        assert answers[0]["error"].startswith("the journal can't be read: database disk image is malformed")
        seqs = [each["event"]["data"]["seq"] for each in answers[-1]["events"]]
        assert seqs == list(range(1, len(seqs) + 1))
        assert len(seqs) > 100
        courier.send(numbered(1_001))
        after = recover(courier, everything)
        assert "camera/yard/online/" in after
        courier.send(numbered(1_002))
        (data,) = received(everything, 1)
        assert data["durable"]
        assert data["seq"] > 1_000
    assert path.with_name("journal.db.damaged").exists()


def test_half_of_the_room_is_for_events_that_last(path: Path) -> None:
    recorder = Recorder(path, EPOCH, FOREVER)
    with recorder, Publisher("tcp://127.0.0.1:*") as publisher:
        courier = Courier(publisher, recorder, Presence(CAMERAS, 0))
        for _ in range(QUEUE_EVENTS // 2 + 1):
            courier.send(events.sighting(NAMED))
        assert courier.dropped == 1
        for number in range(QUEUE_EVENTS // 2 + 1):
            courier.send(numbered(number))
        assert courier.dropped == 2
        with courier:
            pass
    assert numbers(kept(path)) == list(range(QUEUE_EVENTS // 2))


def test_what_need_not_be_kept_goes_while_events_come(path: Path) -> None:
    with bus(path, Keep(seconds=1e9, bytes=400_000)) as (courier, everything):
        for number in range(1, 2_001):
            courier.send(numbered(number, padding=500))
        assert [data["seq"] for data in received(everything, 2_000)] == list(range(1, 2_001))
        until(lambda: (courier._recorder.oldest or 0) > 1_000)
    left = numbers(kept(path))
    assert left == list(range(left[0], 2_001))


def test_waiting_for_subscribers_ends_with_the_stop_or_the_time(path: Path) -> None:
    recorder = Recorder(path, EPOCH, FOREVER)
    with (
        recorder,
        Publisher("tcp://127.0.0.1:*") as publisher,
        Courier(publisher, recorder, Presence(CAMERAS, 0)) as courier,
    ):
        assert not courier.await_subscribers(1, threading.Event(), timeout_s=0.2)
        stop = threading.Event()
        stop.set()
        assert not courier.await_subscribers(1, stop, timeout_s=WAIT_S)
        with listener(publisher.bound, "face/"):
            assert courier.await_subscribers(1, threading.Event(), timeout_s=WAIT_S)


def test_a_bug_in_a_thread_is_noticed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    monkeypatch.setattr(Publisher, "send_parts", lambda *_: 1 / 0)
    recorder = Recorder(path, EPOCH, FOREVER)
    with (
        recorder,
        Publisher("tcp://127.0.0.1:*") as publisher,
        Courier(publisher, recorder, Presence(CAMERAS, 0)) as courier,
    ):
        courier.check()
        courier.send(numbered(1))
        with pytest.raises(RuntimeError, match="thread"):
            check_for_long(courier)


def check_for_long(courier: Courier) -> None:
    for _ in range(WAIT_S * 100):
        courier.check()
        time.sleep(0.01)


def test_events_of_one_moment_have_their_own_times_in_the_journal(path: Path) -> None:
    with bus(path) as (courier, everything):
        for number in range(5):
            courier.send(numbered(number))
        times = [everything.receive()[1]["time"] for _ in range(5)]
    with contextlib.closing(sqlite3.connect(path)) as journal:
        rows = [row[0] for row in journal.execute("SELECT unix_us FROM event ORDER BY seq")]
    assert rows == [unix_us(moment) for moment in times]
