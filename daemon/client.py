"""Subscribes to a visaged daemon. This one file needs pyzmq and nothing else: copy it into your program.

with subscribe(replay="tcp://127.0.0.1:5557", topics=["face/door/"], cursor="door.cursor") as events:
    for event in events:
        print(event.seq, event.kind, event.person.name if event.person else "unknown")

With replay= every stored event comes, in order, at least once: gaps are filled from the daemon's journal, and
with cursor= the next run goes on where this one stopped. docs/events.md of visaged holds the rules.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import time
import uuid
import zlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

import zmq
import zmq.asyncio
from zmq.utils.monitor import recv_monitor_message

logger = logging.getLogger(__name__)

DEFAULT_ENDPOINT = "tcp://127.0.0.1:5556"
DEFAULT_REPLAY = "tcp://127.0.0.1:5557"
HEARTBEAT = "daemon/heartbeat/"
QUEUE_EVENTS = 20_000
"""RCVHWM: events that may wait here for the program, about 20 MB. As many more wait in the daemon."""
PART_BYTES = 16 * 1024 * 1024
"""Who sends more in one part, an event or a page of them, is no visaged."""
PAGE_EVENTS = 500
"""Asked of the journal at a time; the daemon gives no more."""
ANSWER_S = 5.0
"""An answer that takes longer is asked for again."""
ASK_GAP_S = 0.01
"""Between two questions about gaps: the daemon answers 200 a second."""
RETRY_S, RETRY_UNSENT_S, RETRY_MAX_S = 1.0, 0.1, 60.0
"""Until a question is put again that was refused, or for which there was no connection; at most."""
TICK_S = 0.5
"""The longest wait at a time. A longer pause was not spent listening: the program was busy, or stopped."""
LOST_S = 3.5
"""Of listening without a word: three heartbeats have been missed."""
PUMPED_MESSAGES = 1_000
"""Read in a row at most, so that a flood of what is not wanted does not outlast a timeout."""
BREATH_EVENTS = 100
"""Handed out in a row before other tasks of an asyncio program get their turn."""
KNOWN_EPOCHS = 1_000
"""Remembered starts of the daemon."""
KEY_CHARACTERS = 40
"""Of a CURVE key in Z85."""
RECONNECT_MS, RECONNECT_MAX_MS = 100, 1_000
"""First and longest pause before a lost daemon is tried again; for ever."""
HANDSHAKE_MS = 5_000
"""Something accepts the connection and does not speak ZMTP: try again after this."""
KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT = 15, 5, 3
"""A host that vanished without a word is noticed after half a minute at most."""
CONNECTING = zmq.EVENT_CONNECTED | zmq.EVENT_CONNECT_RETRIED
"""The first of them says whether somebody is there at all."""


class NobodyListens(TimeoutError):
    """No daemon is there to answer."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whom the daemon knows."""

    id: str
    """Stays when the person is renamed."""
    name: str
    """As enrolled, in any script."""


@dataclass(frozen=True, slots=True)
class Received:
    """One event as it came; docs/events.md of visaged says what is in it."""

    topic: str
    """Such as face/door/recognized/."""
    event: dict[str, Any]
    """The whole CloudEvents envelope."""
    picture: bytes | None = field(default=None, repr=False)
    """Of topics crop/…: a JPEG."""
    redelivered: bool = field(default=False, compare=False)
    """An earlier run with this cursor may have had it already: it ended before it asked for the next one."""
    _done: Callable[[], None] | None = field(default=None, compare=False, repr=False)

    @property
    def id(self) -> str:
        """Unique for ever."""
        return str(self.event["id"])

    @property
    def type(self) -> str:
        """Such as visaged.face.recognized."""
        return str(self.event["type"])

    @property
    def kind(self) -> str:
        """What happened: the last part of type and topic, such as recognized."""
        return self.type.rpartition(".")[2]

    @property
    def time(self) -> str:
        """When it was made: RFC 3339, UTC."""
        return str(self.event["time"])

    @property
    def data(self) -> dict[str, Any]:
        """What the event says."""
        data: dict[str, Any] = self.event["data"]
        return data

    @property
    def camera(self) -> str | None:
        """The camera's name; None: it is about the daemon."""
        camera: str | None = self.event.get("subject")
        return camera

    @property
    def person(self) -> Person | None:
        """Who it is; None: nobody of the gallery, or not about a face."""
        return self._person("person")

    @property
    def previous(self) -> Person | None:
        """Of kind corrected: whose name is taken back; None: it had none."""
        return self._person("previous")

    @property
    def track(self) -> str | None:
        """Which stay of which face it is about; None: not about a face."""
        track: str | None = self.data.get("track")
        return track

    @property
    def seq(self) -> int | None:
        """Its number in the journal, from 1; None: not stored (sightings, heartbeats, a failing disk)."""
        seq: int | None = self.data.get("seq")
        return seq

    def acknowledge(self) -> None:
        """Its effect is done: the next run goes on after it. Asking for the next event says the same."""
        if self._done is not None:
            self._done()

    def _person(self, field: str) -> Person | None:
        person = self.data.get(field)
        return None if person is None else Person(person["id"], person["name"])


