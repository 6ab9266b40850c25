"""The real daemon with CURVE: whoever is not invited gets nothing and is told of; nothing secret gets out."""

from __future__ import annotations

import json
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import zmq

from daemon.client import Received, ask, subscribe
from daemon.control_client import RemoteGallery, is_running
from daemon.keys import KeyPair, Keyring, new_pair
from tests.conftest import REPOSITORY
from tests.daemon.listening import NULL_GREETING
from tests.daemon.running import START_TIMEOUT_S, environment, visaged
from tests.daemon.tapping import tapped

PATIENCE_S = 30.0
"""For what has to happen, on a busy machine."""
SILENCE_S = 2.5
"""So long nothing comes to whom nothing is to come; heartbeats are a second apart."""
HEAD = b'{"op":"head"}'
NAMES = ("desk", "kiosk", "hall", "gone")
GREETING_BYTES, WELCOME_BYTES = 64, 170
"""What ZMTP's server says before it knows whom it talks to; frames included."""
COMMANDS = (b"WELCOME", b"READY", b"ERROR", b"MESSAGE")
"""What a server may say after its greeting."""


@dataclass(frozen=True, slots=True)
class House:
    """A running daemon."""

    folder: Path
    events_port: int
    replay_port: int
    process: subprocess.Popen[bytes]

    @property
    def events(self) -> str:
        return f"tcp://127.0.0.1:{self.events_port}"

    @property
    def replay(self) -> str:
        return f"tcp://127.0.0.1:{self.replay_port}"

    @property
    def control(self) -> Path:
        return self.folder / "state" / "control.sock"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    @property
    def server(self) -> str:
        return str(json.loads(self.file("desk").read_text())["server"])

    def file(self, name: str) -> Path:
        return self.folder / f"{name}.keys"

    def pair(self, name: str) -> KeyPair:
        held = json.loads(self.file(name).read_text())
        return KeyPair(held["public"], held["secret"])

    def await_log(self, *words: str) -> None:
        """Until one line has all of them."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not any(all(word in line for word in words) for line in self.log.splitlines()):
            assert time.monotonic() < deadline_s, self.log
            time.sleep(0.05)


def free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in held]
    for each in held:
        each.close()
    return ports


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """One daemon for all tests here, started without any umask; its camera is never there."""
    with tempfile.TemporaryDirectory(prefix="visaged-") as name:
        folder = Path(name)
        events_port, replay_port, camera_port = free_ports(3)
        (folder / "config.toml").write_text(
            f"[daemon]\nstate_dir = '{folder}/state'\ndevice = 'cpu'\nlog_level = 'debug'\n"
            f"[events]\ncurve = true\nbind = 'tcp://127.0.0.1:{events_port}'\n"
            f"replay = 'tcp://127.0.0.1:{replay_port}'\n"
            f"[[camera]]\nname = 'door'\nsource = 'http://127.0.0.1:{camera_port}/'\n"
        )
        config = folder / "config.toml"
        for client in NAMES:
            out = folder / f"{client}.keys"
            assert visaged("keys", "new", client, "--out", out, "--config", config).returncode == 0
        assert visaged("keys", "revoke", "gone", "--config", config).returncode == 0
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "daemon", "run", "--config", str(config)],
                stderr=log,
                env=environment(),
                cwd=REPOSITORY,
                umask=0,
            )
            try:
                deadline_s = time.monotonic() + START_TIMEOUT_S
                while not is_running(folder / "state" / "control.sock"):
                    assert process.poll() is None, (folder / "log").read_text()
                    assert time.monotonic() < deadline_s, "the daemon did not start"
                    time.sleep(0.05)
                yield House(folder, events_port, replay_port, process)
            finally:
                process.kill()
                process.wait()


@contextmanager
def connected(
    kind: int, endpoint: str, pair: KeyPair | None, server: str = ""
) -> Iterator[zmq.Socket[bytes]]:
    """A plain socket of libzmq's, as anybody may write one."""
    with zmq.Context() as context, context.socket(kind) as made:
        made.set(zmq.LINGER, 0)
        if pair is not None:
            made.curve_publickey, made.curve_secretkey = pair.public.encode(), pair.secret.encode()
            made.curve_serverkey = server.encode()
        if kind == zmq.SUB:
            made.subscribe("")
        made.connect(endpoint)
        yield made


def comes(made: zmq.Socket[bytes], within_s: float = PATIENCE_S) -> bool:
    return bool(made.poll(round(within_s * 1000)))


def answers(dealer: zmq.Socket[bytes], within_s: float = PATIENCE_S) -> bool:
    """Whether a question is answered; asked again, for it may be lost with a connection."""
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s:
        # A client that was refused for its key has no connection left to send to.
        with suppress(zmq.Again):
            dealer.send(HEAD, zmq.DONTWAIT)
        if dealer.poll(500):
            return "head" in json.loads(dealer.recv())
    return False


def drain(made: zmq.Socket[bytes]) -> None:
    while made.poll(0):
        made.recv_multipart()


