"""Binds a ZeroMQ socket, or says in one line why that can't be."""

from __future__ import annotations

import os

import zmq

from daemon.endpoint import BindRefused, Endpoint


def bind_socket(socket: zmq.Socket[bytes], endpoint: Endpoint, what: str, remedy: str) -> None:
    """what: the socket's name in the refusal; remedy: what to do where another process has the place."""
    # ZeroMQ makes the file of an ipc socket within bind(); 0600 from the first moment.
    mask = None if endpoint.path is None else os.umask(0o177)
    try:
        socket.bind(endpoint.uri)
    except zmq.ZMQError as error:
        if error.errno == zmq.EADDRINUSE:
            raise BindRefused(f"{endpoint.uri} is taken: is another visaged running? {remedy}") from None
        raise BindRefused(
            f"{what} can't be bound to {endpoint.uri}: {zmq.strerror(error.errno or 0)}"
        ) from None
    finally:
        if mask is not None:
            os.umask(mask)
