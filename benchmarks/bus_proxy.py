"""A TCP connection that can be cut, between a subscriber and what it subscribes to."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading

CHUNK_BYTES = 1 << 16
NO_LINGER = struct.pack("ii", 1, 0)
"""SO_LINGER: closing resets the connection, and what was on its way is lost."""


class Proxy:
    """Passes on what comes to `port` on loopback to another port, and back."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._begin()

    def cut(self) -> None:
        """Resets every connection, and takes none until it is mended."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            self._drop(connection)

    def mend(self) -> None:
        """Takes connections again."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._begin()

    def _begin(self) -> None:
        self._thread = threading.Thread(target=self._accept, name="proxy", daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target_port), timeout=5)
                far.settimeout(None)
            except OSError:
                near.close()
                continue
            with self._lock:
                self._connections |= {near, far}
            for ends in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=ends, name="proxy", daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK_BYTES):
                sink.sendall(data)
        for end in (source, sink):
            self._drop(end)

    def _drop(self, connection: socket.socket) -> None:
        with self._lock:
            if connection not in self._connections:
                return
            self._connections.remove(connection)
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            # Whoever waits in recv or sendall has to notice.
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()