def get_nothing(house: House, pair: KeyPair | None, server: str) -> None:
    """Neither events nor answers, while the daemon goes on telling those who are invited."""
    with (
        connected(zmq.SUB, house.events, pair, server) as sub,
        connected(zmq.DEALER, house.replay, pair, server) as dealer,
        connected(zmq.SUB, house.events, house.pair("desk"), house.server) as invited,
    ):
        assert comes(invited)
        drain(invited)
        assert not answers(dealer, SILENCE_S)
        assert comes(invited)
        assert not sub.poll(0)


def test_who_is_invited_gets_events_and_those_of_the_past_too(house: House) -> None:
    with subscribe(
        house.events, replay=house.replay, keys=house.file("desk"), since=0, timeout_s=PATIENCE_S
    ) as events:
        topics = [next(events).topic]
        # Opening the camera may take its time.
        topics.append(next(event.topic for event in events if event.topic != "daemon/heartbeat/"))
    assert topics == ["daemon/started/", "camera/door/offline/"]
    answer = ask({"op": "head"}, replay=house.replay, keys=house.file("desk"), timeout_s=PATIENCE_S)
    assert answer["head"] >= 2


def test_an_unknown_key_gets_nothing(house: House) -> None:
    get_nothing(house, new_pair(), house.server)
    for name in ("events", "replay"):
        house.await_log(f"{name}: refused a key that is not listed from 127.0.0.1", "unknown_key, 1 so far")


def test_a_key_that_was_revoked_before_the_start_gets_nothing(house: House) -> None:
    get_nothing(house, house.pair("gone"), house.server)
    for name in ("events", "replay"):
        house.await_log(f"{name}: refused a key that was revoked (gone)")


