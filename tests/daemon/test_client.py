"""A subscriber reads what the daemon says, survives what it does not, and ends when it is told to."""

from __future__ import annotations

import json
import logging
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from daemon import client, events
from daemon.client import Person, Received, Subscription, decode, subscribe
from daemon.events import Stopping
from daemon.frame import CameraChange
from daemon.publisher import Publisher
from tests.daemon.event_samples import CORRECTED, NAMED, NOBODY_ENROLLED, every_event
from tests.daemon.listening import await_subscribers

EVENT = events.sighting(NAMED)


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with Publisher("tcp://127.0.0.1:*") as publisher:
        yield publisher


def test_every_kind_of_event_is_read(publisher: Publisher) -> None:
    sent = every_event()
    with subscribe(publisher.bound, timeout_s=10) as received:
        await_subscribers(publisher, 1)
        for event in sent:
            publisher.send(event)
        for event in sent:
            read = next(received)
            topic, text = event.encode()
            assert read == Received(topic.decode(), json.loads(text), event.picture)
            assert (read.id, read.type, read.time) == (event.id, event.type, event.time)
            assert (read.camera, read.data) == (event.subject, event.data)
    assert received.skipped == 0


def test_a_face_with_a_name_has_a_person() -> None:
    assert decode(EVENT.encode()).person == Person("6f2c2a1e-5e0d-4f0e-8f8e-0d7b6a0b8f3c", "김연아")


def test_a_change_tells_its_kind_its_track_and_whose_name_it_takes_back() -> None:
    received = decode(events.life(CORRECTED).encode())
    assert (received.kind, received.track) == ("corrected", "3f6b2c1d-8e4a-4b7c-9d0e-1f2a3b4c5d6e")
    assert received.previous == Person("a7d0c9f4-1b7a-4a55-9a0b-2b8c1c0de001", "Ann Lee")
    assert decode(EVENT.encode()).previous is None
    camera = decode(events.camera(CameraChange("door", "online", None)).encode())
    assert (camera.kind, camera.track, camera.previous) == ("online", None, None)


def test_a_stranger_a_camera_and_the_daemon_have_none() -> None:
    for event in (
        events.sighting(NOBODY_ENROLLED),
        events.camera(CameraChange("door", "online", None)),
        events.daemon(Stopping("x")),
    ):
        assert decode(event.encode()).person is None


def test_only_the_topics_asked_for_come(publisher: Publisher) -> None:
    with subscribe(publisher.bound, topics=["face/door/", "daemon/stopping/"], timeout_s=10) as received:
        await_subscribers(publisher, 1)
        sent = every_event()
        for event in sent:
            publisher.send(event)
        asked = [event.topic for event in sent if event.topic.startswith(("face/door/", "daemon/stopping/"))]
        assert len(asked) < len(sent)
        assert [next(received).topic for _ in asked] == asked


def test_one_topic_may_be_given_without_a_list(publisher: Publisher) -> None:
    with subscribe(publisher.bound, topics="camera/", timeout_s=10) as received:
        await_subscribers(publisher, 1)
        for event in every_event():
            publisher.send(event)
        assert next(received).topic == "camera/door/online/"


def test_the_daemons_own_bind_will_do_as_an_endpoint() -> None:
    with Publisher("tcp://*:*", insecure=True) as publisher:
        port = publisher.bound.rpartition(":")[2]
        with subscribe(f"tcp://*:{port}", timeout_s=10) as received:
            await_subscribers(publisher, 1)
            publisher.send(EVENT)
            assert next(received).id == EVENT.id


def test_the_iterator_ends_after_the_silence_asked_for(publisher: Publisher) -> None:
    with subscribe(publisher.bound, timeout_s=2.0) as received:
        await_subscribers(publisher, 1)
        publisher.send(EVENT)
        assert [event.id for event in received] == [EVENT.id]


def test_nothing_came_in_time_is_none(publisher: Publisher) -> None:
    with subscribe(publisher.bound) as received:
        assert received.receive(timeout_s=0.05) is None
        assert received.receive(timeout_s=0) is None


def test_the_subscriber_may_come_before_the_daemon_and_outlives_it() -> None:
    endpoint = f"tcp://127.0.0.1:{_free_port()}"
    with subscribe(endpoint, timeout_s=10) as received:
        for reason in ("first run", "second run"):
            with Publisher(endpoint) as publisher:
                _await_again(publisher, received)
                publisher.send(events.daemon(Stopping(reason)))
                assert next(received).data == {"reason": reason}


def test_what_is_no_event_is_skipped_counted_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    topic, text = EVENT.encode()
    with _plain_publisher() as (pub, endpoint), subscribe(endpoint, timeout_s=10) as received:
        pub.recv()
        for parts in (
            [b""],
            [topic, text, b"and more"],
            [b"crop/door/1/", text],
            [b"crop/door/1/", text, b"picture", b"and more"],
            [topic, text[:-1]],
            [topic, b"\xff\xfe"],
            [b"face/\xff/", text],
            [topic, b"[1, 2]"],
            [topic, b'"text"'],
            [topic, b'{"data": {}}'],
            [topic, text.replace(b"0.412877", b"NaN")],
            [topic, b"[" * 100_000],
        ):
            pub.send_multipart(parts)
        pub.send_multipart([topic, text])
        assert next(received).id == EVENT.id
        assert received.skipped == 12
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "1 parts instead of 2" in caplog.records[0].getMessage()
    assert "10 so far" in caplog.records[1].getMessage()


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["person", "previous", "track", "id", "name"]), inner)
    ),
    max_leaves=8,
)


