"""Hands events to subscribers over one ZeroMQ socket. Used by one thread, as ZeroMQ asks."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from types import TracebackType

import zmq

from daemon.door import Door, is_readable
from daemon.endpoint import Endpoint
from daemon.events import Event
from daemon.keys import Keyring

logger = logging.getLogger(__name__)

QUEUE_EVENTS = 20_000
"""SNDHWM, for each subscriber: 20 MB of events of 1 KB; four minutes of two faces at 20 frames/s on two
cameras."""
LINGER_MS = 200
"""While running: how long a socket that goes down with an exception may wait."""
CLOSE_LINGER_MS = 3_000
"""At an orderly end: how long events may still travel. A stopped subscriber costs all of it."""
HEARTBEAT_MS = 5_000
"""ZMTP ping to each subscriber, unless only this host reaches the socket: there the kernel tells of each
death, and a ping that a subscriber with a full queue has not read yet may abort it (docs/decisions/0051)."""
HEARTBEAT_TTL_MS = 15_000
"""What a ping asks of the subscriber: silence for so long means that we are gone, connect again."""
HEARTBEAT_TIMEOUT_MS = 3_600_000
"""For an answer. TCP gives up a vanished host long before; who does not answer stands still with its own
queue full, and cutting it off would lose what waits for it here, or abort it."""
HANDSHAKE_MS = 5_000
"""A peer that connects and does not speak ZMTP is cut off after this."""
PEER_MESSAGE_BYTES = 4_096
"""A peer sends nothing but topics to subscribe to; who sends more than this is cut off."""
PEER_QUEUE_MESSAGES = 1_000
"""RCVHWM: subscriptions of one peer that wait to be read."""
BACKLOG = 128
"""Connections waiting to be accepted."""
KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT = 60, 15, 4
"""TCP's own check: a subscriber whose host vanished is forgotten after two minutes."""
SETTLE_MS = 100
"""The topics of a peer arrive one by one, just after its handshake: so long nothing new may have come."""
STOP_POLL_MS = 100
LISTEN_S = 0.1
"""How often, while sending, what peers said is read: asking costs as much as sending an event."""

WATCHED = zmq.Event.ACCEPTED | zmq.Event.HANDSHAKE_SUCCEEDED | zmq.Event.DISCONNECTED
"""What the socket's monitor tells us."""