def test_a_client_that_does_not_encrypt_gets_nothing(house: House) -> None:
    get_nothing(house, None, "")
    for port, name in ((house.events_port, "events"), (house.replay_port, "replay")):
        # libzmq's own client may be the first to hang up; this one waits.
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as raw:
            raw.sendall(NULL_GREETING + b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB")
            received = everything(raw)
        assert len(received) <= GREETING_BYTES
        house.await_log(f"{name}: refused a peer that does not encrypt")


def test_a_client_that_expects_another_daemon_gets_nothing_and_tells_nothing(house: House) -> None:
    get_nothing(house, house.pair("desk"), new_pair().public)
    for name in ("events", "replay"):
        house.await_log(f"{name}: refused what does not fit our key")


def test_who_is_revoked_while_connected_is_cut_off_and_the_others_come_back(house: House) -> None:
    revoked, other = house.pair("kiosk"), house.pair("desk")
    with (
        connected(zmq.SUB, house.events, revoked, house.server) as sub,
        connected(zmq.DEALER, house.replay, revoked, house.server) as dealer,
        connected(zmq.SUB, house.events, other, house.server) as other_sub,
        connected(zmq.DEALER, house.replay, other, house.server) as other_dealer,
    ):
        for each in (sub, other_sub):
            assert comes(each)
        for each in (dealer, other_dealer):
            assert answers(each)
        done = visaged("keys", "revoke", "kiosk", "--config", house.folder / "config.toml")
        assert done.returncode == 0, done.stderr
        for name in ("events", "replay"):
            house.await_log(f"{name}: refused a key that was revoked (kiosk)")
        drain(sub)
        drain(dealer)
        drain(other_sub)
        assert comes(other_sub)
        assert answers(other_dealer)
        assert not answers(dealer, SILENCE_S)
        assert not sub.poll(0)


def test_a_subscriber_of_ours_goes_on_after_somebody_else_was_revoked(house: House) -> None:
    with subscribe(
        house.events,
        replay=house.replay,
        keys=house.file("desk"),
        topics=["daemon/heartbeat/"],
        timeout_s=PATIENCE_S,
    ) as events:
        first = next(events)
        with RemoteGallery(house.control) as remote:
            assert remote.revoke_key("hall").name == "hall"
        revoked_s = time.monotonic()
        later = next(event for event in events if time.monotonic() - revoked_s > 3)
    assert later.data["epoch"] == first.data["epoch"]


@pytest.mark.parametrize("kind", [zmq.SUB, zmq.DEALER], ids=["events", "replay"])
def test_a_recording_that_is_played_again_gets_nothing(house: House, kind: int) -> None:
    port, name = (house.events_port, "events") if kind == zmq.SUB else (house.replay_port, "replay")
    with tapped(port) as tap:
        with connected(kind, tap.endpoint, house.pair("desk"), house.server) as listed:
            assert comes(listed) if kind == zmq.SUB else answers(listed)
        recording, answered = list(tap.sent), tap.answered
    assert b"".join(recording).startswith(b"\xff")
    for pieces in ([b"".join(recording)], recording):
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as raw:
            received = played(raw, pieces)
        assert commands(received) <= {b"WELCOME"}, received
        assert len(received) <= GREETING_BYTES + WELCOME_BYTES < len(answered)
    house.await_log(f"{name}: refused what does not fit our key", "undecipherable")


def test_a_question_that_somebody_on_the_wire_repeats_is_not_answered_again(house: House) -> None:
    with (
        tapped(house.replay_port) as tap,
        connected(zmq.DEALER, tap.endpoint, house.pair("desk"), house.server) as dealer,
    ):
        # Once, so that no second answer is on its way.
        dealer.send(HEAD)
        assert comes(dealer)
        drain(dealer)
        before, last = len(tap.answered), tap.sent[-1]
        assert last[2:10] == b"\x07MESSAGE"
        tap.inject(last)
        assert not comes(dealer, SILENCE_S)
        assert b"MESSAGE" not in tap.answered[before:]


def test_the_daemon_lives_and_counts_all_that(house: House) -> None:
    def refused(beats: Iterator[Received]) -> Counter[str]:
        return Counter({each["reason"]: each["count"] for each in next(beats).data["refused"]})

    with subscribe(
        house.events, keys=house.file("desk"), topics=["daemon/heartbeat/"], timeout_s=PATIENCE_S
    ) as events:
        before = refused(events)
        for pair, server in (
            (new_pair(), house.server),
            (house.pair("gone"), house.server),
            (house.pair("desk"), new_pair().public),
        ):
            get_nothing(house, pair, server)
        with socket.create_connection(("127.0.0.1", house.events_port), timeout=PATIENCE_S) as raw:
            raw.sendall(NULL_GREETING)
            everything(raw)
        reasons = {"unknown_key", "revoked_key", "not_encrypted", "undecipherable"}
        deadline_s = time.monotonic() + PATIENCE_S
        while not reasons <= (more := refused(events) - before).keys():
            assert time.monotonic() < deadline_s, more
    # One client was refused by each of the sockets; libzmq does not try again with a key that is refused.
    assert more["unknown_key"] == 2
    assert house.process.poll() is None
    assert "Traceback" not in house.log


def test_without_any_umask_all_that_was_written_is_its_owners_alone(house: House) -> None:
    written = list((house.folder / "state").rglob("*"))
    assert {"gallery.db", "journal.db", "control.sock", "server.json"} <= {each.name for each in written}
    for each in written:
        mode = stat.S_IMODE(each.lstat().st_mode)
        assert mode == (0o700 if each.is_dir() else 0o600), each
    assert stat.S_IMODE((house.folder / "state").stat().st_mode) == 0o700


def test_no_secret_is_in_the_log_nor_in_any_event_nor_in_the_list_of_processes(house: House) -> None:
    with subscribe(
        house.events, replay=house.replay, keys=house.file("desk"), since=0, timeout_s=PATIENCE_S
    ) as events:
        told = [json.dumps(next(events).event) for _ in range(6)]
    processes = [each for each in Path("/proc").iterdir() if each.name.isdigit()]
    for process in processes:
        for file in ("cmdline", "environ"):
            try:
                told.append((process / file).read_bytes().decode(errors="replace"))
            except OSError:
                continue
    told.append(house.log)
    keyring = Keyring.load(house.folder / "state")
    secrets = [keyring.server.secret, *(house.pair(name).secret for name in NAMES)]
    assert any(str(house.folder / "config.toml") in each for each in told), "the daemon is in the list"
    for secret in secrets:
        assert not any(secret in each for each in told)


def played(raw: socket.socket, pieces: list[bytes]) -> bytes:
    """Sends them one after the other, leaving time for an answer; everything that came back."""
    received = b""
    try:
        for piece in pieces:
            raw.sendall(piece)
            raw.settimeout(0.3)
            with suppress(TimeoutError):
                received += raw.recv(65_536)
    except OSError:
        return received
    return received + everything(raw)


def everything(raw: socket.socket) -> bytes:
    """What comes until the other side hangs up, which it must."""
    raw.settimeout(PATIENCE_S)
    received = b""
    try:
        while content := raw.recv(65_536):
            received += content
    except ConnectionResetError:
        pass
    return received


def commands(received: bytes) -> set[bytes]:
    """Names of ZMTP's commands in what a server sent after its greeting."""
    return {name for name in COMMANDS if name in received[GREETING_BYTES:]}


@pytest.mark.parametrize("key", ["bind", "replay"])
def test_without_curve_no_place_that_others_reach_is_bound(key: str, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f"[daemon]\nstate_dir = '{tmp_path}/state'\n[events]\n{key} = 'tcp://0.0.0.0:*'\n")
    done = visaged("run", "--config", config)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert f"[events] {key} is not bound to tcp://0.0.0.0:*" in done.stderr
    assert "[events] curve = true" in done.stderr
    assert "--insecure" in done.stderr


def test_a_server_key_that_others_may_read_is_refused_at_once(tmp_path: Path) -> None:
    Keyring.load(tmp_path / "state")
    (tmp_path / "state" / "keys" / "server.json").chmod(0o644)
    config = tmp_path / "config.toml"
    config.write_text(f"[daemon]\nstate_dir = '{tmp_path}/state'\n[events]\ncurve = true\n")
    done = visaged("run", "--config", config)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "chmod 600" in done.stderr