class Cursor:
    """Where a program stands, in a file of its own. For one subscription at a time.

    Two records of fixed size are overwritten in turn, each in a sector of its own, so that one of them is
    always whole and a full disk does not matter. After a power cut it may be older than what was done.
    """

    RECORD_BYTES = 512

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.position: int | None = None
        """All events up to this seq are done; None: a new cursor."""
        self.handed = 0
        """The program was given events up to this seq."""
        self._turn = 0
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        except OSError as error:
            raise ValueError(f"{self.path}: the cursor can't be opened: {error.strerror}") from None
        try:
            self._lock()
            self._read()
        except BaseException:
            os.close(self._file)
            raise

    def write(self, position: int, handed: int) -> None:
        """Keeps both; does nothing where they are kept already."""
        if (position, handed) == (self.position, self.handed):
            return
        is_new = self.position is None
        text = f"visaged-cursor {self._turn + 1} {position} {handed}"
        record = f"{text} {zlib.crc32(text.encode()):08x}"
        os.lseek(self._file, self._turn % 2 * self.RECORD_BYTES, os.SEEK_SET)
        os.write(self._file, record.ljust(self.RECORD_BYTES - 1).encode() + b"\n")
        self._turn, self.position, self.handed = self._turn + 1, position, handed
        if is_new:
            self._make_last()

    def close(self) -> None:
        """Lets go of the file. May be called twice."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _lock(self) -> None:
        with suppress(ImportError):  # Not on Windows.
            import fcntl

            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise ValueError(f"{self.path}: this cursor is in use by another subscriber") from None

    def _read(self) -> None:
        content = os.read(self._file, 2 * self.RECORD_BYTES + 1)
        found = []
        for record in content.splitlines():
            text, _, check = record.decode(errors="replace").rstrip().rpartition(" ")
            if f"{zlib.crc32(text.encode()):08x}" == check:
                found.append(tuple(map(int, text.split()[1:])))
        if found:
            self._turn, self.position, self.handed = max(found)
        elif content:
            raise ValueError(f"{self.path} is no cursor, or damaged; without it, events come from now on")

    def _make_last(self) -> None:
        """A cursor that a power cut takes away altogether would be a new one: from now on."""
        os.fsync(self._file)
        if hasattr(os, "O_DIRECTORY"):
            folder = os.open(self.path.absolute().parent, os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


class Core:
    """Decides what is delivered. Without sockets, files and clocks: whoever drives it brings in what came.

    `position` is the seq up to which everything that is wanted has been delivered. What follows it directly
    is delivered too; where something may be missing between, the journal is asked for all after `position`.
    """

    def __init__(
        self,
        topics: Sequence[str],
        *,
        names: tuple[str, str | None],
        position: int | None = None,
        handed: int = 0,
        since: str | None = None,
        follow: bool = True,
        notices: bool = False,
    ) -> None:
        """names: of the events' and the journal's endpoints, None: no journal. since: a time to begin at."""
        self.position = position
        self.handed = handed
        """The highest seq given to the program, by this run or one before."""
        self.skipped = 0
        """Messages that were no events."""
        self._topics, self._names = tuple(topics), names
        self._stream = _common_stream(topics)
        # Whether each event that this stream or the journal has is ours: then a gap in numbers is a loss.
        self._gets_all = "" in topics or self._stream in topics
        self._since, self._follow, self._notices = since, follow, notices
        self._handed_before = handed
        self._ready: deque[tuple[Received, int | None]] = deque()
        self._out: tuple[Received, int | None] | None = None
        self._is_new = position is None and since is None
        self._epochs: dict[str, None] = {}
        self._asking = names[1] is not None
        self._question = 0
        self._asked_s: float | None = None
        self._ask_from_s = float("-inf")
        self._is_mute = False
        self._silence_s, self._ticked_s, self._lost = 0.0, float("inf"), False

    # What the program asks.

    def take(self) -> Received | None:
        """The next event, if one is ready. Whoever asks is done with the one before."""
        self._out = None
        if not self._ready:
            return None
        event, _ = self._out = self._ready.popleft()
        if event.seq is not None:
            self.handed = max(self.handed, event.seq)
        return event

    def take_back(self) -> None:
        """The program did not get what was taken last."""
        if self._out is not None:
            self._ready.appendleft(self._out)
            self._out = None

    def acknowledge(self, event: Received) -> None:
        """The program is done with this one."""
        if self._out is not None and self._out[0].id == event.id:
            self._out = None

    @property
    def settled(self) -> int | None:
        """All events up to this seq are done; None: it is not known yet from where on they are wanted."""
        waiting = self._out or (self._ready[0] if self._ready else None)
        return self.position if waiting is None else waiting[1]

    @property
    def ended(self) -> bool:
        """Nothing more will come: not following, and everything there was has been handed out."""
        return not (self._follow or self._asking or self._ready)

    # What the driver does.

    @property
    def awaits_answer(self) -> bool:
        """Whether a question is open."""
        return self._asked_s is not None

    @property
    def reads_live(self) -> bool:
        """Whether published messages are to be read; while the journal is asked they wait in their queue."""
        return not self._ready and self._follow and (not self._asking or self._is_new)

    def question(self, now_s: float) -> bytes | None:
        """What to send to the journal now; None: nothing."""
        if not self._asking or self._ready or now_s < self._due_s:
            return None
        if self._asked_s is not None:
            self._note_mute("does not answer")
        self._question += 1
        self._asked_s = now_s
        request: dict[str, Any] = {"op": "replay", "id": self._question, "topics": self._topics}
        if self.position is not None:
            request |= {"after": self.position, "limit": PAGE_EVENTS}
        elif self._since is not None:
            request |= {"since": self._since, "limit": PAGE_EVENTS}
        else:
            request = {"op": "head", "id": self._question}
        return json.dumps(request, ensure_ascii=False).encode()

    def unsent(self, now_s: float) -> None:
        """The last question could not be sent: there is no connection."""
        self._asked_s = None
        self._ask_from_s = now_s + RETRY_UNSENT_S

    def wait_s(self, now_s: float) -> float:
        """How long to wait for messages at most before calling question and tick again."""
        return min(TICK_S, max(0.0, self._due_s - now_s)) if self._asking else TICK_S

    def tick(self, now_s: float) -> None:
        """Nothing was there to read."""
        self._silence_s += min(max(now_s - self._ticked_s, 0.0), TICK_S)
        self._ticked_s = now_s
        if self._silence_s >= LOST_S and not self._lost:
            self._lost = True
            publisher, journal = self._names
            silent = journal if self._asking and not self._is_new else publisher
            reason = f"no word from {silent} for {LOST_S} s: it is away, or does not let us in"
            self._notice("lost", reason, {"position": self.position})

    def live(self, parts: Sequence[bytes]) -> None:
        """A published message came."""
        self._heard()
        try:
            event = decode(parts)
        except ValueError as error:
            self._note_skipped(error)
            return
        if event.topic == HEARTBEAT:
            self._heartbeat(event.data)
        if not event.topic.startswith(self._topics):
            return
        if event.seq is None:
            self._deliver(event)
        elif self._names[1] is None:
            self._unfilled(event, event.seq)
        else:
            self._numbered(event, event.seq)

    def answer(self, parts: Sequence[bytes], now_s: float) -> None:
        """The journal's answer came."""
        try:
            answer = _answer(parts)
        except ValueError as error:
            self._note_skipped(error)
            return
        if self._asked_s is None or answer.get("id") != self._question:
            return  # Of a question that was given up.
        self._heard()
        self._asked_s = None
        if "error" in answer:
            self._ask_from_s = now_s + min(max(answer.get("retry_ms", 0) / 1000, 0.0), RETRY_MAX_S)
            if "retry_ms" not in answer:
                self._ask_from_s = now_s + RETRY_S
                self._note_mute(f"says: {answer['error']}")
            return
        self._is_mute = False
        self._know(answer.get("epoch"))
        self._ask_from_s = now_s if answer["more"] else now_s + ASK_GAP_S
        if self.position is not None and answer["head"] < self.position:
            self._begin_again()
            self._ask_from_s = now_s
        else:
            self._page(answer)

    @property
    def _due_s(self) -> float:
        """When the next question may be put."""
        return self._ask_from_s if self._asked_s is None else self._asked_s + ANSWER_S

    def _page(self, answer: dict[str, Any]) -> None:
        if answer["gap"] is not None:
            oldest = answer["gap"]["oldest"]
            what = {"position": self.position, "oldest": oldest}
            self._notice("gap", f"what was before {oldest} is lost, or kept no longer", what)
        for event in answer["events"]:
            if self.position is None or event.seq > self.position:
                # Of the first one that is asked for by time, nothing before it is wanted.
                self.position = event.seq - 1 if self.position is None else self.position
                self._deliver(event)
                self.position = event.seq
        if answer["more"] and not answer["events"]:
            self._ask_from_s += RETRY_S  # It should not say so.
        if not answer["more"]:
            self.position = max(self.position or 0, answer["head"])
            self._asking = False

    def _numbered(self, event: Received, seq: int) -> None:
        """A stored event, as it was published."""
        if self._is_new and (self.position is None or seq <= self.position):
            # The journal's head was asked for after this one had been published: it is wanted all the same.
            self._begin_after(seq - 1)
        self._is_new = False
        assert self.position is not None
        prev = event.data.get("prev")
        if seq <= self.position:
            self._suspect(event.data.get("epoch"))
        elif seq == self.position + 1 or (self._stream and prev is not None and prev <= self.position):
            self._know(event.data.get("epoch"))
            self._deliver(event)
            self.position = seq
        else:
            # Something may be missing between; the journal gives it, and this one.
            self._asking = True

    def _unfilled(self, event: Received, seq: int) -> None:
        """A stored event where there is no journal to ask: what is lost is told."""
        if self._suspect(event.data.get("epoch")) and self.position is not None and seq <= self.position:
            self.position = None
        prev = event.data.get("prev")
        before = prev if self._stream and prev is not None else seq - 1
        if self.position is not None and self._gets_all and before > self.position:
            self._notice("gap", f"events after {self.position} are lost", {"position": self.position})
        self._deliver(event)
        self.position = seq

    def _heartbeat(self, data: dict[str, Any]) -> None:
        """Tells of what was published last, so that a loss is noticed without a next event."""
        head: Any = data.get("head")
        if not _is_count(head):
            return
        self._is_new = False
        if self.position is None:
            self._begin_after(head)
            return
        if head > self.position and self._names[1] is not None:
            self._asking = True
        elif head > self.position and "" in self._topics:
            self._notice("gap", f"events after {self.position} are lost", {"position": self.position})
            self.position = head
        elif head < self.position:
            self._suspect(data.get("epoch"))

    def _suspect(self, epoch: object) -> bool:
        """What came is older than what we have: late, or of another journal. That is asked, once for each
        start of the daemon; returns whether this is the first we hear of it."""
        if not isinstance(epoch, str) or epoch in self._epochs:
            return False
        self._know(epoch)
        self._asking = self._names[1] is not None
        return True

    def _know(self, epoch: object) -> None:
        if isinstance(epoch, str):
            self._epochs[epoch] = None
            if len(self._epochs) > KNOWN_EPOCHS:
                del self._epochs[next(iter(self._epochs))]

    def _begin_after(self, position: int) -> None:
        """What is published tells from where on; the journal need not be asked, nor heard, any more."""
        self.position, self._asking, self._asked_s = position, False, None

    def _begin_again(self) -> None:
        """The journal has fewer events than we had from it: it is another one, and all of it is new."""
        reason = f"another journal, that ends before {self.position}: begun anew"
        self._notice("gap", reason, {"position": self.position})
        self.position = self.handed = self._handed_before = 0

    def _heard(self) -> None:
        self._silence_s = 0.0
        if self._lost:
            self._lost = False
            self._notice("back", "the daemon is heard again", {"position": self.position})

    def _notice(self, kind: str, reason: str, what: dict[str, Any]) -> None:
        logger.log(logging.INFO if kind == "back" else logging.WARNING, "%s: %s", kind, reason)
        if self._notices:
            envelope = {
                "specversion": "1.0",
                "id": str(uuid.uuid4()),
                "source": "visaged/client",
                "type": f"visaged.client.{kind}",
                "time": _rfc3339(datetime.now(UTC)),
                "data": {"reason": reason, **what},
            }
            self._deliver(Received(f"client/{kind}/", envelope))

    def _deliver(self, event: Received) -> None:
        if event.seq is not None and event.seq <= self._handed_before:
            event = replace(event, redelivered=True)
        self._ready.append((event, self.position))

    def _note_mute(self, what: str) -> None:
        if not self._is_mute:
            logger.warning("%s %s; events wait until it gives what is missing", self._names[1], what)
        self._is_mute = True

    def _note_skipped(self, error: ValueError) -> None:
        self.skipped += 1
        # The 1st, 10th, 100th, …: a peer gone mad must not fill the log.
        if set(str(self.skipped)[1:]) <= {"0"} and str(self.skipped)[0] == "1":
            logger.warning("skipped what is no event: %s (%s so far)", error, self.skipped)


