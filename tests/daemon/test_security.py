"""The gate: listed keys come in, everybody else is refused, counted and told of."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq
import zmq.utils.monitor

from daemon.keys import KeyPair, Keyring, new_pair
from daemon.security import REFUSED, Gate
from tests.daemon.listening import NULL_GREETING

TIMEOUT_S = 30.0
SILENCE_MS = 300


class Door:
    """A PUB socket behind a gate, as the daemon's are."""

    def __init__(self, keyring: Keyring | None, *, start: bool = True, handshake_ms: int = 500) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.gate = Gate(self.context, keyring)
        if start:
            self.gate.__enter__()
        self.socket = self.context.socket(zmq.PUB)
        self.socket.set(zmq.LINGER, 0)
        self.socket.set(zmq.HANDSHAKE_IVL, handshake_ms)
        self.gate.admit(self.socket, "events")
        self.monitor = self.socket.get_monitor_socket(REFUSED)
        self.socket.bind("tcp://127.0.0.1:*")
        self.endpoint = self.socket.get_string(zmq.LAST_ENDPOINT)

    def hear(self) -> None:
        while self.monitor.poll(0):
            told = zmq.utils.monitor.recv_monitor_message(self.monitor)
            self.gate.note("events", zmq.Event(told["event"]), int(told["value"]))

    def await_refusal(self, reason: str, or_: str | None = None) -> None:
        deadline_s = time.monotonic() + TIMEOUT_S
        while not (self.gate.refusals[reason] or self.gate.refusals[or_ or reason]):
            assert time.monotonic() < deadline_s, self.gate.refusals
            self.hear()
            time.sleep(0.01)

    def close(self) -> None:
        self.socket.disable_monitor()
        self.monitor.close(0)
        self.socket.close(0)
        self.gate.close()
        self.context.term()


@contextmanager
def door(keyring: Keyring | None, *, start: bool = True, handshake_ms: int = 500) -> Iterator[Door]:
    opened = Door(keyring, start=start, handshake_ms=handshake_ms)
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def knock(endpoint: str, pair: KeyPair | None, server: str = "") -> Iterator[zmq.Socket[bytes]]:
    with zmq.Context() as context, context.socket(zmq.SUB) as sub:
        sub.set(zmq.LINGER, 0)
        if pair is not None:
            sub.curve_publickey = pair.public.encode()
            sub.curve_secretkey = pair.secret.encode()
            sub.curve_serverkey = server.encode()
        sub.subscribe("")
        sub.connect(endpoint)
        yield sub


def comes_in(opened: Door, sub: zmq.Socket[bytes]) -> bool:
    deadline_s = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline_s:
        opened.socket.send(b"hello")
        if sub.poll(20):
            return True
    return False


