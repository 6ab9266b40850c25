"""A small server of events and their journal on real sockets, that loses what it is told to lose."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import zmq

from tests.daemon.bus_model import Message, ModelBus

POLL_MS = 20


@dataclass(frozen=True, slots=True)
class ServerKey:
    """A CURVE pair; whoever knows the public key gets in."""

    public: bytes
    secret: bytes


class BusServer:
    """ModelBus behind an XPUB socket, used by the test's thread, and a ROUTER in a thread of its own."""

    def __init__(self, bus: ModelBus, events: str, journal: str, key: ServerKey | None = None) -> None:
        self.bus = bus
        self.questions: list[bytes] = []
        """What was asked."""
        self._lock = threading.Lock()
        self._quit = threading.Event()
        self._context = zmq.Context()
        self._xpub = self._socket(zmq.XPUB, events, key)
        self._router = self._socket(zmq.ROUTER, journal, key)
        self.endpoint = self._xpub.get_string(zmq.LAST_ENDPOINT)
        self.journal = self._router.get_string(zmq.LAST_ENDPOINT)
        self._thread = threading.Thread(target=self._answer, name="journal")
        self._thread.start()

    def __enter__(self) -> BusServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._quit.set()
        self._thread.join()
        self._xpub.close(0)
        self._context.term()

    def store(self, topic: str, *, lost: bool = False) -> None:
        """Stores an event, and publishes it unless it is to be lost on the way."""
        with self._lock:
            message = self.bus.store(topic)
        if not lost:
            self.publish(message)

    def beat(self) -> None:
        """Publishes a heartbeat."""
        with self._lock:
            message = self.bus.heartbeat()
        self.publish(message)

    def publish(self, message: Message) -> None:
        """As it is."""
        self._xpub.send_multipart(message)

    def await_topics(self, *topics: str) -> None:
        """Until somebody has subscribed to each of them and to heartbeats."""
        missing, deadline_s = (
            {topic.encode() for topic in (*topics, "daemon/heartbeat/")},
            time.monotonic() + 20,
        )
        while missing:
            assert time.monotonic() < deadline_s, f"nobody subscribed to {missing}"
            if self._xpub.poll(100):
                missing.discard(self._xpub.recv()[1:])

    def _socket(self, kind: int, endpoint: str, key: ServerKey | None) -> zmq.Socket[bytes]:
        socket: Any = self._context.socket(kind)
        socket.set(zmq.LINGER, 0)
        if key is not None:
            socket.curve_server, socket.curve_publickey, socket.curve_secretkey = True, key.public, key.secret
        socket.bind(endpoint)
        return socket  # type: ignore[no-any-return]

    def _answer(self) -> None:
        while not self._quit.is_set():
            if self._router.poll(POLL_MS):
                peer, question = self._router.recv_multipart()
                self.questions.append(question)
                with self._lock:
                    answer = self.bus.answer(question)
                self._router.send_multipart([peer, *answer])
        self._router.close(0)


def bus_server(
    bus: ModelBus | None = None, folder: Path | None = None, key: ServerKey | None = None
) -> BusServer:
    """On free ports; with a folder, always on the same two sockets in it."""
    if folder is None:
        return BusServer(bus or ModelBus(), "tcp://127.0.0.1:*", "tcp://127.0.0.1:*", key)
    return BusServer(bus or ModelBus(), f"ipc://{folder}/events", f"ipc://{folder}/journal", key)
