"""A socket as others find it: bound behind the gate, watched, and bound again where a key is revoked."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator

import zmq
import zmq.utils.monitor

from daemon.binding import bind_socket
from daemon.claim import claim
from daemon.endpoint import BindRefused, Endpoint, check_bind
from daemon.keys import Keyring
from daemon.security import REFUSED, Gate

logger = logging.getLogger(__name__)

NAMES = {"bind": "events", "replay": "replay"}
"""A key of [events], and what the log calls its socket."""
REMEDIES = {
    "bind": "[events] bind sets another port",
    "replay": '[events] replay sets another port, or "off"',
}
LOOK_S = 1.0
"""How often it is asked whether somebody's key was revoked."""
LINGER_MS = 200
"""How long what is queued may still travel where the socket is bound again."""
AGAIN_S = 1.0
"""How long the place may take to become free then: libzmq closes sockets in the background."""

Configure = Callable[[zmq.Socket[bytes], Endpoint], None]
"""Sets a new socket's options."""


class Door:
    """One bound socket. For one thread at a time."""

    def __init__(
        self,
        kind: zmq.SocketType,
        key: str,
        bind: str,
        configure: Configure,
        *,
        keyring: Keyring | None = None,
        insecure: bool = False,
        watched: zmq.Event = REFUSED,
    ) -> None:
        """Binds at once; BindRefused where that must not or can't be.

        key: of [events], that says `bind`. keyring: who may come in; None: everybody. watched: what else
        `happened` tells of.
        """
        self.endpoint = check_bind(bind, insecure, key=key, curve=keyring is not None)
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.gate = Gate(self.context, keyring)
        self._kind, self._key, self._configure = kind, key, configure
        self._watched = watched | REFUSED
        self._removals = 0 if keyring is None else keyring.removals()
        self._looked_s = time.monotonic()
        self._is_bound = self._is_stolen = False
        self._claim = None if self.endpoint.path is None else claim(self.endpoint.path)
        try:
            self.gate.__enter__()
            self._make()
            self._bind(self.endpoint)
        except BaseException:
            self.close(0)
            raise
        self.bound = self.socket.get_string(zmq.LAST_ENDPOINT)
        """Where others connect to, with the port that was found for *."""

    def happened(self) -> Iterator[tuple[zmq.Event, int]]:
        """What the monitor told since the last time, refusals being counted; never waits."""
        while is_readable(self.monitor):
            message = zmq.utils.monitor.recv_monitor_message(self.monitor, zmq.DONTWAIT)
            event, value = zmq.Event(message["event"]), int(message["value"])
            self.gate.note(NAMES[self._key], event, value)
            yield event, value

    def look_after(self) -> bool:
        """To be called often. True: a key was revoked, so this is another socket, to which all come anew."""
        now_s = time.monotonic()
        if now_s - self._looked_s < LOOK_S:
            return False
        self._looked_s = now_s
        self._look_whether_stolen()
        removals = 0 if self.gate.keyring is None else self.gate.keyring.removals()
        if removals == self._removals:
            if not self._is_bound:
                self._bind_again()
            return False
        self._removals = removals
        logger.info("%s: a key was revoked, everybody has to come in again", NAMES[self._key])
        self._shut(LINGER_MS)
        self._make()
        self._bind_again()
        return True

    def check(self) -> None:
        """As Gate.check."""
        self.gate.check()

    def finish(self, linger_ms: int) -> None:
        """What is queued travels on for at most so long; `close` waits for that. May be called twice."""
        if self._claim is not None:
            self._claim.release()
        if hasattr(self, "socket") and not self.socket.closed:
            self._shut(linger_ms)
        self.gate.close()

    def close(self, linger_ms: int) -> None:
        """Lets what is queued travel for at most this long, then drops it. May be called twice."""
        self.finish(linger_ms)
        self.context.term()

    def _make(self) -> None:
        self.socket = self.context.socket(self._kind)
        self.monitor = self.context.socket(zmq.PAIR)
        self._is_bound = False
        self._configure(self.socket, self.endpoint)
        self.gate.admit(self.socket, NAMES[self._key])
        # A queue without bound: were it ever full, ZeroMQ's own thread would wait for us to read.
        self.monitor.set(zmq.RCVHWM, 0)
        address = f"inproc://monitor-{id(self.socket)}"
        self.socket.monitor(address, self._watched)
        self.monitor.connect(address)

    def _bind(self, endpoint: Endpoint) -> None:
        bind_socket(self.socket, endpoint, NAMES[self._key], REMEDIES[self._key])
        self._is_bound, self._is_stolen = True, False
        if self._claim is not None:
            self._claim.bound()

    def _bind_again(self) -> None:
        """Where it was bound before, as soon as that is free; else at one of the next looks."""
        deadline_s = time.monotonic() + AGAIN_S
        while True:
            try:
                return self._bind(self._same_place())
            except BindRefused as refused:
                if time.monotonic() >= deadline_s:
                    logger.error("%s: not bound again yet: %s", NAMES[self._key], refused)
                    return None
                time.sleep(0.01)

    def _same_place(self) -> Endpoint:
        """With the port that was found, where any was asked for."""
        if self.endpoint.path is not None:
            return self.endpoint
        place, port = self.endpoint.uri.rpartition(":")[0], self.bound.rpartition(":")[2]
        return Endpoint(f"{place}:{port}", self.endpoint.ipv6, self.endpoint.local, None)

    def _look_whether_stolen(self) -> None:
        if self._claim is not None and self._claim.is_stolen() and not self._is_stolen:
            self._is_stolen = True
            logger.error(
                "%s: another program took the place of %s: nobody who connects reaches us; "
                "end it, and start visaged anew",
                NAMES[self._key],
                self._claim.path,
            )

    def _shut(self, linger_ms: int) -> None:
        self.socket.disable_monitor()
        self.monitor.close(0)
        self.socket.close(linger_ms)


def is_readable(socket: zmq.Socket[bytes]) -> bool:
    """Whether something waits to be received."""
    return bool(int(socket.get(zmq.EVENTS)) & zmq.POLLIN)
