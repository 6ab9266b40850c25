"""What a subscriber delivers, whatever is lost, repeated, late or begun anew: its core, driven by hand."""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from daemon.client import ANSWER_S, LOST_S, TICK_S, Core, Received
from tests.daemon.bus_model import Message, ModelBus

TOPICS = (
    "face/door/recognized/",
    "face/door/left/",
    "face/yard/unknown/",
    "camera/door/online/",
    "daemon/started/",
)
FILTERS = (
    ("",),
    ("face/door/",),
    ("face/door/left/",),
    ("face/",),
    ("face/yard/", "daemon/started/"),
    ("face/do", "camera/"),
)
LIVE, JOURNAL = "tcp://daemon:5556", "tcp://daemon:5557"


def core_of(*topics: str, **settings: Any) -> Core:
    """One that may ask a journal."""
    return Core(topics or ("",), names=(LIVE, JOURNAL), **settings)


def taken(core: Core) -> list[Received]:
    """All that is ready."""
    events = []
    while (event := core.take()) is not None:
        events.append(event)
    return events


def seqs(core: Core) -> list[int | None]:
    """Of all that is ready but heartbeats."""
    return [event.seq for event in taken(core) if event.kind != "heartbeat"]


def kinds(core: Core) -> list[str]:
    return [event.kind for event in taken(core)]


def ask(core: Core, bus: ModelBus, now_s: float = 0.0) -> dict[str, Any]:
    """Has the core's question answered, and returns it. It asks when what it has is taken."""
    question = core.question(now_s)
    assert question is not None
    core.answer(bus.answer(question), now_s)
    return json.loads(question)  # type: ignore[no-any-return]