class _Wire:
    """The two sockets, and what passes between them and the core."""

    def __init__(
        self, endpoint: str, journal: str | None, topics: Iterable[str], keys: str | os.PathLike[str] | None
    ):
        pair = None if keys is None else load_keys(keys)
        self.context = zmq.Context()
        self.live = self.context.socket(zmq.SUB)
        self.journal = self.context.socket(zmq.DEALER)
        try:
            for topic in {*topics, HEARTBEAT}:
                self.live.subscribe(topic)
            _connect(self.live, endpoint, pair)
            if journal is not None:
                # Without a connection a question is refused, not kept until there is one.
                self.journal.set(zmq.IMMEDIATE, 1)
                _connect(self.journal, journal, pair)
        except BaseException:
            self.close()
            raise

    def pump(self, core: Core, now_s: float) -> None:
        """Sends what is to be sent and reads what is there, until an event is ready; never waits."""
        question = core.question(now_s)
        if question is not None:
            try:
                self.journal.send(question, zmq.DONTWAIT)
            except zmq.Again:
                core.unsent(now_s)
        came = False
        with suppress(zmq.Again):
            for _ in range(PUMPED_MESSAGES):
                if not core.awaits_answer:
                    break
                core.answer(self.journal.recv_multipart(zmq.DONTWAIT), now_s)
                came = True
        with suppress(zmq.Again):
            for _ in range(PUMPED_MESSAGES):
                if not core.reads_live:
                    break
                core.live(self.live.recv_multipart(zmq.DONTWAIT))
                came = True
        if not came:
            core.tick(now_s)

    def watched(self, core: Core) -> list[zmq.Socket[bytes]]:
        """The sockets to wait for."""
        wanted = ((self.live, core.reads_live), (self.journal, core.awaits_answer))
        return [socket for socket, is_wanted in wanted if is_wanted]

    def close(self) -> None:
        self.live.close(0)
        self.journal.close(0)
        self.context.term()


