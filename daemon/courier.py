"""Takes events off the pipeline's hands: has them stored, then publishes them, in a thread of its own."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from types import TracebackType

from daemon import events
from daemon.events import Event, JournalPulse, Mark
from daemon.journal import Message
from daemon.presence import Presence
from daemon.publisher import CLOSE_LINGER_MS, LINGER_MS, LISTEN_S, Publisher
from daemon.recorder import JournalFailed, Recorder
from daemon.vocabulary import JournalHealth

logger = logging.getLogger(__name__)

QUEUE_EVENTS = 10_000
"""May wait to be published, some 50 MB. Sightings and heartbeats only take the first half."""
BATCH_EVENTS = 500
"""Stored in one transaction at most."""
GROUP_S = 0.005
"""From one commit's beginning to the next, so that events that come fast share one (it costs some 3 ms)."""
STALL_S = 2.0
"""A disk that does not answer for so long has failed: the door has to open all the same."""
CLOSING_STALL_S, CLOSING_S = 0.7, 1.5
"""The same once the daemon is to end; and for all that waits then, together."""
AWAIT_POLL_S = 0.02
WAIT_SLICE_S = 0.05

HEARTBEAT = "visaged.daemon.heartbeat"
SILENT = "the disk does not answer"


class Courier:
    """Between the pipeline, which never waits for it, and disk and subscribers, which may be slow."""

    def __init__(self, publisher: Publisher, recorder: Recorder, presence: Presence) -> None:
        """Nothing is sent before the with block begins; the publisher is this one's alone from then on."""
        self._publisher = publisher
        self._recorder = recorder
        self._presence = presence
        self._queue: queue.SimpleQueue[Event | Future[bool] | None] = queue.SimpleQueue()
        self.dropped = 0
        """Events for which there was no room in the queue."""
        self._failed = False
        """Whether the last word about the journal was that it fails."""
        self._asked: Future[list[Message]] | None = None
        """What was given to the journal last."""
        self._committed_s = 0.0
        self._awaited = 0
        self._came = threading.Event()
        self._closing_s: float | None = None
        """The moment since which the daemon is to end."""
        self._linger_ms = CLOSE_LINGER_MS
        self._thread = threading.Thread(target=self._work, name="courier")

    def __enter__(self) -> Courier:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Publishes what waits; the publisher sends it on its way within its linger."""
        self._linger_ms = CLOSE_LINGER_MS if kind is None else LINGER_MS
        self._closing_s = time.monotonic()
        self._queue.put(None)
        self._thread.join()

    @property
    def overruns(self) -> int:
        """Publisher.overruns."""
        return self._publisher.overruns

    def send(self, event: Event) -> None:
        """Never waits. Where too much waits already, the event is dropped and counted."""
        room = QUEUE_EVENTS // 2 if event.passing else QUEUE_EVENTS
        if self._queue.qsize() < room:
            self._queue.put(event)
            return
        self.dropped += 1
        if self.dropped == 10 ** (len(str(self.dropped)) - 1):
            logger.error("too many events wait to be published: %s dropped so far", self.dropped)

    def passed(self) -> Future[bool]:
        """Done once everything that was sent until now is stored, where it can be, and published.

        Its result: whether what was sent just before, if it is of those that are stored, is.
        """
        mark: Future[bool] = Future()
        self._queue.put(mark)
        return mark

    def await_subscribers(self, count: int, stop: threading.Event, timeout_s: float) -> bool:
        """As Publisher.await_subscribers; for the thread that sends."""
        deadline_s = time.monotonic() + timeout_s
        self._awaited = count
        while not self._came.wait(WAIT_SLICE_S):
            self.check()
            if stop.is_set() or time.monotonic() >= deadline_s:
                return False
        return True

    def check(self) -> None:
        """Raises if a thread died of a bug, which it has told on stderr: nothing would be published."""
        self._recorder.check()
        if not self._thread.is_alive():
            raise RuntimeError("the thread that publishes died")
        self._publisher.check()

    def _work(self) -> None:
        linger_ms = LINGER_MS
        try:
            while self._deliver():
                pass
            # What the disk has taken of the time that the end may take is not there for subscribers.
            spent_ms = 0 if self._closing_s is None else round(1e3 * (time.monotonic() - self._closing_s))
            linger_ms = max(LINGER_MS, self._linger_ms - spent_ms)
        finally:
            # Both end by themselves from here on, side by side.
            self._publisher.finish(linger_ms)
            self._recorder.finish()

    def _deliver(self) -> bool:
        """Publishes what came; False after the last."""
        self._look_after_subscribers()
        try:
            first = self._queue.get(timeout=AWAIT_POLL_S if self._awaited else LISTEN_S)
        except queue.Empty:
            self._publisher.listen()
            return True
        if isinstance(first, Future):
            first.set_result(not self._failed)
            return True
        batch = [] if first is None else [first]
        if first is not None and not first.passing:
            time.sleep(max(0.0, self._committed_s + GROUP_S - time.monotonic()))
        while first is not None and len(batch) < BATCH_EVENTS and not self._queue.empty():
            first = self._queue.get()
            if isinstance(first, Future):
                break
            if first is not None:
                batch.append(first)
        self._publish(batch)
        if isinstance(first, Future):
            first.set_result(not self._failed)
        return first is not None

    def _publish(self, batch: list[Event]) -> None:
        stored = deque(self._stored([event for event in batch if not event.passing]))
        for event in batch:
            message = self._passed(event, stored) if event.passing else stored.popleft()
            # Before it is sent: who heard it and then asks who is present finds it there.
            self._presence.note(message.event, message.seq)
            self._publisher.send_parts(message.topic, message.body, event.picture)

    def _stored(self, lasting: list[Event]) -> list[Message]:
        """As they are in the journal now, or as they are published without it."""
        if not lasting:
            return []
        try:
            messages = self._store(lasting)
        except JournalFailed as failure:
            self._note_health(str(failure))
            return [self._plain(event) for event in lasting]
        self._note_health(None)
        return messages

    def _store(self, lasting: list[Event]) -> list[Message]:
        if self._is_late():
            raise JournalFailed(SILENT)
        self._committed_s = time.monotonic()
        self._asked = asked = self._recorder.store(lasting)
        while True:
            try:
                return asked.result(WAIT_SLICE_S)
            except TimeoutError:
                if time.monotonic() >= self._limit_s():
                    raise JournalFailed(SILENT) from None

    def _limit_s(self) -> float:
        """The moment until which the disk may answer."""
        limit_s = self._committed_s + STALL_S
        if self._closing_s is None:
            return limit_s
        stalled_s = max(self._committed_s, self._closing_s) + CLOSING_STALL_S
        return min(limit_s, stalled_s, self._closing_s + CLOSING_S)

    def _is_late(self) -> bool:
        return self._asked is not None and not self._asked.done()

    def _note_health(self, reason: str | None) -> None:
        """Says once that the journal fails, and in the log that it works again."""
        if reason is not None and not self._failed:
            logger.error("events are published without being stored: %s", reason)
            message = self._plain(events.daemon(events.JournalFailed(reason)))
            self._publisher.send_parts(message.topic, message.body)
        elif reason is None and self._failed:
            logger.warning("events are stored again")
        self._failed = reason is not None

    def _passed(self, event: Event, stored: Sequence[Message]) -> Message:
        """A sighting; or a heartbeat, which tells how far the journal is. stored: what is sent after it."""
        if event.type == HEARTBEAT:
            reason = SILENT if self._is_late() else self._recorder.reason
            self._note_health(reason)
            following = stored[0].seq if stored else None
            head = self._recorder.head if following is None else following - 1
            health = JournalHealth(reason is None, reason)
            pulse = JournalPulse(head, self._recorder.oldest, self.dropped, health)
            event = event.telling(events.plain(pulse))
        return self._plain(event)

    def _plain(self, event: Event) -> Message:
        """As it is published without the journal."""
        mark = Mark(None, None, self._recorder.epoch, durable=False)
        return Message(event, None, *event.encode(mark))

    def _look_after_subscribers(self) -> None:
        if self._awaited and self._publisher.has_subscribers(self._awaited):
            self._awaited = 0
            self._came.set()
