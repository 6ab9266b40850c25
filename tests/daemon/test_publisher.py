"""The publisher tells everybody who asked, and nobody can hold it up."""

from __future__ import annotations

import contextlib
import logging
import socket
import stat
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from daemon import events
from daemon.endpoint import BindRefused
from daemon.events import Stopping
from daemon.frame import CameraChange
from daemon.publisher import QUEUE_EVENTS, Publisher
from gallery.people import PersonName
from tests.daemon.event_samples import NAMED
from tests.daemon.listening import NULL_GREETING, READY, await_subscribers, connected, listener

STOP_S = 5
"""DESIGN: how soon the daemon has to have stopped."""


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with Publisher("tcp://127.0.0.1:*") as publisher:
        yield publisher


def test_a_subscriber_gets_what_was_sent_byte_for_byte(publisher: Publisher) -> None:
    event = events.sighting(NAMED)
    with listener(publisher.bound, "") as everything:
        await_subscribers(publisher, 1)
        publisher.send(event)
        assert everything.socket.poll(10_000)
        assert everything.socket.recv_multipart() == list(event.encode())


def test_who_comes_late_gets_what_is_sent_from_then_on(publisher: Publisher) -> None:
    publisher.send(events.daemon(Stopping("before anybody was there")))
    with listener(publisher.bound, "") as late:
        await_subscribers(publisher, 1)
        publisher.send(events.daemon(Stopping("now")))
        assert late.receive()[1]["data"]["reason"] == "now"


def test_a_prefix_with_a_slash_takes_one_camera_and_not_its_namesakes(publisher: Publisher) -> None:
    with listener(publisher.bound, "face/a/") as only_a:
        await_subscribers(publisher, 1)
        for camera in ("ab", "a", "a-b", "ba", "a"):
            publisher.send(events.sighting(replace(NAMED, camera=camera)))
        publisher.send(events.camera(CameraChange("a", "ended", None)))
        assert [only_a.receive()[0] for _ in range(2)] == ["face/a/sighting/"] * 2
        assert only_a.count() == 0


def test_ten_thousand_events_at_once_reach_a_waiting_subscriber_in_order(publisher: Publisher) -> None:
    with listener(publisher.bound, "face/") as faces:
        await_subscribers(publisher, 1)
        for index in range(10_000):
            publisher.send(events.sighting(replace(NAMED, frame_index=index)))
        received = [faces.receive()[1]["data"]["frame"]["index"] for _ in range(10_000)]
    assert received == list(range(10_000))
    assert publisher.overruns == 0


@pytest.mark.parametrize("name", ["김연아", "Ünal Ağaoğlu", "עדה", 'a\n\t\x00"\\/b', "👩🏽‍🔬", "\u2028", " "])
def test_names_in_any_script_arrive_as_they_were(publisher: Publisher, name: str) -> None:
    with listener(publisher.bound, "") as everything:
        await_subscribers(publisher, 1)
        publisher.send(events.sighting(replace(NAMED, person=PersonName("1", name))))
        assert everything.receive()[1]["data"]["person"]["name"] == name