class _Subscribed:
    """What the two kinds of subscription share."""

    def __init__(self, core: Core, wire: _Wire, cursor: Cursor | None, timeout_s: float | None) -> None:
        self._core, self._wire, self._cursor, self._timeout_s = core, wire, cursor, timeout_s

    @property
    def skipped(self) -> int:
        """Messages that were no events."""
        return self._core.skipped

    @property
    def position(self) -> int | None:
        """The seq up to which all that is wanted has come; None: nothing was heard of the daemon yet."""
        return self._core.position

    @property
    def ended(self) -> bool:
        """With follow=False: all that the journal held has come."""
        return self._core.ended

    def close(self) -> None:
        """Disconnects. May be called twice."""
        self._wire.close()
        if self._cursor is not None:
            self._cursor.close()

    def _next(self, now_s: float) -> Received | None:
        """What is there without waiting."""
        event = self._core.take()
        if event is None:
            self._wire.pump(self._core, now_s)
            event = self._core.take()
        try:
            self._save()
        except BaseException:
            # A disk that fails, or Ctrl-C: who goes on all the same has lost nothing.
            self._core.take_back()
            raise
        if event is None or self._cursor is None:
            return event
        return replace(event, _done=partial(self._acknowledge, event))

    def _acknowledge(self, event: Received) -> None:
        self._core.acknowledge(event)
        self._save()

    def _save(self) -> None:
        settled = self._core.settled
        if self._cursor is not None and settled is not None:
            self._cursor.write(settled, self._core.handed)

    def _wait_s(self, deadline_s: float | None) -> float | None:
        """How long to wait now; None: the time is up, or nothing more comes."""
        now_s = time.monotonic()
        if self._core.ended or (deadline_s is not None and now_s >= deadline_s):
            return None
        wait_s = self._core.wait_s(now_s)
        return wait_s if deadline_s is None else min(wait_s, deadline_s - now_s)


