"""Answers monitoring over HTTP: /metrics for Prometheus, /healthz and /readyz for whoever restarts us."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from daemon.endpoint import BindRefused
from daemon.health_port import check_free_port

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from daemon.metrics import Metrics

logger = logging.getLogger(__name__)

TURN_S = 10.0
"""The main loop turns five times a second; when it has not for so long, something is stuck."""
REQUEST_S = 5.0
"""A client that is slower is hung up on, as one is answered at a time."""
POLL_S = 0.1
CLOSE_S = 0.5
"""How long a request under way may last at the end."""

Answer = tuple[str, str, bytes]


class HealthServer:
    """One thread, one request at a time; asks nothing of the daemon's other threads."""

    def __init__(self, bind: str, metrics: Metrics) -> None:
        """bind: host:port. Binds at once; raises BindRefused."""
        self._metrics = metrics
        self._turned_s = time.monotonic()
        self._ready = False
        self._pages: dict[str, Callable[[], Answer]] = {
            "/metrics": self._numbers,
            "/healthz": self._health,
            "/readyz": self._readiness,
        }
        check_free_port(bind)
        host, _, port = bind.rpartition(":")
        try:
            self._server = make_server(host.strip("[]"), int(port), self._answer, WSGIServer, _Handler)
        except OSError as error:
            raise BindRefused(f"[metrics] bind can't be {bind}: {error.strerror}") from None
        self.port = self._server.server_port
        """With the one that was found for 0."""
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(POLL_S,), name="health", daemon=True
        )
        logger.info("metrics are at http://%s:%s/metrics", host, self.port)

    def __enter__(self) -> HealthServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # It waits for a request under way, which may be one of somebody who says nothing.
        threading.Thread(target=self._server.shutdown, name="health's end", daemon=True).start()
        self._thread.join(CLOSE_S)
        self._server.server_close()

    def ready(self) -> None:
        """Gallery, models and sockets are there."""
        self._ready = True

    def turned(self) -> None:
        """The main loop has gone round and handed on its work."""
        self._turned_s = time.monotonic()

    def _answer(self, environment: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        page = self._pages.get(environment["PATH_INFO"])
        if environment["REQUEST_METHOD"] != "GET":
            answer = ("405 Method Not Allowed", "text/plain", b"GET alone is answered\n")
        elif page is None:
            answer = ("404 Not Found", "text/plain", f"there are {', '.join(self._pages)}\n".encode())
        else:
            answer = page()
        status, kind, body = answer
        start(status, [("Content-Type", f"{kind}; charset=utf-8"), ("Content-Length", str(len(body)))])
        return [body]

    def _numbers(self) -> Answer:
        return "200 OK", "text/plain; version=0.0.4", self._metrics.page()

    def _health(self) -> Answer:
        silent_s = time.monotonic() - self._turned_s
        if silent_s > TURN_S:
            return "503 Service Unavailable", "text/plain", f"stuck for {silent_s:.0f} s\n".encode()
        return "200 OK", "text/plain", b"alive\n"

    def _readiness(self) -> Answer:
        if not self._ready:
            return "503 Service Unavailable", "text/plain", b"starting\n"
        return self._health()


class _Handler(WSGIRequestHandler):
    timeout = REQUEST_S

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """A line a scrape would drown the log."""
