"""Somebody on the wire: passes bytes on between two programs, and keeps what the first one sent."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

CHUNK_BYTES = 65_536
POLL_S = 0.05


class Tap:
    """Listens on a port of its own and passes one connection after the other on to another port."""

    def __init__(self, port: int) -> None:
        self.sent: list[bytes] = []
        """What the client sent, in the pieces in which it came."""
        self.answered = b""
        """What the server sent."""
        self._port = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._server: socket.socket | None = None
        self._quit = threading.Event()
        self._thread = threading.Thread(target=self._pass_on, name="tap")
        self._thread.start()

    @property
    def endpoint(self) -> str:
        """Where the client has to connect."""
        return f"tcp://127.0.0.1:{self.port}"

    def inject(self, content: bytes) -> None:
        """Sends this to the server as if the client had."""
        assert self._server is not None
        self._server.sendall(content)

    def close(self) -> None:
        self._quit.set()
        self._thread.join()
        self._listening.close()

    def _pass_on(self) -> None:
        while not self._quit.is_set():
            if not select.select([self._listening], [], [], POLL_S)[0]:
                continue
            client, _ = self._listening.accept()
            with client, socket.create_connection(("127.0.0.1", self._port)) as server:
                self._server = server
                while not self._quit.is_set() and self._pass(client, server):
                    pass

    def _pass(self, client: socket.socket, server: socket.socket) -> bool:
        """False when one of them is gone."""
        for source in select.select([client, server], [], [], POLL_S)[0]:
            try:
                content = source.recv(CHUNK_BYTES)
                # Kept first: who has got it may look for it here.
                if source is client:
                    self.sent += [content] if content else []
                else:
                    self.answered += content
                (server if source is client else client).sendall(content)
            except OSError:
                return False
            if not content:
                return False
        return True


@contextmanager
def tapped(port: int) -> Iterator[Tap]:
    """A tap before the program that listens on this port of this host."""
    tap = Tap(port)
    try:
        yield tap
    finally:
        tap.close()