class Subscription(_Subscribed):
    """An iterator of events, endless unless told otherwise; a with block closes it. For one thread."""

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Received]:
        return self

    def __next__(self) -> Received:
        received = self.receive(self._timeout_s)
        if received is None:
            raise StopIteration
        return received

    def receive(self, timeout_s: float | None = None) -> Received | None:
        """The next event; None if none came in time. Without a limit it waits for ever."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while (event := self._next(time.monotonic())) is None:
            wait_s = self._wait_s(deadline_s)
            if wait_s is None:
                return None
            poller = zmq.Poller()
            for socket in self._wire.watched(self._core):
                poller.register(socket, zmq.POLLIN)
            # Waiting here, not in recv, ends with Ctrl-C at once.
            poller.poll(_ms(wait_s))
        return event


class AsyncSubscription(_Subscribed):
    """As Subscription, for asyncio: async with, async for. For one task."""

    def __init__(self, core: Core, wire: _Wire, cursor: Cursor | None, timeout_s: float | None) -> None:
        super().__init__(core, wire, cursor, timeout_s)
        self._breath = 0

    async def __aenter__(self) -> AsyncSubscription:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __aiter__(self) -> AsyncIterator[Received]:
        return self

    async def __anext__(self) -> Received:
        received = await self.receive(self._timeout_s)
        if received is None:
            raise StopAsyncIteration
        return received

    async def receive(self, timeout_s: float | None = None) -> Received | None:
        """The next event; None if none came in time. Cancelling it loses nothing."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        self._breath += 1
        if self._breath % BREATH_EVENTS == 0:
            await asyncio.sleep(0)
        while (event := self._next(time.monotonic())) is None:
            wait_s = self._wait_s(deadline_s)
            if wait_s is None:
                return None
            poller = zmq.asyncio.Poller()
            for socket in self._wire.watched(self._core):
                poller.register(socket, zmq.POLLIN)
            await poller.poll(_ms(wait_s))
        return event