def gets_nothing(opened: Door, sub: zmq.Socket[bytes]) -> bool:
    for _ in range(5):
        opened.socket.send(b"hello")
        if sub.poll(SILENCE_MS // 5):
            return False
    return True


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring.load(tmp_path)


def listed(keyring: Keyring, name: str = "desk") -> KeyPair:
    pair = new_pair()
    keyring.add(name, pair.public, 0)
    return pair


def test_a_listed_key_comes_in(keyring: Keyring) -> None:
    pair = listed(keyring)
    with (
        door(keyring, handshake_ms=30_000) as opened,
        knock(opened.endpoint, pair, keyring.server.public) as sub,
    ):
        assert comes_in(opened, sub)
        opened.hear()
        assert not opened.gate.refusals


def test_a_key_that_is_listed_while_the_daemon_runs_comes_in(keyring: Keyring, tmp_path: Path) -> None:
    with door(keyring) as opened:
        pair = listed(Keyring.load(tmp_path))
        with knock(opened.endpoint, pair, keyring.server.public) as sub:
            assert comes_in(opened, sub)


def test_an_unknown_key_gets_nothing(keyring: Keyring, caplog: pytest.LogCaptureFixture) -> None:
    listed(keyring)
    with door(keyring) as opened, knock(opened.endpoint, new_pair(), keyring.server.public) as sub:
        opened.await_refusal("unknown_key")
        assert gets_nothing(opened, sub)
    assert "events: refused a key that is not listed from 127.0.0.1 (unknown_key, 1 so far)" in caplog.text


def test_a_revoked_key_gets_nothing_and_the_log_says_whose_it_was(
    keyring: Keyring, caplog: pytest.LogCaptureFixture
) -> None:
    pair = listed(keyring)
    keyring.revoke("desk", 0)
    with door(keyring) as opened, knock(opened.endpoint, pair, keyring.server.public) as sub:
        opened.await_refusal("revoked_key")
        assert gets_nothing(opened, sub)
    assert "a key that was revoked (desk)" in caplog.text


def test_a_client_that_does_not_encrypt_gets_nothing(keyring: Keyring) -> None:
    with door(keyring) as opened, knock(opened.endpoint, None) as sub:
        # Both ends see that they don't agree; whoever is first hangs up.
        opened.await_refusal("not_encrypted", or_="broken_off")
        assert gets_nothing(opened, sub)


def test_a_client_that_expects_another_daemon_gets_nothing(keyring: Keyring) -> None:
    pair = listed(keyring)
    with door(keyring) as opened, knock(opened.endpoint, pair, new_pair().public) as sub:
        opened.await_refusal("undecipherable")
        assert gets_nothing(opened, sub)


@pytest.mark.parametrize(
    ("bytes_", "reason"),
    [
        (b"", "silent"),
        (NULL_GREETING, "not_encrypted"),
        (b"\xff" + bytes(8) + b"\x7f\x03\x00CURVE" + bytes(15 + 32) + b"\x04\x06\x05HELLO", "malformed"),
        (
            b"\xff"
            + bytes(8)
            + b"\x7f\x03\x00CURVE"
            + bytes(15 + 32)
            + b"\x04\xc8\x05HELLO\x01\x00"
            + bytes(192),
            "undecipherable",
        ),
    ],
    ids=["silence", "a greeting without encryption", "a hello of the wrong size", "a hello of zeros"],
)
def test_what_is_no_handshake_is_counted(keyring: Keyring, bytes_: bytes, reason: str) -> None:
    with door(keyring) as opened:
        port = int(opened.endpoint.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as raw:
            raw.sendall(bytes_)
            opened.await_refusal(reason)


def test_where_nobody_is_there_to_ask_nobody_comes_in(keyring: Keyring) -> None:
    pair = listed(keyring)
    with door(keyring, start=False) as opened:
        with knock(opened.endpoint, pair, keyring.server.public) as sub:
            opened.await_refusal("no_answer")
            assert gets_nothing(opened, sub)
        with pytest.raises(RuntimeError, match="asks for keys died"):
            opened.gate.check()


def test_refusals_are_counted_each_and_told_at_powers_of_ten(
    keyring: Keyring, caplog: pytest.LogCaptureFixture
) -> None:
    with zmq.Context() as context:
        gate = Gate(context, keyring)
        with caplog.at_level(logging.WARNING):
            for _ in range(1234):
                gate.refuse("replay", "silent")
            gate.refuse("replay", "revoked_key", "desk")
            gate.refuse("replay", "revoked_key", "kiosk")
    assert gate.refusals == {"silent": 1234, "revoked_key": 2}
    told = [record.getMessage() for record in caplog.records]
    assert [line.rpartition(", ")[2] for line in told] == [
        *("1 so far)", "10 so far)", "100 so far)", "1000 so far)", "1 so far)", "1 so far)")
    ]


def test_a_message_carries_the_name_of_its_client(keyring: Keyring) -> None:
    pair = listed(keyring, "kiosk")
    with (
        zmq.Context() as context,
        Gate(context, keyring) as gate,
        context.socket(zmq.ROUTER) as router,
        context.socket(zmq.DEALER) as dealer,
    ):
        gate.check()
        for each in (router, dealer):
            each.set(zmq.LINGER, 0)
        gate.admit(router, "replay")
        router.bind("tcp://127.0.0.1:*")
        dealer.curve_publickey, dealer.curve_secretkey = pair.public.encode(), pair.secret.encode()
        dealer.curve_serverkey = keyring.server.public.encode()
        dealer.connect(router.get_string(zmq.LAST_ENDPOINT))
        dealer.send(b"who am I?")
        assert router.poll(10_000)
        frames = router.recv_multipart(copy=False)
        assert frames[-1].get("User-Id") == "kiosk"


def test_without_a_keyring_everybody_comes_in_as_before() -> None:
    with door(None) as opened, knock(opened.endpoint, None) as sub:
        assert comes_in(opened, sub)
        opened.gate.check()
