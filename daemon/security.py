"""Who may connect to our sockets: CURVE, with a ZAP handler that lets listed keys in and nobody else."""

from __future__ import annotations

import errno
import logging
import threading
from collections import Counter
from types import TracebackType

import zmq
from zmq.auth.thread import ThreadAuthenticator
from zmq.utils import z85

from daemon.keys import Keyring

logger = logging.getLogger(__name__)

REFUSED = (
    zmq.Event.HANDSHAKE_FAILED_PROTOCOL
    | zmq.Event.HANDSHAKE_FAILED_AUTH
    | zmq.Event.HANDSHAKE_FAILED_NO_DETAIL
)
"""What a socket's monitor has to watch for Gate.note; a socket has but one monitor, its owner's."""

WORDS = {
    "unknown_key": "a key that is not listed",
    "revoked_key": "a key that was revoked",
    "not_encrypted": "a peer that does not encrypt",
    "undecipherable": "what does not fit our key: another daemon's public key, or a recording played again",
    "malformed": "what is no handshake",
    "silent": "a peer that said nothing",
    "broken_off": "a peer that hung up within the handshake, as one that does not encrypt may",
    "no_answer": "a peer, because nobody was there to ask",
}
"""Reasons, as they are counted, and what the log says of them."""

MECHANISM_MISMATCH = int(zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)
CRYPTOGRAPHIC = int(zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC)


class Gate:
    """The ZAP handler of one context; without a keyring everybody comes in, as ZeroMQ does it."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], keyring: Keyring | None) -> None:
        self.keyring = keyring
        """None: no CURVE."""
        self.refusals: Counter[str] = Counter()
        """Handshakes that failed so far, by a key of WORDS."""
        self._told: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()
        self._handler = None if keyring is None else _Handler(context, keyring, self)

    def __enter__(self) -> Gate:
        """Before a socket is bound: until then nobody gets in."""
        if self._handler is not None:
            self._handler.start()
            self._handler.thread.name = "zap"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the thread; before the context is ended. May be called twice."""
        if self._handler is not None:
            self._handler.stop()

    def check(self) -> None:
        """Raises if the thread died of a bug, which it has told on stderr: nobody new could come in."""
        if self._handler is not None and not self._handler.is_alive():
            raise RuntimeError("the thread that asks for keys died")

    def admit(self, socket: zmq.Socket[bytes], name: str) -> None:
        """Has the socket ask for keys; to be called before it is bound. name: as the log calls it."""
        if self.keyring is None:
            return
        socket.curve_server = True
        socket.curve_secretkey = self.keyring.server.secret.encode()
        socket.zap_domain = name.encode()
        # Without these, libzmq lets everybody in where no handler answers.
        socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)

    def note(self, name: str, event: zmq.Event, value: int) -> None:
        """Counts what a socket's monitor told; events that are no refusals are passed over."""
        if event == zmq.Event.HANDSHAKE_FAILED_PROTOCOL:
            reasons = {MECHANISM_MISMATCH: "not_encrypted", CRYPTOGRAPHIC: "undecipherable"}
            self.refuse(name, reasons.get(value, "malformed"))
        elif event == zmq.Event.HANDSHAKE_FAILED_NO_DETAIL:
            reasons = {errno.EAGAIN: "silent", errno.EFAULT: "no_answer"}
            self.refuse(name, reasons.get(value, "broken_off"))
        # HANDSHAKE_FAILED_AUTH follows what the handler refused, and counted with its reason.

    def counted(self) -> Counter[str]:
        """Refusals so far, for any thread."""
        with self._lock:
            return self.refusals.copy()

    def refuse(self, name: str, reason: str, whose: str = "", where: str = "") -> None:
        """Counts; tells the 1st, 10th, 100th … of each reason, and of each owner of a revoked key."""
        with self._lock:
            self.refusals[reason] += 1
            self._told[reason, whose] += 1
            count = self._told[reason, whose]
        if count == 10 ** (len(str(count)) - 1):
            words = WORDS[reason] + (f" ({whose})" if whose else "") + (f" from {where}" if where else "")
            logger.warning("%s: refused %s (%s, %s so far)", name, words, reason, count)


class _Handler(ThreadAuthenticator):
    """pyzmq's, asking our keyring."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], keyring: Keyring, gate: Gate) -> None:
        super().__init__(context)
        self._keyring = keyring
        self._gate = gate
        self._address = ""

    async def handle_zap_message(self, msg: list[bytes]) -> None:
        """Notes who asks; one question is answered before the next is read."""
        self._address = msg[3].decode("ascii", "replace") if len(msg) > 3 else ""
        domain = msg[2].decode("ascii", "replace") if len(msg) > 2 else ""
        if domain not in self.credentials_providers:
            self.configure_curve_callback(domain, self)
        await super().handle_zap_message(msg)

    def callback(self, domain: str, key: bytes) -> bool:
        """Whether this public key (Z85) is let in."""
        client = self._keyring.find(key.decode("ascii"))
        if client is None:
            self._gate.refuse(domain, "unknown_key", where=self._address)
            return False
        if client.revoked_unix_ns is not None:
            self._gate.refuse(domain, "revoked_key", client.name, self._address)
            return False
        return True

    def curve_user_id(self, client_public_key: bytes) -> str:
        """The client's name: a message's "User-Id"."""
        client = self._keyring.find(z85.encode(client_public_key).decode("ascii"))
        return "" if client is None else client.name