def subscribe(
    endpoint: str = DEFAULT_ENDPOINT,
    *,
    replay: str | None = None,
    topics: Iterable[str] = ("",),
    cursor: str | os.PathLike[str] | None = None,
    keys: str | os.PathLike[str] | None = None,
    timeout_s: float | None = None,
    since: int | str | None = None,
    follow: bool = True,
    notices: bool = False,
) -> Subscription:
    """Events whose topic begins with one of `topics`.

    replay: the daemon's [events] replay. Without it events come as they are published, from now on, and what
    is lost on the way is lost. cursor: a file that says where the last run stopped; this one goes on there.
    since: where there is no such file yet, events come after the one of this seq, or from this time on (RFC
    3339), or from now on. keys: the file that `visaged keys new` wrote. timeout_s: the iterator ends after so
    long a silence. follow=False: it ends where the journal ends. notices: what is logged otherwise comes too,
    as events of the topics client/lost/, client/back/ and client/gap/.

    The daemon may start later, go and come back. What it has in its configuration will do as an endpoint on
    its host: * is this host.
    """
    return Subscription(
        *_opened(endpoint, replay, topics, cursor, keys, since, follow=follow, notices=notices), timeout_s
    )


def subscribe_async(
    endpoint: str = DEFAULT_ENDPOINT,
    *,
    replay: str | None = None,
    topics: Iterable[str] = ("",),
    cursor: str | os.PathLike[str] | None = None,
    keys: str | os.PathLike[str] | None = None,
    timeout_s: float | None = None,
    since: int | str | None = None,
    follow: bool = True,
    notices: bool = False,
) -> AsyncSubscription:
    """As subscribe, for asyncio."""
    return AsyncSubscription(
        *_opened(endpoint, replay, topics, cursor, keys, since, follow=follow, notices=notices), timeout_s
    )


