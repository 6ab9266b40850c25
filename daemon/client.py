"""Subscribes to a visaged daemon. This one file needs pyzmq and nothing else: copy it into your program.

with subscribe("tcp://127.0.0.1:5556", topics=["face/door/"]) as events:
    for event in events:
        print(event.kind, event.person.name if event.person else "unknown")
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NoReturn

import zmq

logger = logging.getLogger(__name__)

DEFAULT_ENDPOINT = "tcp://127.0.0.1:5556"
QUEUE_EVENTS = 20_000
"""RCVHWM: events that may wait here for the program, about 20 MB. As many more wait in the daemon."""
EVENT_BYTES = 4 * 1024 * 1024
"""Who sends more in one part is no visaged."""
RECONNECT_MS, RECONNECT_MAX_MS = 100, 1_000
"""First and longest pause before a lost daemon is tried again; for ever."""
HANDSHAKE_MS = 5_000
"""Something accepts the connection and does not speak ZMTP: try again after this."""
KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT = 15, 5, 3
"""A host that vanished without a word is noticed after half a minute at most."""


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

    def _person(self, field: str) -> Person | None:
        person = self.data.get(field)
        return None if person is None else Person(person["id"], person["name"])


class Subscription:
    """An endless iterator of events; a with block closes it. For one thread."""

    def __init__(self, endpoint: str, topics: Iterable[str], timeout_s: float | None) -> None:
        self.skipped = 0
        """Messages that were no events."""
        self._timeout_s = timeout_s
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        try:
            _configure(self._socket)
            for topic in topics:
                self._socket.subscribe(topic)
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise ValueError(f"{endpoint} can't be subscribed to: {error.strerror}") from None
        except BaseException:
            self.close()
            raise

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
        while True:
            left_ms = None if deadline_s is None else max(0, round((deadline_s - time.monotonic()) * 1000))
            # Waiting here, not in recv, ends with Ctrl-C at once.
            if not self._socket.poll(left_ms):
                return None
            parts = self._socket.recv_multipart()
            try:
                return decode(parts)
            except ValueError as error:
                self._note_skipped(error)

    def close(self) -> None:
        """Disconnects. May be called twice."""
        self._socket.close(0)
        self._context.term()

    def _note_skipped(self, error: ValueError) -> None:
        self.skipped += 1
        # The 1st, 10th, 100th, …: a peer gone mad must not fill the log.
        if set(str(self.skipped)[1:]) <= {"0"} and str(self.skipped)[0] == "1":
            logger.warning("skipped what is no event: %s (%s so far)", error, self.skipped)


def subscribe(
    endpoint: str = DEFAULT_ENDPOINT, *, topics: Iterable[str] = ("",), timeout_s: float | None = None
) -> Subscription:
    """Events whose topic begins with one of `topics`, as they come, from now on.

    The daemon may start later, go and come back. With a timeout the iterator ends after so long a silence.
    What the daemon has in [events] bind will do on its host: * is this host.
    """
    return Subscription(
        endpoint.replace("tcp://*:", "tcp://127.0.0.1:"),
        (topics,) if isinstance(topics, str) else topics,
        timeout_s,
    )


def decode(parts: Sequence[bytes]) -> Received:
    """What a message's two parts say; ValueError if that is no event."""
    if len(parts) != 2:
        raise ValueError(f"{len(parts)} parts instead of 2")
    try:
        event = json.loads(parts[1].decode(), parse_constant=_refuse)
    except RecursionError:
        raise ValueError("JSON nested too deep") from None
    if not isinstance(event, dict) or not isinstance(event.get("data"), dict):
        raise ValueError("no object with data")
    missing = [key for key in ("id", "source", "type", "time") if not isinstance(event.get(key), str)]
    if missing:
        raise ValueError(f"no {' and '.join(missing)}")
    if not _is_text_or_none(event.get("subject")) or not _is_text_or_none(event["data"].get("track")):
        raise ValueError("a subject or track that is none")
    if not all(_is_person_or_none(event["data"].get(field)) for field in ("person", "previous")):
        raise ValueError("a person that is none")
    return Received(parts[0].decode(), event)


def _is_text_or_none(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_person_or_none(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, dict) and all(isinstance(value.get(key), str) for key in ("id", "name"))


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _configure(socket: zmq.Socket[bytes]) -> None:
    # No HEARTBEAT_IVL: with it libzmq 4.3.5 aborts a program whose queue is full (its issue 3937). TCP's
    # keepalive notices a vanished host as well.
    for option, value in (
        (zmq.RCVHWM, QUEUE_EVENTS),
        (zmq.LINGER, 0),
        (zmq.MAXMSGSIZE, EVENT_BYTES),
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
