"""The running daemon's control socket: whatever changes something comes in here and nowhere else."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

import zmq

from daemon import answer_desk, care_desk, carry_desk, forgetting_desk, life_desk, reencoding_desk
from daemon import control_messages as messages
from daemon.claim import claim
from daemon.control_messages import Json
from daemon.endpoint import BindRefused, check_bind
from daemon.errors import UsageError
from daemon.forgetter import Forgetter
from daemon.keys import Keyring, listed
from daemon.memory import Named
from daemon.studio import Studio
from gallery.decision import decide
from gallery.encryption import Key
from gallery.errors import GalleryError
from gallery.matcher import Index
from gallery.people import NewReference, Reference
from gallery.store import Gallery

logger = logging.getLogger(__name__)

POLL_MS = 100
"""How soon a stop is noticed."""
CLOSE_S = 1.0
"""How long a request under way may last at the end; a disk that hangs is left alone."""


class NotUnderstood(ValueError):
    """A request that is none of ours; the text says what would be right."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a client has to know before it changes something."""

    version: str
    """Of visaged."""
    gallery: str
    """Path of the gallery's file."""
    model: str
    """The only model whose encodings are taken."""
    state_dir: str
    """Path of the folder that holds the keys."""
    requires_consent: bool = False
    """Whether somebody new needs consent noted."""
    journal: str = ""
    """Path of the journal's file."""


@dataclass(frozen=True, slots=True)
class Live:
    """What the running daemon knows of this moment; all are called from the control socket's thread."""

    snapshot: Callable[[str], bytes | None]
    """A JPEG of a camera's newest frame; None: there is none."""
    named: Callable[[str], Named | None]
    """Whom a track was named, by its id; None: nobody, or too long ago."""
    status: Callable[[], Json]
    """As the replay socket's answer to status."""
    studio: Studio | None = None
    """Sittings and strangers; None: there are none to be had."""
    forgetter: Forgetter | None = None
    """Forgets beyond the gallery; None: what is begun is left to the next who does."""


class ControlServer:
    """Answers one request at a time in a thread of its own, with its own connection to the gallery."""

    def __init__(self, path: Path, facts: Facts, live: Live, key: Key | None = None) -> None:
        """Binds at once. key: the gallery's; None: it is not encrypted."""
        endpoint = check_bind(f"ipc://{path}")
        self._claim = claim(path)
        self._is_stolen = False
        self._facts = facts
        self._live = live
        self._key = key
        self._stop = threading.Event()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.REP)
        self._socket.set(zmq.MAXMSGSIZE, messages.MOST_BYTES)
        self._socket.set(zmq.LINGER, 0)
        mask = os.umask(0o177)
        try:
            self._socket.bind(endpoint.uri)
        except zmq.ZMQError as error:
            self._socket.close()
            self._context.term()
            self._claim.release()
            raise BindRefused(f"{endpoint.uri} can't be bound: {zmq.strerror(error.errno or 0)}") from None
        finally:
            os.umask(mask)
        self._claim.bound()
        self._thread = threading.Thread(target=self._serve, name="control", daemon=True)

    def __enter__(self) -> ControlServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            logger.error("the gallery's disk does not answer; the control socket is left as it is")
            self._claim.release()
            return
        self._socket.close()
        self._context.term()
        self._claim.release()

    def check(self) -> None:
        """Raises if the thread died of a bug, which it has told on stderr: a daemon without it would lie."""
        if not self._thread.is_alive():
            raise RuntimeError("the thread of the control socket died")
        if self._claim.is_stolen() and not self._is_stolen:
            self._is_stolen = True
            logger.error("another program took the place of %s: commands don't reach us", self._claim.path)

    def _serve(self) -> None:
        # SQLite's connections belong to the thread that opened them.
        with Gallery.open(Path(self._facts.gallery), key=self._key) as gallery:
            gallery.requires_consent = self._facts.requires_consent
            desk = Desk(gallery, self._facts, self._live)
            while not self._stop.is_set():
                if self._socket.poll(POLL_MS):
                    self._socket.send(desk.answer(self._socket.recv()))