class World(RuleBasedStateMachine):
    """A daemon, a way to it that loses and repeats, and a program that may end at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.bus = ModelBus(page_events=3)
        self.way: deque[Message] = deque()
        self.answers: deque[Message] = deque()
        self.now_s = 0.0
        self.first: list[int] = []
        self.again: set[int] = set()

    @initialize(topics=st.sampled_from(FILTERS), stored=st.lists(st.sampled_from(TOPICS), max_size=5))
    def begin(self, topics: tuple[str, ...], stored: list[str]) -> None:
        for topic in stored:
            self.bus.store(topic)
        self.topics = topics
        self.core = core_of(*topics, position=0)
        self.cursor = (0, 0)

    @rule(
        topics=st.lists(st.sampled_from(TOPICS), min_size=1, max_size=4),
        fate=st.sampled_from([0, 1, 1, 1, 2]),
    )
    def publish(self, topics: list[str], fate: int) -> None:
        """Arrives so many times."""
        for topic in topics:
            self._send(self.bus.store(topic), fate)

    @rule(fate=st.sampled_from([0, 1, 2]))
    def beat(self, fate: int) -> None:
        self._send(self.bus.heartbeat(), fate)

    @rule()
    def sight(self) -> None:
        self._send(self.bus.unstored("face/door/sighting/"), 1)

    @rule(burnt=st.integers(0, 2), stored=st.booleans())
    def restart(self, burnt: int, stored: bool) -> None:
        """What was asked of the old one is not answered, or was already."""
        self.bus.restart(burnt)
        if stored:
            self.bus.store("daemon/started/")

    @rule()
    def hear(self) -> None:
        if self.way and self.core.reads_live:
            self.core.live(self.way.popleft())

    @rule(passed_s=st.sampled_from([0.0, 0.02, 1.0, ANSWER_S]), lost=st.booleans())
    def ask(self, passed_s: float, lost: bool) -> None:
        self.now_s += passed_s
        question = self.core.question(self.now_s)
        if question is not None and not lost:
            self.answers.append(self.bus.answer(question))

    @rule()
    def be_answered(self) -> None:
        if self.answers:
            self.core.answer(self.answers.popleft(), self.now_s)

    @rule(acknowledged=st.booleans())
    def take(self, acknowledged: bool) -> None:
        event = self.core.take()
        self._keep()
        if event is not None and event.seq is not None:
            assert event.topic.startswith(self.topics)
            if event.redelivered:
                assert event.seq in self.first
                self.again.add(event.seq)
            else:
                self.first.append(event.seq)
            if acknowledged:
                self.core.acknowledge(event)
                self._keep()

    @rule()
    @precondition(lambda self: self.first)
    def die(self) -> None:
        """The program is killed, and started again while the daemon goes on."""
        position, handed = self.cursor
        assert handed == max(self.first)
        self.core = core_of(*self.topics, position=position, handed=handed)
        self.way.clear()
        self.answers.clear()

    def teardown(self) -> None:
        if not hasattr(self, "core"):
            return
        self.way.append(self.bus.heartbeat())
        for _ in range(1000):
            self.hear()
            self.ask(0.02, lost=False)
            self.be_answered()
            self.take(acknowledged=False)
        assert not self.way
        wanted = [seq for seq, topic, _ in self.bus.stored if topic.startswith(self.topics)]
        assert self.first == wanted
        assert self.cursor[0] == self.core.position == self.bus.head

    def _send(self, message: Message, times: int) -> None:
        self.way.extend([message] * times)

    def _keep(self) -> None:
        assert self.core.settled is not None
        self.cursor = (self.core.settled, self.core.handed)


TestEveryEventComesOnceInOrder = World.TestCase
TestEveryEventComesOnceInOrder.settings = settings(
    max_examples=150, stateful_step_count=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def begun(bus: ModelBus, *topics: str, **settings: Any) -> Core:
    """A core that has heard how far the journal goes."""
    core = core_of(*topics, **settings)
    ask(core, bus)
    return core


def test_from_now_on_means_after_what_the_journal_has_already() -> None:
    bus = ModelBus()
    bus.store("face/door/left/")
    core = core_of()
    assert ask(core, bus)["op"] == "head"
    assert (core.position, core.settled) == (1, 1)
    core.live(bus.store("face/door/left/"))
    assert seqs(core) == [2]


def test_an_event_that_was_published_before_the_heads_answer_is_delivered_all_the_same() -> None:
    bus = ModelBus()
    bus.store("face/door/left/")
    core = core_of()
    message = bus.store("face/door/left/")
    ask(core, bus)
    assert core.position == 2
    core.live(message)
    core.live(bus.store("face/door/left/"))
    core.live(message)
    assert seqs(core) == [2, 3]


@pytest.mark.parametrize("beats", [True, False])
def test_a_new_subscriber_does_not_wait_for_a_journal_that_does_not_answer(beats: bool) -> None:
    bus = ModelBus()
    bus.store("face/door/left/")
    core = core_of()
    question = core.question(0.0)
    assert question is not None
    assert core.reads_live
    if beats:
        core.live(bus.heartbeat())
    late = bus.answer(question)
    core.live(bus.store("face/door/left/"))
    assert seqs(core) == [2]
    bus.store("face/door/left/")
    core.answer(bus.answer(question), 1.0)
    core.answer(late, 1.0)
    assert core.position == 2, "an answer that nobody waits for must not skip what was published since"


def test_events_in_a_row_need_no_journal_and_what_comes_twice_is_delivered_once() -> None:
    bus = ModelBus()
    core = begun(bus)
    messages = [bus.store("face/door/left/") for _ in range(3)]
    for message in (messages[0], messages[0], messages[1], messages[0], messages[2]):
        core.live(message)
    assert core.question(1.0) is None
    assert seqs(core) == [1, 2, 3]


def test_what_is_missing_between_two_events_is_asked_for() -> None:
    bus = ModelBus()
    core = begun(bus)
    core.live(bus.store("face/door/left/"))
    bus.store("camera/door/online/")
    late = bus.store("face/yard/left/")
    core.live(late)
    assert seqs(core) == [1]
    assert not core.reads_live, "what is published waits until the gap is filled"
    assert ask(core, bus, 1.0) == {"op": "replay", "id": 2, "topics": [""], "after": 1, "limit": 500}
    assert seqs(core) == [2, 3]
    core.live(late)
    assert seqs(core) == []


def test_a_subscriber_of_one_stream_tells_by_prev_that_nothing_is_missing() -> None:
    bus = ModelBus()
    core = begun(bus, "face/door/")
    core.live(bus.store("face/door/left/"))
    bus.store("face/yard/left/")
    core.live(bus.store("face/door/recognized/"))
    assert core.question(1.0) is None
    bus.store("face/door/left/")
    core.live(bus.store("face/door/left/"))
    assert seqs(core) == [1, 3]
    ask(core, bus, 1.0)
    assert seqs(core) == [4, 5]


@pytest.mark.parametrize("topics", [("face/",), ("face/do",), ("face/door/", "face/yard/"), ("face/door",)])
def test_who_takes_events_of_several_streams_has_to_ask(topics: tuple[str, ...]) -> None:
    bus = ModelBus()
    core = begun(bus, *topics)
    core.live(bus.store("face/door/left/"))
    bus.store("camera/yard/online/")
    core.live(bus.store("face/door/left/"))
    assert seqs(core) == [1]
    ask(core, bus, 1.0)
    assert seqs(core) == [3]


def test_a_heartbeat_tells_of_a_loss_after_which_nothing_came() -> None:
    bus = ModelBus()
    core = begun(bus)
    bus.store("face/door/left/")
    core.live(bus.heartbeat())
    assert kinds(core) == ["heartbeat"]
    ask(core, bus, 1.0)
    assert seqs(core) == [1]
    core.live(bus.heartbeat())
    assert kinds(core) == ["heartbeat"]
    assert core.question(2.0) is None


def test_a_heartbeat_comes_to_who_asked_for_it_alone() -> None:
    bus = ModelBus()
    silent, told = begun(bus, "face/"), begun(bus, "daemon/")
    for core in (silent, told):
        core.live(bus.heartbeat())
    assert taken(silent) == []
    assert kinds(told) == ["heartbeat"]


def test_what_is_not_stored_comes_as_it_is_published() -> None:
    bus = ModelBus()
    core = begun(bus)
    for message in (bus.unstored("face/door/sighting/"), bus.store("face/door/left/")):
        core.live(message)
    assert seqs(core) == [None, 1]


def test_pages_are_asked_for_one_after_the_other_and_only_when_the_last_one_is_read() -> None:
    bus = ModelBus(page_events=2)
    for _ in range(5):
        bus.store("face/door/left/")
    core = core_of(position=0)
    for expected in ([1, 2], [3, 4], [5]):
        ask(core, bus)
        assert core.question(9.0) is None
        assert seqs(core) == expected
    assert core.question(9.0) is None
    assert core.reads_live


def test_a_time_may_be_where_to_begin() -> None:
    bus = ModelBus(page_events=2)
    for _ in range(4):
        bus.store("face/door/left/")
    core = core_of(since="2026-03-01T08:00:00.000002Z")
    assert "after" not in ask(core, bus)
    assert seqs(core) == [2, 3]
    assert ask(core, bus)["after"] == 3
    assert seqs(core) == [4]


def test_the_first_event_since_a_time_is_not_done_before_it_is() -> None:
    core = begun(_of(3), since="2026-03-01T08:00:00.000002Z")
    assert core.take() is not None
    assert core.settled == 1


def test_a_time_to_come_is_from_now_on() -> None:
    bus = ModelBus()
    bus.store("face/door/left/")
    core = begun(bus, since="2027-01-01T00:00:00.000000Z")
    core.live(bus.store("face/door/left/"))
    assert seqs(core) == [2]


def test_a_journal_that_reaches_back_no_longer_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    bus = ModelBus()
    for _ in range(5):
        bus.store("face/door/left/")
    bus.forget_before(4)
    core = core_of(position=1, notices=True)
    ask(core, bus)
    notice, *events = taken(core)
    assert (notice.topic, notice.type, notice.seq) == ("client/gap/", "visaged.client.gap", None)
    assert {**notice.data, "reason": ""} == {"reason": "", "position": 1, "oldest": 4}
    assert [event.seq for event in events] == [4, 5]
    assert "what was before 4 is lost, or kept no longer" in caplog.text


def test_notices_are_only_logged_unless_they_are_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    bus = ModelBus()
    bus.store("face/door/left/")
    bus.store("face/door/left/")
    bus.forget_before(2)
    core = begun(bus, position=0)
    assert seqs(core) == [2]
    assert "what was before 2 is lost" in caplog.text


@pytest.mark.parametrize("message", ["event", "heartbeat"])
def test_another_journal_is_begun_anew(message: str) -> None:
    core = begun(_of(5), position=0, notices=True)
    assert seqs(core) == [1, 2, 3, 4, 5]
    other = _of(1)
    core.live(other.heartbeat() if message == "heartbeat" else other.store("face/door/left/"))
    assert seqs(core) == []
    ask(core, other, 1.0)
    assert kinds(core) == ["gap"]
    assert ask(core, other, 1.0)["after"] == 0
    assert seqs(core) == ([1] if message == "heartbeat" else [1, 2])
    assert core.handed == core.position == other.head


def test_another_journal_is_noticed_at_the_start_too() -> None:
    core = core_of(position=7, handed=7)
    other = _of(2)
    ask(core, other)
    ask(core, other)
    assert [(event.seq, event.redelivered) for event in taken(core)] == [(1, False), (2, False)]


def test_late_messages_of_an_earlier_start_are_no_other_journal() -> None:
    bus = ModelBus()
    core = begun(bus)
    late = [bus.heartbeat(), bus.store("face/door/left/"), bus.heartbeat()]
    bus.restart()
    bus.store("daemon/started/")
    core.live(bus.heartbeat())
    assert seqs(core) == []
    ask(core, bus, 1.0)
    assert seqs(core) == [1, 2]
    for message in late:
        core.live(message)
    assert seqs(core) == []
    assert core.question(2.0) is None


def test_a_start_that_only_late_messages_tell_of_costs_one_question() -> None:
    bus = ModelBus()
    core = begun(bus, "face/")
    bus.restart()
    late = [bus.store("face/door/left/"), bus.store("face/door/left/"), bus.heartbeat()]
    bus.stored[-1][2]["data"]["epoch"] = "left out by retention"
    bus.restart()
    core = core_of("face/", position=2, handed=2)
    ask(core, bus)
    for message in late:
        core.live(message)
        if core.question(1.0) is not None:
            core.answer(bus.answer(json.dumps({"op": "replay", "id": 2, "after": 2}).encode()), 1.0)
    assert core.position == 2
    assert core._question == 2
    assert taken(core) == []


def test_who_is_told_to_slow_down_does(caplog: pytest.LogCaptureFixture) -> None:
    core = core_of(position=0)
    assert core.question(10.0) is not None
    core.answer([b'{"error": "slow down", "retry_ms": 250, "id": 1}'], 10.0)
    assert core.question(10.2) is None
    assert core.wait_s(10.2) == pytest.approx(0.05)
    assert core.question(10.25) is not None
    assert caplog.records == []


def test_a_refusal_is_logged_once_and_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    core = core_of(position=0)
    for second in range(5):
        assert core.question(second) is not None
        core.answer([json.dumps({"error": "the disk is on fire", "id": second + 1}).encode()], second)
        assert core.question(second + 0.9) is None
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "the disk is on fire" in caplog.text


def test_a_question_without_an_answer_is_asked_again_and_its_late_answer_is_none() -> None:
    bus = ModelBus()
    core = core_of(position=0)
    first = core.question(0.0)
    assert first is not None
    assert core.question(ANSWER_S - 0.1) is None
    late = bus.answer(first)
    bus.store("face/door/left/")
    second = core.question(ANSWER_S)
    assert second is not None
    core.answer(late, ANSWER_S)
    assert core.position == 0
    core.answer(bus.answer(second), ANSWER_S)
    assert seqs(core) == [1]


def test_a_question_that_could_not_be_sent_is_sent_soon() -> None:
    core = core_of(position=0)
    assert core.question(0.0) is not None
    core.unsent(0.0)
    assert core.question(0.05) is None
    assert core.question(0.1) is not None


def test_questions_about_gaps_keep_a_distance() -> None:
    bus = ModelBus()
    core = begun(bus, "face/")
    for _ in range(2):
        bus.store("camera/door/online/")
        core.live(bus.store("face/door/left/"))
    assert core.question(0.001) is None
    assert core.question(0.011) is not None


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[1]",
        b'"x"',
        b"{",
        b'{"id": 1}',
        b'{"id": 1, "head": -1}',
        b'{"id": 1, "head": true}',
        b'{"id": 1, "head": 1, "more": 1}',
        b'{"id": 1, "head": 1, "events": {}}',
        b'{"id": 1, "head": 1, "events": [1]}',
        b'{"id": 1, "head": 1, "events": [{"topic": "face/door/left/", "event": {}}]}',
        b'{"id": 1, "head": 1, "gap": 3}',
        b'{"id": 1, "head": 1, "gap": {"oldest": null}}',
        b'{"id": 1, "error": "slow down", "retry_ms": "soon"}',
        b'{"id": 1, "head": 1, "events": [{"topic": "a/b/", "event": {"data": {"seq": 1.5}}}]}',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_an_answer_that_is_none_changes_nothing(answer: bytes) -> None:
    core = core_of(position=0)
    core.question(0.0)
    core.answer([answer], 0.0)
    assert (core.position, core.skipped, taken(core)) == (0, 1, [])
    assert core.question(ANSWER_S) is not None


def test_what_was_not_asked_for_is_no_answer() -> None:
    bus = _of(3)
    core = core_of(position=2)
    core.question(0.0)
    core.answer(bus.answer(json.dumps({"op": "replay", "id": 1, "after": 0}).encode()), 0.0)
    assert seqs(core) == [3]


def test_an_event_without_a_number_in_an_answer_changes_nothing() -> None:
    bus = _of(1)
    core = core_of(position=0)
    question = core.question(0.0)
    assert question is not None
    bus.stored[0][2]["data"]["seq"] = None
    core.answer(bus.answer(question), 0.0)
    assert (core.position, core.skipped) == (0, 1)


def test_three_missed_heartbeats_are_a_lost_daemon_and_a_word_brings_it_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bus = ModelBus()
    core = begun(bus, notices=True)
    now_s = _listen(core, 0.0, LOST_S - 0.1)
    assert taken(core) == []
    now_s = _listen(core, now_s, 10.0)
    (lost,) = taken(core)
    assert lost.topic == "client/lost/"
    assert lost.data["reason"].startswith(f"no word from {LIVE} for {LOST_S} s")
    core.live(bus.heartbeat())
    assert kinds(core) == ["back", "heartbeat"]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_a_word_now_and_then_is_no_lost_daemon() -> None:
    bus = ModelBus()
    core = begun(bus, "face/", notices=True)
    for second in range(0, 10, 2):
        _listen(core, second, 2.0)
        core.live(bus.heartbeat())
    assert taken(core) == []


def test_time_in_which_the_program_did_not_listen_is_no_silence() -> None:
    core = begun(ModelBus(), notices=True)
    core.tick(0.0)
    for now_s in (100.0, 200.0, 300.0, 400.0, 500.0, 600.0):
        core.tick(now_s)
    assert taken(core) == []
    core.tick(700.0)
    assert kinds(core) == ["lost"]
    assert 7 * TICK_S >= LOST_S


def test_a_journal_that_does_not_answer_is_lost_too(caplog: pytest.LogCaptureFixture) -> None:
    core = core_of(position=0, notices=True)
    assert core.question(0.0) is not None
    _listen(core, 0.0, ANSWER_S)
    assert JOURNAL in taken(core)[0].data["reason"]
    assert core.question(ANSWER_S) is not None
    assert f"{JOURNAL} does not answer" in caplog.text


def _listen(core: Core, now_s: float, for_s: float) -> float:
    """Ticks as a driver does."""
    until_s = now_s + for_s
    core.tick(now_s)
    while now_s < until_s:
        now_s = min(now_s + TICK_S / 2, until_s)
        core.tick(now_s)
    return now_s


def test_an_event_is_settled_when_the_next_one_is_asked_for() -> None:
    core = begun(_of(3), position=0)
    assert (core.settled, core.handed) == (0, 0)
    core.take()
    assert (core.settled, core.handed) == (0, 1)
    core.take()
    assert (core.settled, core.handed) == (1, 2)
    core.take()
    assert (core.settled, core.handed) == (2, 3)
    assert core.take() is None
    assert (core.settled, core.handed) == (3, 3)


def test_an_event_is_settled_when_it_is_acknowledged_and_not_by_an_older_one() -> None:
    core = begun(_of(3), position=0)
    first = core.take()
    assert first is not None
    core.acknowledge(first)
    assert core.settled == 1
    core.take()
    core.acknowledge(first)
    assert core.settled == 1


def test_what_is_taken_back_is_next_again() -> None:
    core = begun(_of(2), position=0)
    core.take()
    core.take()
    core.take_back()
    core.take_back()
    assert core.settled == 1
    assert seqs(core) == [2]


def test_what_is_not_wanted_is_settled_too() -> None:
    core = begun(_of(3), "camera/", position=0)
    assert core.settled == 3


def test_what_an_earlier_run_was_given_and_did_not_finish_is_marked() -> None:
    core = begun(_of(4), position=1, handed=2)
    assert [(event.seq, event.redelivered) for event in taken(core)] == [(2, True), (3, False), (4, False)]


def test_who_does_not_follow_ends_where_the_journal_ends() -> None:
    bus = ModelBus(page_events=2)
    for _ in range(3):
        bus.store("face/door/left/")
    core = core_of(position=0, follow=False)
    assert not core.reads_live
    got = []
    for now_s in (1.0, 2.0):
        ask(core, bus, now_s)
        assert not core.ended
        got += seqs(core)
    assert got == [1, 2, 3]
    assert core.ended


def without_journal(*topics: str) -> Core:
    return Core(topics or ("",), names=(LIVE, None), notices=True)


@pytest.mark.parametrize("topics", [("",), ("face/door/",)])
def test_without_a_journal_a_loss_is_told(topics: Sequence[str]) -> None:
    bus = ModelBus()
    core = without_journal(*topics)
    core.live(bus.store("face/door/left/"))
    bus.store("face/door/left/")
    core.live(bus.store("face/door/left/"))
    assert kinds(core) == ["left", "gap", "left"]
    assert core.question(1.0) is None


def test_without_a_journal_a_heartbeat_tells_of_a_loss_too() -> None:
    bus = ModelBus()
    core = without_journal()
    core.live(bus.heartbeat())
    assert kinds(core) == ["heartbeat"]
    bus.store("face/door/left/")
    core.live(bus.heartbeat())
    core.live(bus.heartbeat())
    assert kinds(core) == ["gap", "heartbeat", "heartbeat"]


def test_without_a_journal_prev_tells_what_was_somebody_elses() -> None:
    bus = ModelBus()
    core = without_journal("face/door/")
    core.live(bus.store("face/door/left/"))
    bus.store("face/yard/left/")
    core.live(bus.store("face/door/left/"))
    assert kinds(core) == ["left", "left"]


@pytest.mark.parametrize("topics", [("face/door/left/",), ("face/",), ("face/door/", "camera/")])
def test_without_a_journal_what_may_be_somebody_elses_is_no_loss(topics: Sequence[str]) -> None:
    bus = ModelBus()
    core = without_journal(*topics)
    core.live(bus.store("face/door/left/"))
    bus.store("face/door/recognized/")
    core.live(bus.store("face/door/left/"))
    core.live(bus.heartbeat())
    assert kinds(core) == ["left", "left"]


def test_without_a_journal_another_one_behind_the_daemon_is_no_loss() -> None:
    core = without_journal()
    bus, other = ModelBus(), ModelBus()
    for _ in range(2):
        core.live(bus.store("face/door/left/"))
    core.live(other.store("face/door/left/"))
    assert kinds(core) == ["left", "left", "left"]


def _of(count: int) -> ModelBus:
    """A journal of so many events."""
    bus = ModelBus()
    for _ in range(count):
        bus.store("face/door/left/")
    return bus
