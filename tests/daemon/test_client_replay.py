"""A subscriber with a journal behind it, on real sockets: late, cut off, killed, in asyncio, with keys."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from daemon.client import Received, Subscription, ask, subscribe, subscribe_async
from tests.daemon.bus_model import ModelBus
from tests.daemon.bus_server import BusServer, ServerKey, bus_server

LEFT = "face/door/left/"


@pytest.fixture
def server() -> Iterator[BusServer]:
    with bus_server() as server:
        yield server


def subscribe_in(folder: Path, **settings: Any) -> Subscription:
    """To the server that has its sockets there, or will have."""
    return subscribe(f"ipc://{folder}/events", replay=f"ipc://{folder}/journal", timeout_s=30, **settings)


def next_beaten(events: Subscription, server: BusServer) -> Received:
    """The next event, while the daemon's heart beats."""
    for _ in range(200):
        server.beat()
        if (event := events.receive(0.1)) is not None:
            return event
    raise AssertionError("nothing came")


def seqs(events: list[Received]) -> list[int | None]:
    return [event.seq for event in events]


def test_a_late_subscriber_gets_what_was_before_and_what_comes(server: BusServer) -> None:
    for _ in range(1200):
        server.store(LEFT)
    with subscribe(server.endpoint, replay=server.journal, since=0, timeout_s=20) as events:
        got = [next(events) for _ in range(1200)]
        server.await_topics("")
        server.store(LEFT)
        got.append(next(events))
    assert seqs(got) == list(range(1, 1202))


def test_what_is_lost_on_the_way_is_filled_in(server: BusServer) -> None:
    with subscribe(server.endpoint, replay=server.journal, topics=["face/"], timeout_s=20) as events:
        assert events.receive(0.2) is None
        server.await_topics("face/")
        for place in range(50):
            server.store(LEFT, lost=place % 7 in (2, 3, 4))
            server.store("camera/door/online/")
        got = [next(events) for _ in range(50)]
        assert events.receive(0.2) is None
    assert seqs(got) == list(range(1, 100, 2))


def test_a_lost_last_event_comes_with_the_next_heartbeat(server: BusServer) -> None:
    with subscribe(server.endpoint, replay=server.journal, timeout_s=20) as events:
        assert events.receive(0.2) is None
        server.await_topics("")
        server.store(LEFT, lost=True)
        server.beat()
        assert [next(events).kind, next(events).kind] == ["heartbeat", "left"]


def test_a_daemon_that_comes_later_and_comes_back_is_no_loss(tmp_path: Path) -> None:
    bus = ModelBus()
    bus.store(LEFT)
    got: list[int | None] = []
    with subscribe_in(tmp_path, since=0, topics=["face/"]) as events:
        assert events.receive(0.3) is None
        for _ in range(3):
            with bus_server(bus, tmp_path) as server:
                bus.restart()
                got.append(next_beaten(events, server).seq)
                server.store(LEFT)
                got.append(next_beaten(events, server).seq)
            bus.store(LEFT)
    assert got == [1, 2, 3, 4, 5, 6]


def test_a_cursor_goes_on_where_the_last_run_stopped(server: BusServer, tmp_path: Path) -> None:
    for _ in range(5):
        server.store(LEFT)
    cursor = tmp_path / "door.cursor"

    def run(count: int) -> list[tuple[int | None, bool]]:
        with subscribe(
            server.endpoint, replay=server.journal, cursor=cursor, since=0, timeout_s=20
        ) as events:
            return [(event.seq, event.redelivered) for event, _ in zip(events, range(count), strict=False)]

    # zip asks for one more than it gives, which settles the last one; and hands out one more.
    assert run(2) == [(1, False), (2, False)]
    assert run(2) == [(3, True), (4, False)]


def test_an_acknowledged_event_does_not_come_again(server: BusServer, tmp_path: Path) -> None:
    for _ in range(3):
        server.store(LEFT)
    cursor = tmp_path / "door.cursor"
    for seq in (1, 2, 3):
        with subscribe(
            server.endpoint, replay=server.journal, cursor=cursor, since=0, timeout_s=20
        ) as events:
            event = next(events)
            assert (event.seq, event.redelivered) == (seq, False)
            event.acknowledge()