class Desk:
    """The operations, without the socket."""

    def __init__(self, gallery: Gallery, facts: Facts, live: Live) -> None:
        self._gallery = gallery
        self._facts = facts
        self._live = live
        self._index = gallery.index(facts.model)
        self._operations: dict[str, Callable[[Json], object]] = {
            "hello": lambda request: asdict(facts),
            "people": lambda request: [asdict(person) for person in gallery.people()],
            "person": lambda request: asdict(gallery.person(str(request["name"]))),
            "references": lambda request: self._kept(gallery.references, request),
            "not_references": lambda request: self._kept(gallery.not_references, request),
            "owner": self._owner,
            "has_image": self._has_image,
            "add": self._add,
            "add_not": self._add_not,
            "reject": self._reject,
            "rename": self._rename,
            "thresholds": lambda request: [asdict(each) for each in gallery.thresholds()],
            "set_thresholds": self._set_thresholds,
            "index": lambda request: messages.from_index(self._newest()),
            "decide": self._decide,
            "snapshot": self._picture,
            "status": lambda request: live.status(),
            "keys": self._told_keys,
            "add_key": self._add_key,
            "revoke_key": self._revoke_key,
            **care_desk.operations(gallery),
            **forgetting_desk.operations(gallery, live.forgetter),
            **reencoding_desk.operations(gallery),
            **carry_desk.operations(
                gallery,
                facts.state_dir,
                facts.journal,
                facts.model,
                requires_consent=facts.requires_consent,
            ),
            **({} if live.studio is None else life_desk.operations(gallery, facts.model, live.studio)),
            **answer_desk.operations(gallery, Path(facts.journal)),
        }

    def answer(self, request: bytes) -> bytes:
        """One JSON document: {"ok": what was asked for} or {"error": {kind, text, fields}}."""
        try:
            answer = {"ok": self._do(request)}
        except (GalleryError, UsageError) as error:
            answer = {"error": messages.from_error(error)}
        except OSError as error:
            # Such as a disk that is full: whoever asked is told, and all others are answered as before.
            text = f"{error.filename or 'a file'} can't be read or written: {error.strerror or error}"
            answer = {"error": messages.from_error(GalleryError(text))}
        except (NotUnderstood, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
            # Whoever can open the socket may say anything; only the gallery's own state is our fault.
            text = f"request not understood: {type(error).__name__}: {error}"
            answer = {"error": {"kind": "GalleryError", "text": text, "fields": {}}}
        # What is no text, such as half a character in a file's name, goes as JSON's escape.
        return json.dumps(answer, ensure_ascii=False, allow_nan=False).encode(errors="backslashreplace")

    def _do(self, request: bytes) -> object:
        message = json.loads(request)
        if not isinstance(message, dict) or message.get("op") not in self._operations:
            raise NotUnderstood(f"op must be one of {', '.join(self._operations)}")
        self._gallery.who = str(message.get("who", ""))
        return self._operations[message["op"]](message)

    def _owner(self, request: Json) -> object:
        found = self._gallery.owner(str(request["source_digest"]))
        return None if found is None else asdict(found)

    def _kept(self, read: Callable[[str], list[Reference]], request: Json) -> object:
        return [messages.from_kept(reference) for reference in read(str(request["name"]))]

    def _has_image(self, request: Json) -> object:
        return self._gallery.has_image(str(request["name"]), str(request["source_digest"]))

    def _add(self, request: Json) -> object:
        references = [messages.to_reference(each) for each in request["references"]]
        terms = answer_desk.to_changes(request.get("terms"))
        person = self._gallery.add(str(request["name"]), references, time.time_ns(), terms)
        logger.info("enrolled %s new references of person %s", len(references), person.id)
        return asdict(person)

    def _add_not(self, request: Json) -> object:
        references = [messages.to_reference(each) for each in request["references"]]
        person = self._gallery.add_not(str(request["name"]), references, time.time_ns())
        logger.info("noted %s faces that person %s is not", len(references), person.id)
        return asdict(person)

    def _reject(self, request: Json) -> object:
        track = str(request["track"])
        named = self._live.named(track)
        if named is None:
            raise GalleryError(f"{track}: no such track was named lately; events carry it in data.track")
        # By id: the name may have become another, or another person's.
        names = {person.id: person.name for person in self._gallery.people()}
        if named.person.id not in names:
            raise GalleryError(f"{track}: {named.person.name}, who it was named, is not enrolled any more")
        digest = hashlib.sha256(named.encoding.tobytes()).hexdigest()
        # As sure as can be: somebody said so.
        reference = NewReference(named.encoding, self._facts.model, digest, f"track {track}", 1.0)
        person = self._gallery.add_not(names[named.person.id], [reference], time.time_ns())
        logger.info("track %s is not person %s, somebody said", track, person.id)
        return asdict(person)

    def _rename(self, request: Json) -> object:
        return asdict(self._gallery.rename(str(request["old"]), str(request["new"])))

    def _set_thresholds(self, request: Json) -> object:
        distances = {str(key): float(distance) for key, distance in dict(request["distances"]).items()}
        self._gallery.set_thresholds(
            distances,
            model=str(request["model"]),
            fmr=float(request["fmr"]),
            calibrated_unix_ns=time.time_ns(),
        )
        logger.info("%s people have thresholds of their own", len(distances))
        return None

    def _decide(self, request: Json) -> object:
        faces, rules = messages.to_array(request["encodings"]), messages.to_rules(request["rules"])
        return [asdict(each) for each in decide(self._newest(), faces, rules)]

    def _newest(self) -> Index:
        if self._gallery.changed():
            self._index = self._gallery.index(self._facts.model)
        return self._index

    def _told_keys(self, request: Json) -> object:
        if request.get("only") == "clients":
            # The daemon's pair is made by what needs it.
            return {"clients": [asdict(client) for client in listed(Path(self._facts.state_dir))]}
        keyring = self._keyring()
        return {
            "server": keyring.server_public,
            "clients": [asdict(client) for client in keyring.clients()],
        }

    def _add_key(self, request: Json) -> object:
        client = self._keyring().add(str(request["name"]), str(request["public"]), time.time_ns())
        logger.info("%s has a key from now on", client.name)
        return asdict(client)

    def _revoke_key(self, request: Json) -> object:
        client = self._keyring().revoke(str(request["name"]), time.time_ns())
        logger.info("the key of %s is revoked", client.name)
        return asdict(client)

    def _keyring(self) -> Keyring:
        # As it is in the files: the sockets' own follow those.
        return Keyring.load(Path(self._facts.state_dir))

    def _picture(self, request: Json) -> object:
        jpeg = self._live.snapshot(str(request["camera"]))
        return None if jpeg is None else {"jpeg": messages.from_bytes(jpeg)}