def ask(
    request: dict[str, Any],
    *,
    replay: str = DEFAULT_REPLAY,
    keys: str | os.PathLike[str] | None = None,
    timeout_s: float = ANSWER_S,
    await_daemon: bool = True,
) -> dict[str, Any]:
    """The daemon's answer to one question, such as {"op": "present"}.

    TimeoutError if none came, ValueError if it refused. await_daemon: False: NobodyListens as soon as it is
    certain that there is none, instead of waiting whether one comes.
    """
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        monitor = None if await_daemon else socket.get_monitor_socket(CONNECTING)
        _connect(socket, replay, None if keys is None else load_keys(keys))
        socket.send(json.dumps(request, ensure_ascii=False).encode())
        began_s = time.monotonic()
        if monitor is not None and _finds_nobody(socket, monitor, replay, timeout_s):
            raise NobodyListens(f"nobody listens at {replay}")
        if not socket.poll(_ms(max(0.0, timeout_s - (time.monotonic() - began_s)))):
            raise TimeoutError(f"{replay} did not answer within {timeout_s} s")
        answer = _parsed(socket.recv_multipart()[-1])
    if not isinstance(answer, dict):
        raise ValueError(f"{replay} answered with what is no object")
    if "error" in answer:
        raise ValueError(f"{replay} says: {answer['error']}")
    return answer


def _finds_nobody(
    socket: zmq.Socket[bytes], monitor: zmq.Socket[bytes], endpoint: str, timeout_s: float
) -> bool:
    """Whether the first attempt to connect was refused; no second connection is made to whoever is there."""
    try:
        if not monitor.poll(_ms(timeout_s)):
            return False
        if recv_monitor_message(monitor)["event"] != zmq.EVENT_CONNECT_RETRIED:
            return False
    finally:
        socket.disable_monitor()
        monitor.close(0)
    return not (endpoint.startswith("ipc://") and _is_crowded(endpoint.removeprefix("ipc://")))


def _is_crowded(path: str) -> bool:
    """Whether more wait at a socket already than it takes: then its owner hangs, and is there."""
    import socket  # What it needs of it is not on Windows, and neither are such paths.

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except BlockingIOError:
            return True
        except OSError:
            return False
    return True


def decode(parts: Sequence[bytes]) -> Received:
    """What a message's two parts say, three with a picture; ValueError if that is no event."""
    wanted = 3 if parts and parts[0].startswith(b"crop/") else 2
    if len(parts) != wanted:
        raise ValueError(f"{len(parts)} parts instead of {wanted}")
    event = _checked(parts[0].decode(), _parsed(parts[1]))
    return event if wanted == 2 else replace(event, picture=parts[2])


def _opened(
    endpoint: str,
    replay: str | None,
    topics: Iterable[str],
    cursor: str | os.PathLike[str] | None,
    keys: str | os.PathLike[str] | None,
    since: int | str | None,
    *,
    follow: bool,
    notices: bool,
) -> tuple[Core, _Wire, Cursor | None]:
    """The parts of a subscription; ValueError where they can't be had."""
    topics = (topics,) if isinstance(topics, str) else tuple(topics)
    if replay is None and not (cursor is None and since is None and follow):
        raise ValueError("cursor, since and follow=False need replay, the daemon's [events] replay")
    after, time_since = _begin(since)
    file = None if cursor is None else Cursor(cursor)
    try:
        if file is not None and file.position is not None:
            after, time_since = file.position, None
        core = Core(
            topics,
            names=(endpoint, replay),
            position=after,
            handed=0 if file is None else file.handed,
            since=time_since,
            follow=follow,
            notices=notices,
        )
        return core, _Wire(endpoint, replay, topics, keys), file
    except BaseException:
        if file is not None:
            file.close()
        raise


def _begin(since: int | str | None) -> tuple[int | None, str | None]:
    """A seq, or a time in UTC as events have it."""
    if since is None or isinstance(since, int):
        if since is not None and since < 0:
            raise ValueError(f"since is a seq from 0 on, or a time, not {since}")
        return since, None
    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        raise ValueError(f"since is a seq or a time such as 2026-03-01T08:30:00Z, not {since}") from None
    # A time without a zone is this host's.
    return None, _rfc3339(moment.astimezone(UTC))