class Publisher:
    """A socket that any number of subscribers connect to, and that none of them can hold up."""

    def __init__(self, bind: str, *, keyring: Keyring | None = None, insecure: bool = False) -> None:
        """Binds at once; raises BindRefused where that must not or can't be.

        keyring: who may listen; None: everybody.
        """
        self.overruns = 0
        """How often a subscriber's queue became full; it lost events then, ZeroMQ does not say how many."""
        self._forget_peers()
        self._listened_s = self._news_s
        self._door = Door(
            zmq.XPUB, "bind", bind, _configure, keyring=keyring, insecure=insecure, watched=WATCHED
        )
        self.bound = self._door.bound
        """Where subscribers connect to, with the port that was found for *."""
        logger.info("events go out on %s%s", self.bound, "" if keyring is None else ", to listed keys alone")

    def __enter__(self) -> Publisher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(CLOSE_LINGER_MS if kind is None else LINGER_MS)

    def send(self, event: Event) -> None:
        """An event without a place in the journal, as tests and small tools send it."""
        self.send_parts(*event.encode(), event.picture)

    def send_parts(self, topic: bytes, body: bytes, picture: bytes | None = None) -> None:
        """Puts the message into the queue of each subscriber that asked for it; never waits."""
        if time.monotonic() - self._listened_s > LISTEN_S:
            self.listen()
        message = (topic, body) if picture is None else (topic, body, picture)
        socket = self._door.socket
        try:
            # XPUB_NODROP: a queue that has become full refuses the event for everybody: so we learn of it, …
            socket.send_multipart(message, zmq.DONTWAIT)
        except zmq.Again:
            # … and without it the event goes to all the others, the full queue being passed over from now on.
            socket.set(zmq.XPUB_NODROP, 0)
            socket.send_multipart(message, zmq.DONTWAIT)
            socket.set(zmq.XPUB_NODROP, 1)
            self.overruns += 1
            logger.warning(
                "a subscriber is too slow: its queue of %s events is full, it loses some", QUEUE_EVENTS
            )

    def await_subscribers(self, count: int, stop: threading.Event, timeout_s: float | None = None) -> bool:
        """True once `count` peers have completed the handshake and at least one subscription has arrived.

        False when `stop` was set or the time was up before.
        """
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while not stop.is_set():
            if self.has_subscribers(count):
                return True
            if deadline_s is not None and time.monotonic() >= deadline_s:
                return False
            poller = zmq.Poller()
            poller.register(self._door.socket, zmq.POLLIN)
            poller.register(self._door.monitor, zmq.POLLIN)
            poller.poll(STOP_POLL_MS)
        return False

    def has_subscribers(self, count: int) -> bool:
        """Whether now so many peers have completed the handshake and a subscription has arrived."""
        self.listen()
        settled = (time.monotonic() - self._news_s) * 1000 >= SETTLE_MS
        return self._peers >= count and bool(self._prefixes) and settled

    def refused(self) -> Counter[str]:
        """As Gate.counted."""
        return self._door.gate.counted()

    def check(self) -> None:
        """As Gate.check."""
        self._door.check()

    def finish(self, linger_ms: int = CLOSE_LINGER_MS) -> None:
        """Sends nothing more. What is queued travels on for at most this long; `close` waits for that."""
        self._door.finish(linger_ms)

    def close(self, linger_ms: int = CLOSE_LINGER_MS) -> None:
        """Lets what is queued travel for at most this long, then drops it. May be called twice."""
        self._door.close(linger_ms)

    def listen(self) -> None:
        """Reads what peers and the monitor have told since the last time, without waiting."""
        self._listened_s = time.monotonic()
        if self._door.look_after():
            self._forget_peers()
        for event, value in self._door.happened():
            self._note_peer(event, value)
        for _ in range(PEER_QUEUE_MESSAGES):
            if not is_readable(self._door.socket):
                return
            self._note_subscription(self._door.socket.recv(zmq.DONTWAIT))

    def _forget_peers(self) -> None:
        self._connections: set[int] = set()
        self._peers = 0
        self._prefixes: set[bytes] = set()
        self._news_s = time.monotonic()

    def _note_peer(self, event: zmq.Event, descriptor: int) -> None:
        if event == zmq.Event.ACCEPTED:
            self._connections.add(descriptor)
        elif event == zmq.Event.HANDSHAKE_SUCCEEDED:
            self._peers += 1
            self._news_s = time.monotonic()
        elif event == zmq.Event.DISCONNECTED:
            # ZeroMQ does not say which connection's handshake succeeded, nor of each that it failed. But what
            # stays connected beyond HANDSHAKE_MS is a peer, so this is right again after that at the latest.
            self._connections.discard(descriptor)
            self._peers = min(self._peers, len(self._connections))

    def _note_subscription(self, message: bytes) -> None:
        self._news_s = time.monotonic()
        if message[:1] == b"\x01":
            self._prefixes.add(message[1:])
        elif message[:1] == b"\x00":
            # Only told when the last one who had it is gone.
            self._prefixes.discard(message[1:])


def _configure(socket: zmq.Socket[bytes], endpoint: Endpoint) -> None:
    for option, value in (
        (zmq.SNDHWM, QUEUE_EVENTS),
        (zmq.RCVHWM, PEER_QUEUE_MESSAGES),
        (zmq.LINGER, LINGER_MS),
        (zmq.SNDTIMEO, 0),
        (zmq.XPUB_NODROP, 1),
        # Each subscription is told, also the second one for a topic: await_subscribers waits for silence.
        (zmq.XPUB_VERBOSE, 1),
        (zmq.MAXMSGSIZE, PEER_MESSAGE_BYTES),
        (zmq.HANDSHAKE_IVL, HANDSHAKE_MS),
        (zmq.HEARTBEAT_IVL, 0 if endpoint.local else HEARTBEAT_MS),
        (zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS),
        (zmq.HEARTBEAT_TTL, HEARTBEAT_TTL_MS),
        (zmq.TCP_KEEPALIVE, 1),
        (zmq.TCP_KEEPALIVE_IDLE, KEEPALIVE_IDLE_S),
        (zmq.TCP_KEEPALIVE_INTVL, KEEPALIVE_INTERVAL_S),
        (zmq.TCP_KEEPALIVE_CNT, KEEPALIVE_COUNT),
        (zmq.BACKLOG, BACKLOG),
        # With IPv6 on, ZeroMQ would bind 127.0.0.1 as ::ffff:127.0.0.1.
        (zmq.IPV6, int(endpoint.ipv6)),
    ):
        socket.set(option, value)