@given(st.lists(st.binary(max_size=40), max_size=3))
def test_no_bytes_end_the_subscriber(parts: list[bytes]) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        decode(parts)


@given(
    st.sampled_from(["id", "source", "type", "time", "subject", "data"]),
    json_values,
)
def test_an_envelope_with_anything_in_it_is_an_event_or_none(field: str, value: object) -> None:
    topic, text = EVENT.encode()
    envelope = json.dumps(json.loads(text) | {field: value}).encode()
    try:
        received = decode([topic, envelope])
    except ValueError:
        return
    assert isinstance(received.id + received.type + received.time, str)
    assert received.camera is None or isinstance(received.camera, str)
    for person in (received.person, received.previous):
        assert person is None or isinstance(person.name, str)
    assert received.track is None or isinstance(received.track, str)


@pytest.mark.parametrize("endpoint", ["", "127.0.0.1:5556", "tcp://", "tcp://127.0.0.1", "nonsense://x"])
def test_an_endpoint_that_is_none_is_one_clear_line(endpoint: str) -> None:
    with pytest.raises(ValueError, match="can't be subscribed to") as refused:
        subscribe(endpoint)
    assert "\n" not in str(refused.value)


def test_closing_twice_is_closing_once(publisher: Publisher) -> None:
    with subscribe(publisher.bound) as received:
        received.close()


def test_ctrl_c_ends_a_waiting_subscriber_with_its_socket_closed(publisher: Publisher) -> None:
    program = (
        "import sys\n"
        "from daemon.client import subscribe\n"
        "try:\n"
        "    with subscribe(sys.argv[1]) as events:\n"
        "        for event in events:\n"
        "            print(event.topic, flush=True)\n"
        "except KeyboardInterrupt:\n"
        "    print('closed', events._wire.live.closed, events._wire.context.closed)\n"
    )
    command = [sys.executable, "-c", program, publisher.bound]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as subscriber:
        await_subscribers(publisher, 1)
        publisher.send(EVENT)
        assert subscriber.stdout is not None
        assert subscriber.stdout.readline() == "face/door/sighting/\n"
        subscriber.send_signal(signal.SIGINT)
        rest, _ = subscriber.communicate(timeout=20)
    assert rest == "closed True True\n"
    assert subscriber.returncode == 0


def test_a_copy_of_the_file_works_alone_and_loads_nothing_heavy(publisher: Publisher, tmp_path: Path) -> None:
    shutil.copy(client.__file__, tmp_path / "visaged_client.py")
    program = (
        "import sys\n"
        "sys.path.insert(0, '.')\n"
        "from visaged_client import subscribe\n"
        "heavy = {'torch', 'cv2', 'numpy', 'dlib', 'pydantic', 'daemon', 'gallery'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "with subscribe(sys.argv[1], timeout_s=30) as events:\n"
        "    print(next(events).person.name == '김연아')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-I", "-c", program, publisher.bound],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    ) as subscriber:
        await_subscribers(publisher, 1)
        publisher.send(EVENT)
        out, _ = subscriber.communicate(timeout=60)
    assert (out, subscriber.returncode) == ("True\n", 0)


def test_a_subscriber_that_stood_still_with_its_queue_full_reads_on_after_a_crash_of_the_daemon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """libzmq may abort such a program where pings travel, from either side."""
    monkeypatch.setattr("daemon.client.QUEUE_EVENTS", 10)
    endpoint = f"tcp://127.0.0.1:{_free_port()}"
    program = (
        "import sys, threading\n"
        "from daemon.publisher import Publisher\n"
        "from tests.daemon.event_samples import every_event\n"
        "publisher = Publisher(sys.argv[1])\n"
        "publisher.await_subscribers(1, threading.Event())\n"
        "while True:\n"
        "    for event in every_event(): publisher.send(event)\n"
        "    if publisher.overruns: print('full', flush=True)\n"
    )
    with subscribe(endpoint, timeout_s=20) as received:
        with subprocess.Popen(
            [sys.executable, "-c", program, endpoint], stdout=subprocess.PIPE, text=True
        ) as daemon:
            assert daemon.stdout is not None
            assert daemon.stdout.readline() == "full\n"
            daemon.kill()
        with Publisher(endpoint) as publisher:
            while received.receive(timeout_s=2) is not None:
                pass
            _await_again(publisher, received)
            publisher.send(EVENT)
            assert next(received).id == EVENT.id


def _await_again(publisher: Publisher, received: Subscription) -> None:
    """After a reconnect, ZeroMQ subscribes again within the subscriber's next call only."""
    deadline_s = time.monotonic() + 20
    while not publisher.await_subscribers(1, threading.Event(), timeout_s=0.2):
        assert time.monotonic() < deadline_s
        assert received.receive(timeout_s=0.2) is None


@contextmanager
def _plain_publisher() -> Iterator[tuple[zmq.Socket[bytes], str]]:
    with zmq.Context() as context, context.socket(zmq.XPUB) as pub:
        pub.bind("tcp://127.0.0.1:*")
        yield pub, pub.get_string(zmq.LAST_ENDPOINT)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
