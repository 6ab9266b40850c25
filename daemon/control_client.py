"""The other end of the control socket: a running daemon's gallery, used like a gallery of one's own."""

from __future__ import annotations

import json
import math
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import zmq

from daemon import control_messages as messages
from daemon.endpoint import IPC_PATH_BYTES
from daemon.errors import UsageError
from daemon.keys import Client
from daemon.user import user_name
from gallery.consent import Changes
from gallery.people import NewReference, Person, PersonName, PersonThreshold, Reference, check_model

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gallery.decision import Decision, Rules
    from gallery.matcher import Index

ANSWER_TIMEOUT_S = 10.0
"""The slowest answer is a commit of one person's references, or a match against a large gallery."""
CONNECT_TIMEOUT_S = 2


class RemoteGallery:
    """The gallery of the daemon that listens at this socket."""

    def __init__(self, path: Path) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.REQ)
        for option, value in (
            (zmq.LINGER, 0),
            (zmq.SNDTIMEO, round(ANSWER_TIMEOUT_S * 1000)),
            (zmq.MAXMSGSIZE, messages.MOST_BYTES),
        ):
            self._socket.set(option, value)
        self._listening = path
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_RETRIED)
        self._socket.connect(f"ipc://{path}")
        try:
            hello = self.ask("hello")
        except BaseException:
            self.close()
            raise
        self.path = Path(hello["gallery"])
        """Of the file that the daemon has open."""
        self.model: str | None = hello["model"]
        """The only model whose encodings it takes."""
        self.requires_consent: bool = hello["requires_consent"]
        """Whether somebody new needs consent noted."""

    def close(self) -> None:
        """Lets go of the daemon."""
        self._socket.disable_monitor()
        self._monitor.close(0)
        self._socket.close()
        self._context.term()

    def __enter__(self) -> RemoteGallery:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def people(self) -> list[Person]:
        """As Gallery.people."""
        return [messages.to_person(each) for each in self.ask("people")]

    def person(self, name: str) -> Person:
        """As Gallery.person."""
        return messages.to_person(self.ask("person", name=name))

    def references(self, name: str) -> list[Reference]:
        """As Gallery.references."""
        return [messages.to_kept(each) for each in self.ask("references", name=name)]

    def not_references(self, name: str) -> list[Reference]:
        """As Gallery.not_references."""
        return [messages.to_kept(each) for each in self.ask("not_references", name=name)]

    def owner(self, source_digest: str) -> PersonName | None:
        """As Gallery.owner."""
        found = self.ask("owner", source_digest=source_digest)
        return None if found is None else PersonName(**found)

    def has_image(self, name: str, source_digest: str) -> bool:
        """As Gallery.has_image."""
        return bool(self.ask("has_image", name=name, source_digest=source_digest))

    def add(
        self,
        name: str,
        references: Sequence[NewReference],
        enrolled_unix_ns: int,
        terms: Changes | None = None,
    ) -> Person:
        """As Gallery.add; the daemon notes the time by its own clock, and asks for consent as it is set."""
        packed = [messages.from_reference(reference) for reference in references]
        noted = None if terms is None else dict(terms)
        return messages.to_person(self.ask("add", name=name, references=packed, terms=noted))

    def add_not(self, name: str, references: Sequence[NewReference], enrolled_unix_ns: int) -> Person:
        """As Gallery.add_not; the daemon notes the time by its own clock."""
        packed = [messages.from_reference(reference) for reference in references]
        return messages.to_person(self.ask("add_not", name=name, references=packed))

    def reject(self, track: str) -> Person:
        """Says that the face of a track is not whom it was named; who that is."""
        return messages.to_person(self.ask("reject", track=track))

    def forget(self, name: str) -> str:
        """Has somebody forgotten, and does not wait until they are gone from everywhere; their id."""
        return str(self.ask("forget", name=name)["id"])

    def rename(self, old: str, new: str) -> Person:
        """As Gallery.rename."""
        return messages.to_person(self.ask("rename", old=old, new=new))

    def thresholds(self) -> list[PersonThreshold]:
        """As Gallery.thresholds."""
        return [messages.to_threshold(each) for each in self.ask("thresholds")]

    def set_thresholds(
        self, distances: Mapping[str, float], *, model: str, fmr: float, calibrated_unix_ns: int
    ) -> None:
        """As Gallery.set_thresholds; the daemon notes the time by its own clock."""
        self.ask("set_thresholds", distances=dict(distances), model=model, fmr=fmr)

    def index(self, model: str) -> Index:
        """As Gallery.index."""
        check_model(self.model, model)
        return messages.to_index(self.ask("index"))

    def decide(self, encodings: NDArray[np.float32], rules: Rules) -> list[Decision]:
        """As Gallery.decide, on the daemon's gallery of this moment."""
        found = self.ask("decide", encodings=messages.from_array(encodings), rules=asdict(rules))
        return [messages.to_decision(each) for each in found]

    def snapshot(self, camera: str) -> bytes | None:
        """A JPEG of the newest frame the daemon has of this camera; None: it has none."""
        found = self.ask("snapshot", camera=camera)
        return None if found is None else messages.to_bytes(found["jpeg"])

    def status(self) -> dict[str, Any]:
        """How the daemon fares, as the replay socket answers to status."""
        return dict(self.ask("status"))

    def server_public(self) -> str:
        """As Keyring.server_public."""
        return str(self.ask("keys")["server"])

    def clients(self) -> list[Client]:
        """As Keyring.clients."""
        return [Client(**each) for each in self.ask("keys", only="clients")["clients"]]

    def add_key(self, name: str, public: str) -> Client:
        """As Keyring.add; the daemon notes the time by its own clock."""
        return Client(**self.ask("add_key", name=name, public=public))

    def revoke_key(self, name: str) -> Client:
        """As Keyring.revoke; the daemon notes the time by its own clock."""
        return Client(**self.ask("revoke_key", name=name))

    def ask(self, operation: str, **arguments: object) -> Any:
        """What the daemon answers to one of its operations; raises again what it refused with."""
        request = json.dumps({"op": operation, "who": user_name(), **arguments}, ensure_ascii=False)
        try:
            self._socket.send(request.encode(errors="backslashreplace"))
            self._await_answer()
            answer = json.loads(self._socket.recv(zmq.DONTWAIT))
        except zmq.Again:
            raise UsageError(
                f"the running daemon did not answer within {ANSWER_TIMEOUT_S} s; is it stopped?"
            ) from None
        if "error" in answer:
            raise messages.to_error(answer["error"])
        return answer["ok"]

    def _await_answer(self) -> None:
        """Until it is there or its time is up; UsageError as soon as nobody is there who could give it."""
        poller = zmq.Poller()
        for each in (self._socket, self._monitor):
            poller.register(each, zmq.POLLIN)
        deadline_s = time.monotonic() + ANSWER_TIMEOUT_S
        while (left_s := deadline_s - time.monotonic()) > 0:
            ready = dict(poller.poll(math.ceil(left_s * 1000)))
            if self._socket in ready:
                return
            if self._monitor in ready:
                self._monitor.recv_multipart()
                if not is_running(self._listening) and not self._socket.poll(0):
                    raise UsageError("the running daemon ended before it answered: look what it has done")


def is_running(path: Path) -> bool:
    """Whether a daemon listens at this control socket; UsageError if we are not allowed to know."""
    if len(bytes(path)) > IPC_PATH_BYTES:
        # No daemon can be bound there; the gallery in the same folder is as good as any.
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(CONNECT_TIMEOUT_S)
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except BlockingIOError:
            # So many wait for it already that it must hang; but it is there.
            return True
        except OSError as error:
            raise UsageError(f"{path}: the daemon's control socket can't be used: {error.strerror}") from None
    return True
