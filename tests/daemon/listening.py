"""Plain ZeroMQ subscribers, as others would write them, and peers that are none."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import zmq

from daemon.publisher import Publisher

ARRIVAL_TIMEOUT_MS = 60_000
SILENCE_MS = 1_500

NULL_GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(16) + bytes(1 + 31)
READY = b"\x05READY" + b"\x0bSocket-Type" + struct.pack(">I", 3) + b"SUB"


class Listener:
    """A SUB socket that is asked what has come."""

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self.socket = socket

    def receive(self) -> tuple[str, dict[str, Any]]:
        """The next message's topic and event; fails if none comes."""
        assert self.socket.poll(ARRIVAL_TIMEOUT_MS), "nothing came"
        topic, event, *_ = self.socket.recv_multipart()
        return topic.decode(), json.loads(event)

    def count(self) -> int:
        """How many messages come until it is silent."""
        count = 0
        while self.socket.poll(SILENCE_MS):
            self.socket.recv_multipart()
            count += 1
        return count


@contextmanager
def listener(endpoint: str, *prefixes: str, queue_events: int = 0) -> Iterator[Listener]:
    """Connected in the background, like any; queue_events 0: no bound."""
    with zmq.Context() as context, context.socket(zmq.SUB) as sub:
        sub.set(zmq.LINGER, 0)
        sub.set(zmq.RCVHWM, queue_events)
        for prefix in prefixes:
            sub.subscribe(prefix)
        sub.connect(endpoint)
        yield Listener(sub)


def await_subscribers(publisher: Publisher, count: int) -> None:
    """As the service does before the cameras start."""
    assert publisher.await_subscribers(count, threading.Event(), timeout_s=60)


def connected(publisher: Publisher) -> socket.socket:
    """A bare TCP connection to the publisher."""
    port = int(publisher.bound.rpartition(":")[2])
    return socket.create_connection(("127.0.0.1", port), timeout=10)
