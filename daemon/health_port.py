"""Whether [metrics] bind can be had."""

from __future__ import annotations

import socket

from daemon.endpoint import BindRefused

LAST_PORT = 65535


def check_free_port(bind: str) -> None:
    """BindRefused where it can't; bind: host:port. Nothing stays open."""
    host, _, port = bind.rpartition(":")
    host = host.strip("[]")
    if int(port) > LAST_PORT:
        raise BindRefused(f"[metrics] bind can't be {bind}: a port is {LAST_PORT} at most")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the server itself does: a port that was in use a minute ago is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise BindRefused(f"[metrics] bind can't be {bind}: {error.strerror}") from None