def test_a_stuck_subscriber_holds_up_nobody_and_is_told_of(
    publisher: Publisher, caplog: pytest.LogCaptureFixture
) -> None:
    event = events.sighting(NAMED)
    with (
        listener(publisher.bound, "", queue_events=1) as stuck,
        listener(publisher.bound, "") as reading,
    ):
        await_subscribers(publisher, 2)
        for _ in range(QUEUE_EVENTS // 1000 * 2):
            for _ in range(1000):
                publisher.send(event)
            # The one that reads is never a thousand behind, on however slow a machine.
            for _ in range(1000):
                reading.receive()
        assert publisher.overruns == 1
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "too slow" in caplog.text
        kept = stuck.count()
        assert QUEUE_EVENTS <= kept < 2 * QUEUE_EVENTS
        publisher.send(event)
        assert stuck.count() == 1, "having caught up it gets events again"


def test_a_stuck_subscriber_does_not_hold_up_the_end() -> None:
    event = events.sighting(NAMED)
    publisher = Publisher("tcp://127.0.0.1:*")
    with listener(publisher.bound, "", queue_events=1):
        await_subscribers(publisher, 1)
        for _ in range(QUEUE_EVENTS + 5_000):
            publisher.send(event)
        started_s = time.monotonic()
        publisher.close()
        assert time.monotonic() - started_s < STOP_S


def test_what_was_sent_just_before_the_end_still_arrives() -> None:
    with Publisher("tcp://127.0.0.1:*") as publisher, listener(publisher.bound, "") as everything:
        await_subscribers(publisher, 1)
        for index in range(5_000):
            publisher.send(events.sighting(replace(NAMED, frame_index=index)))
        publisher.send(events.daemon(Stopping("the end")))
        publisher.close()
        received = [everything.receive() for _ in range(5_001)]
    assert received[-1][0] == "daemon/stopping/"


def test_closing_twice_is_closing_once() -> None:
    publisher = Publisher("tcp://127.0.0.1:*")
    publisher.close()
    publisher.close()


def test_an_error_inside_closes_the_socket_too() -> None:
    with pytest.raises(ZeroDivisionError), Publisher("tcp://127.0.0.1:*") as publisher:
        raise ZeroDivisionError
    Publisher(publisher.bound).close()


def test_nobody_is_awaited_when_nobody_comes(publisher: Publisher) -> None:
    assert not publisher.await_subscribers(1, threading.Event(), timeout_s=0.3)


def test_a_handshake_without_a_subscription_is_not_enough(publisher: Publisher) -> None:
    with listener(publisher.bound) as undecided:
        assert not publisher.await_subscribers(1, threading.Event(), timeout_s=0.5)
        undecided.socket.subscribe("face/")
        await_subscribers(publisher, 1)


def test_one_of_two_is_not_enough(publisher: Publisher) -> None:
    with listener(publisher.bound, "face/"):
        assert not publisher.await_subscribers(2, threading.Event(), timeout_s=0.5)
        # The second one may have any topic, even none.
        with listener(publisher.bound):
            await_subscribers(publisher, 2)


def test_both_of_two_get_the_first_event(publisher: Publisher) -> None:
    with listener(publisher.bound, "") as one, listener(publisher.bound, "") as other:
        await_subscribers(publisher, 2)
        publisher.send(events.daemon(Stopping("first")))
        assert one.receive()[1] == other.receive()[1]


def test_who_left_is_not_counted(publisher: Publisher) -> None:
    with listener(publisher.bound, "face/"):
        await_subscribers(publisher, 1)
    # Its leaving has to be noticed first.
    deadline_s = time.monotonic() + 10
    while publisher.await_subscribers(1, threading.Event(), timeout_s=0) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    with listener(publisher.bound, "camera/"):
        assert not publisher.await_subscribers(2, threading.Event(), timeout_s=0.5)
        await_subscribers(publisher, 1)


def test_a_connection_that_says_nothing_stands_in_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.publisher.HANDSHAKE_MS", 500)
    with Publisher("tcp://127.0.0.1:*") as publisher, connected(publisher) as silent:
        with listener(publisher.bound, "face/"):
            await_subscribers(publisher, 1)
            assert not publisher.await_subscribers(2, threading.Event(), timeout_s=0.2)
        # Cut off in the end, so that nobody is left of the two.
        _until_hung_up(silent)
        with listener(publisher.bound, "camera/"):
            assert not publisher.await_subscribers(2, threading.Event(), timeout_s=0.5)
            await_subscribers(publisher, 1)


def test_who_came_before_the_waiting_is_counted(publisher: Publisher) -> None:
    with listener(publisher.bound, "") as early:
        deadline_s = time.monotonic() + 10
        while not early.socket.poll(50) and time.monotonic() < deadline_s:
            publisher.send(events.daemon(Stopping("is anybody there?")))
        await_subscribers(publisher, 1)


def test_waiting_ends_when_the_daemon_is_to_stop(publisher: Publisher) -> None:
    stop = threading.Event()
    timer = threading.Timer(0.2, stop.set)
    timer.start()
    assert not publisher.await_subscribers(1, stop)
    timer.join()


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\x00",
        b"GET / HTTP/1.1\r\nHost: camera\r\n\r\n",
        b"\xff" * 100_000,
        NULL_GREETING,
        NULL_GREETING.replace(b"NULL", b"CURV"),
        NULL_GREETING + b"\x04" + bytes([len(READY)]) + READY.replace(b"SUB", b"REQ"),
        NULL_GREETING + b"\x06" + b"\xff" * 8,
    ],
)
def test_a_peer_that_speaks_garbage_is_no_subscriber_and_hurts_nobody(
    publisher: Publisher, garbage: bytes
) -> None:
    with connected(publisher) as peer:
        # It may hang up on us in the middle.
        _send(peer, garbage)
        assert not publisher.await_subscribers(1, threading.Event(), timeout_s=0.2)
        peer.close()
        with listener(publisher.bound, "") as everything:
            await_subscribers(publisher, 1)
            publisher.send(events.daemon(Stopping("still here")))
            assert everything.receive()[1]["data"]["reason"] == "still here"


