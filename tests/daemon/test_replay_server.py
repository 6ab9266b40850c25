"""The replay socket gives again what is asked for, and costs little whatever is asked."""

from __future__ import annotations

import json
import random
import shutil
import stat
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zmq

from daemon import events
from daemon.allowance import Allowance
from daemon.endpoint import BindRefused
from daemon.presence import Presence
from daemon.recorder import Recorder
from daemon.replay_desk import ECHOED_BYTES, LARGEST, REQUEST_BYTES, TOPICS
from daemon.replay_server import FRAME_BYTES, PEER_ANSWERS, PEER_BURST, ReplayServer
from daemon.vocabulary import LifeKind
from gallery.people import PersonName
from tests.daemon.asking import Asker, asker
from tests.daemon.event_samples import NAMED, RECOGNIZED
from tests.daemon.journaling import CAMERAS, EPOCH, FOREVER, kept, numbered, numbers
from tests.daemon.listening import NULL_GREETING

COUNT = 1_200


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of the events 1 to COUNT."""
    folder = tmp_path_factory.mktemp("replay")
    with Recorder(folder / "journal.db", EPOCH, FOREVER) as recorder:
        for first in range(1, COUNT + 1, 300):
            recorder.store([numbered(number, 200) for number in range(first, first + 300)]).result(20)
    return folder


@pytest.fixture
def server(folder: Path) -> Iterator[ReplayServer]:
    with Recorder(folder / "journal.db", EPOCH, FOREVER) as recorder:
        presence = Presence(CAMERAS, recorder.head)
        with ReplayServer("tcp://127.0.0.1:*", recorder, presence) as server:
            yield server


@pytest.fixture
def peer(server: ReplayServer) -> Iterator[Asker]:
    with asker(server.bound) as peer:
        yield peer


def test_head_tells_how_far_the_journal_is(peer: Asker) -> None:
    assert peer.ask(op="head") == {"epoch": EPOCH, "oldest": 1, "head": COUNT}


def test_pages_give_everything_in_order_and_byte_for_byte(peer: Asker, folder: Path) -> None:
    found = peer.replay()
    assert found == kept(folder / "journal.db")
    assert numbers(found) == list(range(1, COUNT + 1))
    peer.send(b'{"op":"replay","after":7,"limit":1}')
    (answer,) = peer.receive()
    body = json.dumps(found[7], ensure_ascii=False, separators=(",", ":")).encode()
    event = b'{"topic":"camera/gate/offline/","event":' + body + b"}"
    assert answer == (
        f'{{"epoch":"{EPOCH}","oldest":1,"head":{COUNT},"events":['.encode()
        + event.replace(b"gate/offline", found[7]["subject"].encode() + b"/" + b"offline")
        + b'],"more":true,"gap":null}'
    )


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"after": 0, "limit": 3}, ([1, 2, 3], True)),
        ({"after": 5, "limit": 1}, ([6], True)),
        ({"after": COUNT - 1}, ([COUNT], False)),
        ({"after": COUNT - 1, "limit": 1}, ([COUNT], False)),
        ({"after": COUNT}, ([], False)),
        ({"after": LARGEST}, ([], False)),
        ({"after": 0, "topics": ["camera/door/"], "limit": 3}, ([3, 6, 9], True)),
        (
            {"after": 9, "topics": ["camera/door/online/", "camera/yard/offline/"], "limit": 3},
            ([14, 15, 20], True),
        ),
        ({"after": 0, "topics": ["face/"]}, ([], False)),
        ({"after": 0, "topics": []}, ([], False)),
        ({"since": "2000-01-01T00:00:00Z", "limit": 2}, ([1, 2], True)),
        ({"since": "2100-01-01T00:00:00+09:00"}, ([], False)),
    ],
)
def test_a_page_holds_what_was_asked_for(
    peer: Asker, request_: dict[str, Any], expected: tuple[list[int], bool]
) -> None:
    page = peer.ask({"op": "replay", **request_})
    found = [each["event"]["data"]["seq"] for each in page["events"]]
    assert (found, page["more"]) == expected
    assert (page["epoch"], page["oldest"], page["head"], page["gap"]) == (EPOCH, 1, COUNT, None)


def test_a_page_is_never_longer_than_500(peer: Asker) -> None:
    for limit in (400, 500, 501, 10**15):
        found = peer.ask(op="replay", after=0, limit=limit)["events"]
        assert 390 < len(found) <= min(limit, 500)


def test_since_an_events_own_time_begins_with_it(peer: Asker) -> None:
    event = peer.ask(op="replay", after=700, limit=1)["events"][0]["event"]
    first = peer.ask(op="replay", since=event["time"], limit=1)["events"][0]["event"]
    # Events of one batch may be of one microsecond.
    assert first["time"] == event["time"]
    assert 690 < first["data"]["seq"] <= 701


@pytest.mark.parametrize("identity", [0, -7, 2**60, "", "x", "김연아", True, None])
def test_an_id_comes_back_with_the_answer_and_with_the_error(peer: Asker, identity: object) -> None:
    for request in (
        {"op": "head"},
        {"op": "replay", "after": 1, "limit": 2},
        {"op": "nothing"},
        {"op": "present"},
    ):
        answer = peer.ask({**request, "id": identity})
        assert answer["id"] == identity
        assert type(answer["id"]) is type(identity)
    assert "id" not in peer.ask(op="head")


def test_a_req_gets_an_empty_frame_before_its_answer_and_a_dealer_none(server: ReplayServer) -> None:
    with asker(server.bound, zmq.REQ) as req, asker(server.bound) as dealer:
        assert req.ask(op="head")["head"] == COUNT
        dealer.send(b"", b'{"op":"head"}')
        empty, answer = dealer.receive()
        assert (empty, json.loads(answer)["head"]) == (b"", COUNT)
        dealer.send(b'{"op":"head"}')
        (answer,) = dealer.receive()
        assert json.loads(answer)["head"] == COUNT


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (b"", "JSON object"),
        (b"{", "JSON object"),
        (b"[]", "JSON object"),
        (b"3", "JSON object"),
        (b"\xff\xfe{", "JSON object"),
        (b"[" * 8_000, "JSON object"),
        (b'{"op":' + b"9" * 6_000 + b"}", "JSON object"),
        (b" " * (REQUEST_BYTES + 1), f"at most {REQUEST_BYTES} bytes"),
        (b"{}", "op must be one of head, replay, present"),
        (b'{"op":"forget"}', "op must be one of head, replay, present"),
        (b'{"op":["head"]}', "op must be one of"),
        (b'{"op":"head","after":1}', "'after' is no part of this request; known are op, id"),
        (b'{"op":"present","x":1}', "'x' is no part"),
        (b'{"op":"replay"}', 'needs either "after"'),
        (b'{"op":"replay","after":1,"since":"2026-01-01T00:00:00Z"}', 'needs either "after"'),
        (b'{"op":"replay","after":-1}', "after must be an integer of 0 or more"),
        (b'{"op":"replay","after":1.0}', "after must be an integer"),
        (b'{"op":"replay","after":true}', "after must be an integer"),
        (b'{"op":"replay","after":"1"}', "after must be an integer"),
        (b'{"op":"replay","after":null}', "after must be an integer"),
        (b'{"op":"replay","after":9223372036854775807}', "after must be an integer"),
        (b'{"op":"replay","after":NaN}', "after must be an integer"),
        (b'{"op":"replay","after":1,"limit":0}', "limit must be an integer of 1 or more"),
        (b'{"op":"replay","after":1,"topics":"face/"}', "topics must be a list"),
        (b'{"op":"replay","after":1,"topics":[1]}', "topics must be a list"),
        (json.dumps({"op": "replay", "after": 1, "topics": ["a"] * (TOPICS + 1)}).encode(), "at most 64"),
        (json.dumps({"op": "replay", "after": 1, "topics": ["a" * 300]}).encode(), "256 characters"),
        (b'{"op":"replay","since":"yesterday"}', "since must be a time"),
        (b'{"op":"replay","since":"2026-01-01T00:00:00"}', "since must be a time"),
        (b'{"op":"replay","since":1}', "since must be a time"),
        (b'{"op":"head","id":[1]}', "id must be"),
        (b'{"op":"head","id":1.5}', "id must be"),
        (json.dumps({"op": "head", "id": "x" * ECHOED_BYTES}).encode(), "id has at most"),
    ],
)
def test_what_can_not_be_done_is_told_in_one_line(peer: Asker, request_: bytes, told: str) -> None:
    peer.send(request_)
    (answer,) = peer.receive()
    found = json.loads(answer)
    assert set(found) == {"error"}
    assert told in found["error"]
    assert len(answer) < 300
    assert peer.ask(op="head")["head"] == COUNT


@pytest.mark.parametrize(
    "frames", [(b"a", b"b"), (b"", b"", b'{"op":"head"}'), (b'{"op":"head"}', b""), (b"", b"")]
)
def test_messages_of_other_frames_get_an_error_of_their_own_form(
    peer: Asker, frames: tuple[bytes, ...]
) -> None:
    peer.send(*frames)
    *envelope, answer = peer.receive()
    assert envelope == ([b""] if frames[0] == b"" else [])
    assert "error" in json.loads(answer)


def test_who_sends_far_too_much_is_cut_off_and_others_are_not(server: ReplayServer, peer: Asker) -> None:
    with asker(server.bound) as huge:
        huge.send(b"x" * FRAME_BYTES)
        (answer,) = huge.receive()
        assert "at most" in json.loads(answer)["error"]
        huge.send(b"x" * (FRAME_BYTES + 1))
        assert not huge.socket.poll(500)
        assert peer.ask(op="head")["head"] == COUNT


def test_who_asks_too_often_is_told_to_wait_and_others_are_not(server: ReplayServer, peer: Asker) -> None:
    with asker(server.bound) as eager:
        answers: list[dict[str, Any]] = []
        while not any("error" in answer for answer in answers):
            # As many as may be on their way at a time.
            asked = range(len(answers), len(answers) + PEER_ANSWERS)
            for number in asked:
                eager.send(b'{"op":"head","id":%d}' % number)
            answers += [json.loads(eager.receive()[0]) for _ in asked]
        assert [answer["id"] for answer in answers] == list(range(len(answers)))
        assert PEER_BURST <= len(answers) < 20 * PEER_BURST
        refused = [answer for answer in answers if "error" in answer]
        assert {answer["error"] for answer in refused} == {"slow down"}
        assert "error" not in peer.ask(op="head")
        time.sleep(refused[-1]["retry_ms"] / 1000)
        assert "error" not in eager.ask(op="head")


def test_pages_cost_more_than_small_answers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.replay_server.PEER_PER_S", 0.01)
    with Recorder(folder / "journal.db", EPOCH, FOREVER) as recorder:
        with (
            ReplayServer("tcp://127.0.0.1:*", recorder, Presence([], 0)) as server,
            asker(server.bound) as eager,
        ):
            assert 50 < asked_until_refused(eager, {"op": "replay", "after": 0}) < 100
        with (
            ReplayServer("tcp://127.0.0.1:*", recorder, Presence([], 0)) as server,
            asker(server.bound) as eager,
        ):
            assert PEER_BURST - 5 < asked_until_refused(eager, {"op": "head"}) <= PEER_BURST


def asked_until_refused(eager: Asker, request: object) -> int:
    for count in range(2_000):
        if "error" in eager.ask(request):
            return count
    raise AssertionError("never refused")


def test_tokens_come_back_with_the_time_and_only_so_many_peers_are_remembered() -> None:
    allowance = Allowance(per_s=10, burst=2, peers=2)
    assert allowance.wait_s(b"a", 0) == 0
    allowance.take(b"a", 4, 0)
    assert allowance.wait_s(b"a", 0) == pytest.approx(0.3)
    assert allowance.wait_s(b"b", 0) == 0
    assert allowance.wait_s(b"a", 0.2) == pytest.approx(0.1)
    assert allowance.wait_s(b"a", 0.3) == pytest.approx(0)
    allowance.take(b"a", 5, 100)
    for other in (b"c", b"d"):
        assert allowance.wait_s(other, 100) == 0
    assert allowance.wait_s(b"a", 100) == 0, "forgotten"
    assert len(allowance._buckets) == 2


def test_who_does_not_read_its_answers_costs_only_a_few(server: ReplayServer, peer: Asker) -> None:
    with asker(server.bound) as deaf:
        deaf.socket.close(0)
    with zmq.Context() as context, context.socket(zmq.DEALER) as deaf_socket:
        deaf_socket.set(zmq.LINGER, 0)
        deaf_socket.set(zmq.RCVHWM, 1)
        deaf_socket.connect(server.bound)
        for _ in range(300):
            deaf_socket.send(b'{"op":"replay","after":0}')
        for _ in range(20):
            assert peer.ask(op="head")["head"] == COUNT


def test_an_endless_connection_attempt_is_no_peer(server: ReplayServer, peer: Asker) -> None:
    import socket

    port = int(server.bound.rpartition(":")[2])
    rng = random.Random(5)
    for garbage in (b"", b"GET / HTTP/1.1\r\n\r\n", NULL_GREETING, rng.randbytes(10_000)):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
            raw.sendall(garbage)
        assert peer.ask(op="head")["head"] == COUNT


def test_a_peer_that_claims_to_be_a_publisher_is_refused(server: ReplayServer, peer: Asker) -> None:
    import socket

    ready = b"\x05READY" + b"\x0bSocket-Type" + struct.pack(">I", 3) + b"PUB"
    port = int(server.bound.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        raw.sendall(NULL_GREETING + b"\x04" + bytes([len(ready)]) + ready)
        assert peer.ask(op="head")["head"] == COUNT


def test_who_is_present_is_told_as_the_events_told_it() -> None:
    presence = Presence(["door", "yard"], 40)
    assert presence.now() == (40, {"door": [], "yard": []})

    def life(camera: str, track: str, kind: LifeKind, name: str | None, revision: int) -> events.Event:
        person = None if name is None else PersonName(name, name)
        face = replace(
            RECOGNIZED.face,
            camera=camera,
            track=track,
            state=kind,
            person=person,
            revision=revision,
            stranger="s" if person is None else None,
        )
        return events.life(replace(RECOGNIZED, kind=kind, face=face))

    def who() -> dict[str, list[tuple[Any, ...]]]:
        _, cameras = presence.now()
        fields = ("track", "person", "state", "stranger", "revision")
        return {
            name: [tuple(face[each] for each in fields) for face in faces] for name, faces in cameras.items()
        }

    ann = {"id": "Ann", "name": "Ann"}
    presence.note(life("door", "a", "unknown", None, 1), 41)
    presence.note(events.sighting(NAMED), None)
    presence.note(life("yard", "b", "recognized", "Bob", 1), 42)
    presence.note(life("door", "a", "recognized", "Ann", 2), 43)
    assert who() == {
        "door": [("a", ann, "recognized", None, 2)],
        "yard": [("b", {"id": "Bob", "name": "Bob"}, "recognized", None, 1)],
    }
    assert presence.now()[1]["door"][0]["since"] == events.rfc3339(RECOGNIZED.first_unix_ns)
    presence.note(life("door", "a", "corrected", None, 3), None)
    presence.note(life("yard", "b", "left", "Bob", 2), 44)
    presence.note(life("yard", "never heard of", "left", None, 2), 45)
    assert who() == {"door": [("a", None, "corrected", "s", 3)], "yard": []}
    assert presence.now()[0] == 45


def test_the_status_is_what_the_daemon_said_of_itself_last(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with Recorder(tmp_path / "file" / "journal.db", EPOCH, FOREVER) as recorder:
        presence = Presence(["door"], recorder.head)
        with ReplayServer("tcp://127.0.0.1:*", recorder, presence) as server, asker(server.bound) as peer:
            nothing = {"epoch": EPOCH, "started": None, "heartbeat": None, "silent_s": None}
            assert peer.ask(op="status") == nothing
            for uptime_s in (1.0, 2.0):
                presence.note(events.daemon(events.Heartbeat(uptime_s, 0, [])), None)
            presence.note(events.daemon(events.Stopping("SIGTERM")), 7)
            answer = peer.ask(op="status")
            assert (answer["started"], answer["heartbeat"]["uptime_s"]) == (None, 2.0)
            assert 0 <= answer["silent_s"] < 20
            assert "known are op, id" in peer.ask(op="status", topics=[])["error"]


def test_present_is_answered_also_while_the_journal_can_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with Recorder(tmp_path / "file" / "journal.db", EPOCH, FOREVER) as recorder:
        presence = Presence(["door"], recorder.head)
        presence.note(events.life(RECOGNIZED), None)
        with ReplayServer("tcp://127.0.0.1:*", recorder, presence) as server, asker(server.bound) as peer:
            answer = peer.ask(op="present")
            assert (answer["epoch"], answer["head"]) == (EPOCH, None)
            assert [face["person"]["name"] for face in answer["cameras"]["door"]] == ["김연아"]
            for request in ({"op": "head"}, {"op": "replay", "after": 0}):
                assert peer.ask(request)["error"].startswith("the journal can't be read: ")


def test_what_was_just_stored_is_given_at_once(folder: Path, tmp_path: Path) -> None:
    # A copy: the others count on what is in the journal.
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    with (
        Recorder(tmp_path / "journal.db", EPOCH, FOREVER) as recorder,
        ReplayServer("tcp://127.0.0.1:*", recorder, Presence(CAMERAS, recorder.head)) as server,
        asker(server.bound) as peer,
    ):
        assert peer.ask(op="head")["head"] == COUNT
        for number in range(COUNT + 1, COUNT + 20):
            (message,) = recorder.store([numbered(number)]).result(20)
            page = peer.ask(op="replay", after=number - 1)
            assert [json.dumps(each["event"]) for each in page["events"]] == [
                json.dumps(json.loads(message.body))
            ]
            assert page["head"] == number
    with tmp_path.joinpath("journal.db").open("rb") as file:
        assert file.read(6) == b"SQLite"


def test_its_socket_file_is_ours_alone(tmp_path: Path) -> None:
    path = tmp_path / "run" / "replay"
    with Recorder(tmp_path / "journal.db", EPOCH, FOREVER) as recorder:
        with ReplayServer(f"ipc://{path}", recorder, Presence([], 0)) as server:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            with asker(server.bound) as peer:
                assert peer.ask(op="head")["head"] == 0
            with pytest.raises(BindRefused, match="taken"):
                ReplayServer(f"ipc://{path}", recorder, Presence([], 0))
        assert not path.exists()
        with pytest.raises(BindRefused, match=r"--insecure|curve"):
            ReplayServer("tcp://0.0.0.0:*", recorder, Presence([], 0))


def test_a_reader_that_hangs_does_not_hold_up_the_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = threading.Event()
    monkeypatch.setattr("daemon.journal_reader.JournalReader.bounds", lambda _: (answers.wait(30), 0))
    with Recorder(folder / "journal.db", EPOCH, FOREVER) as recorder:
        server = ReplayServer("tcp://127.0.0.1:*", recorder, Presence([], 0))
        with asker(server.bound) as peer:
            with server:
                peer.send(b'{"op":"head"}')
                time.sleep(0.3)
                started_s = time.monotonic()
            assert time.monotonic() - started_s < 5
    answers.set()
    server._thread.join(20)
    server._door.close(0)