def test_who_did_not_finish_an_event_gets_it_again_marked(server: BusServer, tmp_path: Path) -> None:
    server.store(LEFT)
    program = (
        "import os, sys\n"
        "from daemon.client import subscribe\n"
        "live, journal, cursor = sys.argv[1:]\n"
        "with subscribe(live, replay=journal, cursor=cursor, since=0, timeout_s=60) as events:\n"
        "    event = next(events)\n"
        "    print(event.seq, event.redelivered, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    command = [sys.executable, "-c", program, server.endpoint, server.journal, str(tmp_path / "cursor")]
    runs = [subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False) for _ in range(2)]
    assert [(run.stdout, run.returncode) for run in runs] == [("1 False\n", -9), ("1 True\n", -9)]


def test_a_new_cursor_is_kept_before_the_first_event(server: BusServer, tmp_path: Path) -> None:
    server.store(LEFT)
    cursor = tmp_path / "door.cursor"
    with subscribe(server.endpoint, replay=server.journal, cursor=cursor) as events:
        deadline_s = time.monotonic() + 20
        while events.position is None:
            assert events.receive(0.1) is None
            assert time.monotonic() < deadline_s
    server.store(LEFT, lost=True)
    with subscribe(server.endpoint, replay=server.journal, cursor=cursor, timeout_s=20) as events:
        assert next(events).seq == 2


def test_a_cursor_is_for_one_subscriber_at_a_time(server: BusServer, tmp_path: Path) -> None:
    with (
        subscribe(server.endpoint, replay=server.journal, cursor=tmp_path / "cursor"),
        pytest.raises(ValueError, match="in use by another subscriber"),
    ):
        subscribe(server.endpoint, replay=server.journal, cursor=tmp_path / "cursor")
    subscribe(server.endpoint, replay=server.journal, cursor=tmp_path / "cursor").close()