def test_a_subscriber_that_sends_more_than_a_topic_is_cut_off(publisher: Publisher) -> None:
    with listener(publisher.bound, "") as everything, connected(publisher) as peer:
        _send(peer, NULL_GREETING + b"\x04" + bytes([len(READY)]) + READY)
        await_subscribers(publisher, 2)
        long_topic = b"\x01" + b"x" * 100_000
        _send(peer, b"\x02" + struct.pack(">Q", len(long_topic)) + long_topic)
        _until_hung_up(peer)
        publisher.send(events.daemon(Stopping("still here")))
        assert everything.receive()[1]["data"]["reason"] == "still here"


@pytest.mark.parametrize(("bind", "pings"), [("tcp://127.0.0.1:*", False), ("tcp://0.0.0.0:*", True)])
def test_subscribers_are_pinged_where_they_may_be_on_another_host(
    monkeypatch: pytest.MonkeyPatch, bind: str, pings: bool
) -> None:
    monkeypatch.setattr("daemon.publisher.HEARTBEAT_MS", 50)
    with Publisher(bind, insecure=True) as publisher, connected(publisher) as peer:
        _send(peer, NULL_GREETING + b"\x04" + bytes([len(READY)]) + READY)
        heard = b""
        while b"READY" not in heard:
            heard += peer.recv(4096)
        # Ten times as long as between two of them; as long as it takes where they have to come.
        peer.settimeout(30 if pings else 0.5)
        with contextlib.suppress(TimeoutError):
            while b"PING" not in heard:
                heard += peer.recv(4096)
        assert (b"PING" in heard) is pings


def test_peers_that_come_and_go_unheard_do_not_clog_it(publisher: Publisher) -> None:
    # Each is told to the publisher's monitor, which nobody reads in between.
    for _ in range(1_500):
        connected(publisher).close()
    with listener(publisher.bound, "") as everything:
        await_subscribers(publisher, 1)
        publisher.send(events.daemon(Stopping("still here")))
        assert everything.receive()[1]["data"]["reason"] == "still here"


def test_a_port_that_is_taken_is_one_clear_line(publisher: Publisher) -> None:
    with pytest.raises(BindRefused, match="is taken") as refused:
        Publisher(publisher.bound)
    assert publisher.bound in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_address_that_is_not_this_hosts_is_one_clear_line() -> None:
    # TEST-NET-1 of RFC 5737: nobody has it.
    with pytest.raises(BindRefused, match=r"192\.0\.2\.1"):
        Publisher("tcp://192.0.2.1:5556", insecure=True)


def test_what_others_could_reach_is_not_bound() -> None:
    with pytest.raises(BindRefused, match="--insecure"):
        Publisher("tcp://*:*")


def test_what_others_could_reach_is_bound_where_insecure_is_said() -> None:
    with Publisher("tcp://0.0.0.0:*", insecure=True) as publisher:
        assert publisher.bound.startswith("tcp://0.0.0.0:")


def test_ipv6_loopback_is_bound() -> None:
    if not socket.has_ipv6 or not _has_ipv6_loopback():
        pytest.skip("this host has no ::1")
    with Publisher("tcp://[::1]:*") as publisher:
        assert publisher.bound.startswith("tcp://[::1]:")


def test_events_travel_over_a_socket_file_that_is_ours_alone(tmp_path: Path) -> None:
    path = tmp_path / "run" / "events.sock"
    with Publisher(f"ipc://{path}") as publisher:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        with listener(publisher.bound, "") as everything:
            await_subscribers(publisher, 1)
            publisher.send(events.daemon(Stopping("over a file")))
            assert everything.receive()[1]["data"]["reason"] == "over a file"
    assert not path.exists()


def test_a_second_daemon_does_not_steal_the_socket_file(tmp_path: Path) -> None:
    bind = f"ipc://{tmp_path / 'events.sock'}"
    with Publisher(bind) as first:
        with pytest.raises(BindRefused, match="taken"):
            Publisher(bind)
        with listener(bind, "") as everything:
            await_subscribers(first, 1)
            first.send(events.daemon(Stopping("mine")))
            assert everything.receive()[1]["data"]["reason"] == "mine"


def test_the_file_of_a_daemon_that_died_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "events.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    Publisher(f"ipc://{path}").close()


def test_the_log_says_where_events_go_out(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), Publisher("tcp://127.0.0.1:*") as publisher:
        assert publisher.bound in caplog.text


def _send(peer: socket.socket, data: bytes) -> None:
    try:
        peer.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        return


def _until_hung_up(peer: socket.socket) -> None:
    try:
        while peer.recv(65536):
            pass
    except ConnectionResetError:
        return


def _has_ipv6_loopback() -> bool:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True
