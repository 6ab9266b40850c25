"""A network camera as many webcams are: an HTTP server that sends JPEGs in a multipart stream for ever."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import cv2

from tests.daemon.capturing import numbered

PERIOD_S = 0.04
BOUNDARY = b"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"


class MjpegServer:
    """Serves pictures of rising numbers at /camera; `silent` holds them back with the connection open."""

    def __init__(
        self, port: int = 0, *, password: str | None = None, size: tuple[int, int] = (160, 120)
    ) -> None:
        self.silent = threading.Event()
        self.size = size
        self._closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self, password))
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="mjpeg server")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def url(self, user_info: str = "") -> str:
        return f"http://{user_info}127.0.0.1:{self.port}/camera"

    def pictures(self) -> Iterator[bytes]:
        """One JPEG after the other at 25 a second, until the server is closed."""
        number = 0
        while not self._closing.wait(PERIOD_S):
            if not self.silent.is_set():
                yield cv2.imencode(".jpg", numbered(number % 256, *self.size))[1].tobytes()
                number += 1


def _handler(server: MjpegServer, password: str | None) -> type[BaseHTTPRequestHandler]:
    expected = f"Basic {base64.b64encode(f'admin:{password}'.encode()).decode()}"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if password is not None and self.headers.get("Authorization") != expected:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="camera"')
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
            self.end_headers()
            try:
                for jpeg in server.pictures():
                    self.wfile.write(BOUNDARY % len(jpeg) + jpeg + b"\r\n")
            except ConnectionError:
                pass

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def free_port() -> int:
    """A port on which nothing listens."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.server_close()
    return int(server.server_address[1])


if __name__ == "__main__":
    with MjpegServer() as running:
        print(running.url(), flush=True)
        time.sleep(60)
