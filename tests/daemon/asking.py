"""Plain ZeroMQ peers that ask the replay socket, as others would write them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import zmq

WAIT_MS = 20_000


class Asker:
    """A DEALER."""

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self.socket = socket

    def send(self, *frames: bytes) -> None:
        """One message, as it is."""
        self.socket.send_multipart(frames)

    def receive(self) -> list[bytes]:
        """The frames of the next answer; fails if none comes."""
        assert self.socket.poll(WAIT_MS), "no answer"
        return self.socket.recv_multipart()

    def ask(self, request: object = None, **fields: Any) -> dict[str, Any]:
        """A JSON request and its answer."""
        self.send(json.dumps(fields if request is None else request).encode())
        (answer,) = self.receive()
        found = json.loads(answer)
        assert isinstance(found, dict)
        return found

    def replay(self, after: int = 0, topics: Sequence[str] = ("",)) -> list[dict[str, Any]]:
        """Every envelope after a number, page by page."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.ask(op="replay", after=after, topics=list(topics))
            found += [each["event"] for each in page["events"]]
            if not page["more"]:
                return found
            after = found[-1]["data"]["seq"]


@contextmanager
def asker(endpoint: str, kind: zmq.SocketType = zmq.DEALER) -> Iterator[Asker]:
    """Connected in the background, like any."""
    with zmq.Context() as context, context.socket(kind) as socket:
        socket.set(zmq.LINGER, 0)
        socket.connect(endpoint)
        yield Asker(socket)