def _rfc3339(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _common_stream(topics: Sequence[str]) -> str:
    """The first two parts of the topic that all of them have in common, such as face/door/; empty: none."""
    streams = {"/".join([*topic.split("/")[:2], ""]) if topic.count("/") > 1 else "" for topic in topics}
    return streams.pop() if len(streams) == 1 else ""


def _ms(wait_s: float) -> int:
    return max(0, math.ceil(wait_s * 1000))


def _answer(parts: Sequence[bytes]) -> dict[str, Any]:
    """An answer of the journal whose fields are what they have to be, its events checked; else ValueError."""
    answer = _parsed(parts[-1])
    if not isinstance(answer, dict):
        raise ValueError("an answer that is no object")
    if "error" in answer:
        retry_ms = answer.get("retry_ms", 0)
        if not isinstance(retry_ms, int | float):
            raise ValueError("an answer with a retry_ms that is none")
        return answer
    answer = {"more": False, "gap": None, "events": [], **answer}
    gap, events = answer["gap"], answer["events"]
    if (
        not _is_count(answer.get("head"))
        or not isinstance(answer["more"], bool)
        or not isinstance(events, list)
    ):
        raise ValueError("an answer without head, more or events")
    if gap is not None and not (isinstance(gap, dict) and _is_count(gap.get("oldest"))):
        raise ValueError("an answer with a gap that is none")
    if not all(isinstance(each, dict) and isinstance(each.get("topic"), str) for each in events):
        raise ValueError("an answer with events that have no topic")
    answer["events"] = [_checked(each["topic"], each.get("event")) for each in events]
    if any(event.seq is None for event in answer["events"]):
        raise ValueError("an answer with events that have no seq")
    return answer


def _parsed(text: bytes) -> object:
    try:
        return json.loads(text.decode(), parse_constant=_refuse)
    except RecursionError:
        raise ValueError("JSON nested too deep") from None


def _checked(topic: str, event: object) -> Received:
    """The event, if its fields are what the properties of Received say; else ValueError."""
    if not isinstance(event, dict) or not isinstance(event.get("data"), dict):
        raise ValueError("no object with data")
    missing = [key for key in ("id", "source", "type", "time") if not isinstance(event.get(key), str)]
    if missing:
        raise ValueError(f"no {' and '.join(missing)}")
    data = event["data"]
    if not _is_text_or_none(event.get("subject")) or not _is_text_or_none(data.get("track")):
        raise ValueError("a subject or track that is none")
    if not all(_is_person_or_none(data.get(field)) for field in ("person", "previous")):
        raise ValueError("a person that is none")
    if not all(data.get(field) is None or _is_count(data[field]) for field in ("seq", "prev")):
        raise ValueError("a seq or prev that is none")
    return Received(topic, event)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_text_or_none(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_person_or_none(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, dict) and all(isinstance(value.get(key), str) for key in ("id", "name"))


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def load_keys(path: str | os.PathLike[str]) -> dict[str, bytes]:
    """public, secret and server of the file that `visaged keys new` wrote; ValueError if it is none."""
    try:
        keys = json.loads(Path(path).read_bytes())
        pair = {name: str(keys[name]).encode("ascii") for name in ("public", "secret", "server")}
    except OSError as error:
        raise ValueError(f"{path}: the keys can't be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path} is no file that visaged keys new wrote") from None
    if any(len(key) != KEY_CHARACTERS for key in pair.values()):
        raise ValueError(f"{path} is no file that visaged keys new wrote")
    return pair


def _connect(socket: zmq.Socket[bytes], endpoint: str, pair: dict[str, bytes] | None) -> None:
    # No HEARTBEAT_IVL: with it libzmq 4.3.5 aborts a program whose queue is full (its issue 3937). TCP's
    # keepalive notices a vanished host as well.
    for option, value in (
        (zmq.RCVHWM, QUEUE_EVENTS),
        (zmq.LINGER, 0),
        (zmq.MAXMSGSIZE, PART_BYTES),
        (zmq.RECONNECT_IVL, RECONNECT_MS),
        (zmq.RECONNECT_IVL_MAX, RECONNECT_MAX_MS),
        (zmq.HANDSHAKE_IVL, HANDSHAKE_MS),
        (zmq.TCP_KEEPALIVE, 1),
        (zmq.TCP_KEEPALIVE_IDLE, KEEPALIVE_IDLE_S),
        (zmq.TCP_KEEPALIVE_INTVL, KEEPALIVE_INTERVAL_S),
        (zmq.TCP_KEEPALIVE_CNT, KEEPALIVE_COUNT),
        # Names resolve to IPv6 addresses too.
        (zmq.IPV6, 1),
    ):
        socket.set(option, value)
    try:
        if pair is not None:
            socket.curve_publickey, socket.curve_secretkey = pair["public"], pair["secret"]
            socket.curve_serverkey = pair["server"]
        socket.connect(endpoint.replace("tcp://*:", "tcp://127.0.0.1:"))
    except zmq.ZMQError as error:
        raise ValueError(f"{endpoint} can't be subscribed to: {error.strerror}") from None