def test_a_cursor_that_can_not_be_written_costs_no_event(
    server: BusServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        server.store(LEFT)
    cursor = tmp_path / "cursor"
    with subscribe(server.endpoint, replay=server.journal, cursor=cursor, since=0, timeout_s=20) as events:
        assert next(events).seq == 1
        with monkeypatch.context() as broken:
            broken.setattr("os.write", lambda *_: (_ for _ in ()).throw(OSError(5, "Input/output error")))
            with pytest.raises(OSError, match="Input/output"):
                next(events)
        assert next(events).seq == 2


def test_reading_to_the_end_of_the_journal_ends(server: BusServer) -> None:
    for topic in (LEFT, "camera/door/online/", LEFT):
        server.store(topic)
    with subscribe(server.endpoint, replay=server.journal, topics=["face/"], since=0, follow=False) as events:
        assert seqs(list(events)) == [1, 3]


def test_a_time_to_begin_may_have_any_zone(server: BusServer) -> None:
    for _ in range(3):
        server.store(LEFT)
    since = "2026-03-01T10:00:00.000002+02:00"
    with subscribe(server.endpoint, replay=server.journal, since=since, follow=False) as events:
        assert seqs(list(events)) == [2, 3]


def test_a_lost_daemon_is_told_and_so_is_its_return(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "daemon.client")
    bus = ModelBus()
    with subscribe_in(tmp_path, topics=["face/"], notices=True) as events:
        with bus_server(bus, tmp_path) as server:
            server.await_topics("face/")
            server.store(LEFT)
            assert next(events).kind == "left"
        began_s = time.monotonic()
        assert next(events).topic == "client/lost/"
        assert time.monotonic() - began_s > 3
        bus.store(LEFT)
        with bus_server(bus, tmp_path) as server:
            assert [next_beaten(events, server).kind, next(events).kind] == ["back", "left"]
    assert "no word from" in caplog.text
    assert "is heard again" in caplog.text


def test_an_asyncio_program_gets_the_same_beside_its_other_tasks(server: BusServer, tmp_path: Path) -> None:
    for _ in range(1000):
        server.store(LEFT)

    async def ticking(turns: list[int]) -> None:
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    async def program() -> tuple[list[int | None], int]:
        turns: list[int] = []
        other = asyncio.create_task(ticking(turns))
        got = []
        async with subscribe_async(
            server.endpoint, replay=server.journal, cursor=tmp_path / "cursor", since=0, timeout_s=20
        ) as events:
            async for event in events:
                got.append(event.seq)
                if len(got) == 1000:
                    before = len(turns)
                    server.await_topics("")
                    server.store(LEFT)
                    assert (await anext(events)).seq == 1001
                    break
        other.cancel()
        return got, before

    got, turns = asyncio.run(program())
    assert got == list(range(1, 1001))
    assert turns > 8, "a full journal must not keep other tasks from their turn"


def test_an_asyncio_program_that_gives_up_waiting_loses_nothing(server: BusServer) -> None:
    async def program() -> list[int | None]:
        async with subscribe_async(server.endpoint, replay=server.journal, topics=["face/"]) as events:
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(anext(events), 0.1)
            server.await_topics("face/")
            for _ in range(3):
                server.store(LEFT)
            return [(await anext(events)).seq for _ in range(3)]

    assert asyncio.run(program()) == [1, 2, 3]


def test_an_asyncio_iterator_ends_after_the_silence_asked_for(server: BusServer) -> None:
    async def program() -> list[Received]:
        async with subscribe_async(server.endpoint, timeout_s=0.2) as events:
            return [event async for event in events]

    assert asyncio.run(program()) == []


def client_file(folder: Path, server: bytes) -> Path:
    """As `visaged keys new` writes it."""
    public, secret = zmq.curve_keypair()
    keys = {"name": "test", "public": public.decode(), "secret": secret.decode(), "server": server.decode()}
    file = folder / "test.key"
    file.write_text(json.dumps(keys))
    return file


def test_keys_open_both_sockets_and_others_open_none(tmp_path: Path) -> None:
    key, other = ServerKey(*zmq.curve_keypair()), ServerKey(*zmq.curve_keypair())
    with bus_server(key=key) as server:
        server.store(LEFT)
        right = client_file(tmp_path, key.public)
        with subscribe(server.endpoint, replay=server.journal, keys=right, since=0, timeout_s=20) as events:
            assert next(events).seq == 1
            server.await_topics("")
            server.store(LEFT)
            assert next(events).seq == 2
        assert ask({"op": "head"}, replay=server.journal, keys=right)["head"] == 2
        for keys in (None, client_file(tmp_path, other.public)):
            with subscribe(server.endpoint, replay=server.journal, keys=keys, since=0) as events:
                server.store(LEFT)
                assert events.receive(0.7) is None
            with pytest.raises(TimeoutError, match="did not answer within"):
                ask({"op": "head"}, replay=server.journal, keys=keys, timeout_s=0.3)


@pytest.mark.parametrize(
    "content", [None, b"", b"[]", b"{}", b"\xff", b'{"public": "x", "secret": "y", "server": "z"}']
)
def test_a_file_that_holds_no_keys_is_one_clear_line(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "door.key"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"door.key: the keys can't be read|door.key is no file that visaged"
    ) as refused:
        subscribe("ipc:///nobody", keys=file)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: subscribe(cursor="x"), "need replay"),
        (lambda: subscribe(since=3), "need replay"),
        (lambda: subscribe(follow=False), "need replay"),
        (
            lambda: subscribe(replay="tcp://127.0.0.1:1", since=-1),
            "since is a seq from 0 on, or a time, not -1",
        ),
        (lambda: subscribe(replay="tcp://127.0.0.1:1", since="noon"), "2026-03-01T08:30:00Z, not noon"),
        (lambda: subscribe(replay="nonsense"), "nonsense can't be subscribed to"),
        (
            lambda: subscribe(replay="tcp://127.0.0.1:1", cursor="/nowhere/x"),
            "cursor can't be opened: No such",
        ),
    ],
)
def test_what_cannot_be_is_one_clear_line(call: Callable[[], object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        call()


def test_one_question_has_one_answer(server: BusServer) -> None:
    server.store(LEFT)
    assert ask({"op": "head"}, replay=server.journal)["head"] == 1
    with pytest.raises(ValueError, match="says: no such op"):
        ask({"op": "sing"}, replay=server.journal)


def test_a_subscriber_in_a_folder_that_is_full_goes_on(server: BusServer, tmp_path: Path) -> None:
    """The cursor's records are overwritten in place; nothing has to be made for the next one."""
    for _ in range(10):
        server.store(LEFT)
    with subscribe(
        server.endpoint, replay=server.journal, cursor=tmp_path / "cursor", since=0, timeout_s=20
    ) as events:
        next(events)
        next(events)
        size, links = (tmp_path / "cursor").stat().st_size, sorted(tmp_path.iterdir())
        for _ in range(8):
            next(events)
    assert (tmp_path / "cursor").stat().st_size == size
    assert sorted(tmp_path.iterdir()) == links
