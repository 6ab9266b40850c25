"""The replay socket: gives again what a subscriber missed, in a thread of its own. It changes nothing."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from types import TracebackType

import zmq

from daemon.allowance import Allowance
from daemon.door import Door
from daemon.endpoint import Endpoint
from daemon.keys import Keyring
from daemon.presence import Presence
from daemon.recorder import Recorder
from daemon.replay_desk import ReplayDesk

logger = logging.getLogger(__name__)

POLL_MS = 100
"""How soon a stop is noticed."""
FRAME_BYTES = 64 << 10
"""Who sends more in one frame is cut off by ZeroMQ; less, but more than a request, gets an error."""
PEER_ANSWERS = 32
"""SNDHWM: of a peer that does not read them; more are dropped. 8 MB a peer."""
PEER_REQUESTS = 32
"""RCVHWM: of one peer that wait to be read; then TCP makes it wait."""
HANDSHAKE_MS = 5_000
BACKLOG = 128
PEER_PER_S, PEER_BURST = 200.0, 400.0
"""What one peer may ask for: a small answer costs 1."""
COST_BYTES = 64 << 10
"""So much of an answer costs 1 more: whole pages come at some 40 a second, after the first 80."""
ALL_PER_S, ALL_BURST = 500.0, 1_000.0
"""What all peers may together, so that one that connects ever anew gains little. Who comes then waits."""
PEERS = 1_000
"""Of whom it is known how much they asked for."""
CLOSE_S = 0.5
"""How long the end of the thread is waited for; a disk that hangs is left alone."""


class ReplayServer:
    """Answers one request at a time, with its own connection to the journal."""

    def __init__(
        self,
        bind: str,
        recorder: Recorder,
        presence: Presence,
        *,
        keyring: Keyring | None = None,
        insecure: bool = False,
    ) -> None:
        """Binds at once; raises BindRefused where that must not or can't be.

        keyring: who may ask; None: everybody.
        """
        self._desk = ReplayDesk(recorder, presence)
        self._allowance = Allowance(PEER_PER_S, PEER_BURST, PEERS)
        self._together = Allowance(ALL_PER_S, ALL_BURST, 1)
        self._stop = threading.Event()
        self._door = Door(zmq.ROUTER, "replay", bind, _configure, keyring=keyring, insecure=insecure)
        self.bound = self._door.bound
        """Where subscribers connect to, with the port that was found for *."""
        self._thread = threading.Thread(target=self._serve, name="replay", daemon=True)
        logger.info("missed events are given again on %s", self.bound)

    def __enter__(self) -> ReplayServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            logger.error("the disk does not answer; the replay socket is left as it is")
            self._door.gate.close()
            return
        self._door.close(0)

    def refused(self) -> Counter[str]:
        """As Gate.counted."""
        return self._door.gate.counted()

    def check(self) -> None:
        """Raises if a thread died of a bug, which it has told on stderr."""
        self._door.check()
        if not self._thread.is_alive():
            raise RuntimeError("the thread of the replay socket died")

    def _serve(self) -> None:
        try:
            while not self._stop.is_set():
                self._door.look_after()
                for _ in self._door.happened():
                    pass
                if self._door.socket.poll(POLL_MS):
                    self._answer(self._door.socket.recv_multipart())
        finally:
            self._desk.close()

    def _answer(self, frames: list[bytes]) -> None:
        """REQ puts an empty frame before its request, and wants one before the answer; DEALER does not."""
        peer, *rest = frames
        envelope = [peer, b""] if len(rest) > 1 and rest[0] == b"" else [peer]
        request = rest[-1] if len(rest) == len(envelope) else b""
        answer = self._allowed(peer, request)
        # To a peer that is gone, or reads nothing, it is dropped.
        self._door.socket.send_multipart([*envelope, answer])

    def _allowed(self, peer: bytes, request: bytes) -> bytes:
        now_s = time.monotonic()
        # Everybody waits where all together ask too much: that also slows down who only floods us.
        self._stop.wait(self._together.wait_s(b"", now_s))
        self._together.take(b"", 1, now_s)
        wait_s = self._allowance.wait_s(peer, now_s)
        if wait_s > 0:
            return self._desk.refuse(request, error="slow down", retry_ms=round(wait_s * 1000) + 1)
        answer = self._desk.answer(request)
        cost = len(answer) / COST_BYTES
        self._allowance.take(peer, 1 + cost, now_s)
        self._together.take(b"", cost, now_s)
        return answer


def _configure(socket: zmq.Socket[bytes], endpoint: Endpoint) -> None:
    for option, value in (
        (zmq.MAXMSGSIZE, FRAME_BYTES),
        (zmq.SNDHWM, PEER_ANSWERS),
        (zmq.RCVHWM, PEER_REQUESTS),
        (zmq.LINGER, 0),
        (zmq.HANDSHAKE_IVL, HANDSHAKE_MS),
        (zmq.BACKLOG, BACKLOG),
        (zmq.IPV6, int(endpoint.ipv6)),
    ):
        socket.set(option, value)
