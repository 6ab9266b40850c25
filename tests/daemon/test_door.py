"""A bound socket: who is refused is counted, and whoever was revoked is out while the others come back."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq

from daemon import door
from daemon.binding import bind_socket
from daemon.door import Door
from daemon.endpoint import BindRefused, Endpoint
from daemon.keys import KeyPair, Keyring, new_pair

TIMEOUT_S = 20.0
QUIET_S = 0.5


def configure(socket: zmq.Socket[bytes], endpoint: Endpoint) -> None:
    socket.set(zmq.HANDSHAKE_IVL, 500)


@contextmanager
def opened(bind: str, keyring: Keyring | None = None) -> Iterator[Door]:
    made = Door(zmq.XPUB, "bind", bind, configure, keyring=keyring)
    try:
        yield made
    finally:
        made.close(0)


@contextmanager
def subscriber(endpoint: str, pair: KeyPair | None = None, server: str = "") -> Iterator[zmq.Socket[bytes]]:
    with zmq.Context() as context, context.socket(zmq.SUB) as sub:
        sub.set(zmq.LINGER, 0)
        if pair is not None:
            sub.curve_publickey, sub.curve_secretkey = pair.public.encode(), pair.secret.encode()
            sub.curve_serverkey = server.encode()
        sub.subscribe("")
        sub.connect(endpoint)
        yield sub


def tend(made: Door) -> None:
    """What its owner does many times a second."""
    made.look_after()
    list(made.happened())
    made.socket.send(b"tick")


def until(made: Door, condition: Callable[[], bool]) -> bool:
    deadline_s = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline_s:
        tend(made)
        if condition():
            return True
        time.sleep(0.01)
    return False


def drain(sub: zmq.Socket[bytes]) -> int:
    count = 0
    while sub.poll(0):
        sub.recv()
        count += 1
    return count


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "LOOK_S", 0.05)


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring.load(tmp_path / "state")


@pytest.fixture(params=["tcp", "ipc"])
def bind(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "tcp://127.0.0.1:*" if request.param == "tcp" else f"ipc://{tmp_path}/events"


def test_whoever_is_revoked_is_cut_off_and_the_others_come_back(
    keyring: Keyring, tmp_path: Path, bind: str
) -> None:
    desk, kiosk = new_pair(), new_pair()
    keyring.add("desk", desk.public, 0)
    keyring.add("kiosk", kiosk.public, 0)
    server = keyring.server_public
    with (
        opened(bind, keyring) as made,
        subscriber(made.bound, desk, server) as revoked,
        subscriber(made.bound, kiosk, server) as other,
    ):
        assert until(made, lambda: bool(revoked.poll(0)))
        assert until(made, lambda: bool(other.poll(0)))
        before = made.socket
        # By another process, as far as this one can tell.
        Keyring.load(tmp_path / "state").revoke("desk", 1)
        assert until(made, lambda: made.gate.refusals["revoked_key"] > 0)
        assert made.socket is not before
        drain(revoked), drain(other)
        assert until(made, lambda: bool(other.poll(0)))
        deadline_s = time.monotonic() + QUIET_S
        while time.monotonic() < deadline_s:
            tend(made)
            time.sleep(0.01)
        assert drain(revoked) == 0
        assert drain(other) > 0


def test_who_is_given_a_key_cuts_off_nobody(keyring: Keyring) -> None:
    with opened("tcp://127.0.0.1:*", keyring) as made:
        before = made.socket
        keyring.add("desk", new_pair().public, 0)
        deadline_s = time.monotonic() + QUIET_S
        while time.monotonic() < deadline_s:
            tend(made)
            time.sleep(0.01)
        assert made.socket is before


def test_a_place_that_is_not_free_again_at_once_is_tried_again(
    keyring: Keyring, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(door, "AGAIN_S", 0.05)
    desk = new_pair()
    keyring.add("desk", desk.public, 0)
    keyring.add("kiosk", new_pair().public, 0)
    refusals: list[str] = []

    def taken(socket: zmq.Socket[bytes], endpoint: Endpoint, what: str, remedy: str) -> None:
        if len(refusals) < 20:
            refusals.append(endpoint.uri)
            raise BindRefused("taken")
        bind_socket(socket, endpoint, what, remedy)

    with (
        opened("tcp://127.0.0.1:*", keyring) as made,
        subscriber(made.bound, desk, keyring.server_public) as sub,
    ):
        assert until(made, lambda: bool(sub.poll(0)))
        monkeypatch.setattr(door, "bind_socket", taken)
        keyring.revoke("kiosk", 0)
        assert until(made, lambda: len(refusals) == 20)
        drain(sub)
        assert until(made, lambda: bool(sub.poll(0)))
        assert set(refusals) == {made.bound}
    assert "not bound again yet: taken" in caplog.text


def test_a_key_that_was_revoked_before_is_no_reason_to_bind_again(keyring: Keyring) -> None:
    keyring.add("desk", new_pair().public, 0)
    keyring.revoke("desk", 0)
    with opened("tcp://127.0.0.1:*", keyring) as made:
        before = made.socket
        time.sleep(0.06)
        assert not made.look_after()
        assert made.socket is before


def test_another_program_that_takes_the_path_is_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "events"
    with opened(f"ipc://{path}") as made, zmq.Context() as context, context.socket(zmq.PUB) as thief:
        thief.bind(f"ipc://{path}")
        with caplog.at_level(logging.ERROR):
            for _ in range(3):
                time.sleep(0.06)
                tend(made)
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        assert f"took the place of {path}" in caplog.text
    assert path.is_socket(), "it is not ours to remove"


def test_where_all_can_reach_it_only_a_keyring_opens_the_door(keyring: Keyring) -> None:
    with pytest.raises(BindRefused, match="curve = true"):
        Door(zmq.XPUB, "bind", "tcp://0.0.0.0:*", configure)
    with opened("tcp://0.0.0.0:*", keyring) as made:
        assert made.bound.startswith("tcp://0.0.0.0:")


def test_a_place_that_is_taken_is_told_and_leaves_no_thread_behind(keyring: Keyring) -> None:
    import threading

    with opened("tcp://127.0.0.1:*", keyring) as made:
        threads = set(threading.enumerate())
        with pytest.raises(BindRefused, match="is taken"):
            Door(zmq.ROUTER, "replay", made.bound, configure, keyring=keyring)
        assert set(threading.enumerate()) <= threads
