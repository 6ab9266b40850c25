"""Whose programs may listen: the daemon's CURVE key pair and its clients' public keys, as files."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import zmq

from daemon import private_file
from daemon.errors import UsageError

logger = logging.getLogger(__name__)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
KEY = re.compile(r"[0-9A-Za-z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
"""32 bytes in Z85."""


class KeysUnusable(UsageError):
    """Keys that are not there, damaged, or readable by others; the text says what to do."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A CURVE key pair, Z85."""

    public: str
    """May be known to anybody."""
    secret: str = field(repr=False)
    """Nobody else's: never in a log, an event or an argument of a process."""


@dataclass(frozen=True, slots=True)
class Client:
    """A program that was given a key."""

    name: str
    """Chosen with `visaged keys new`."""
    public: str
    """Z85."""
    added_unix_ns: int
    """When it was let in."""
    revoked_unix_ns: int | None = None
    """When that ended; None: it is let in."""


class Keyring:
    """The keys of one state folder, as they are on the disk at this moment. For any thread."""

    def __init__(self, folder: Path, server: KeyPair) -> None:
        self.folder = folder
        """Where the files lie."""
        self.server = server
        """The daemon's own pair."""
        self._file = folder / "clients.json"
        self._lock = threading.Lock()
        self._clients: tuple[Client, ...] = ()
        self._seen: tuple[int, ...] | None = None
        self._removals = 0
        self._failed = False

    @classmethod
    def load(cls, state_dir: Path) -> Keyring:
        """Makes folder and server's pair where there are none; KeysUnusable where they can't be used."""
        folder = state_dir / "keys"
        try:
            private_file.make_folder(folder)
            folder.chmod(private_file.FOLDER_MODE)
            with private_file.locked(folder / ".lock"):
                keyring = cls(folder, _server_pair(folder / "server.json"))
                keyring._read()
        except OSError as error:
            raise KeysUnusable(f"{folder}: the keys can't be used: {error.strerror}") from None
        return keyring

    @property
    def server_public(self) -> str:
        """By which clients know the daemon."""
        return self.server.public

    def clients(self) -> list[Client]:
        """Everybody who ever got a key, the first one first."""
        with self._lock:
            self._refresh()
            return list(self._clients)

    def find(self, public: str) -> Client | None:
        """Whose key this is, revoked or not; None: nobody's."""
        with self._lock:
            self._refresh()
            return next((client for client in self._clients if client.public == public), None)

    def removals(self) -> int:
        """Rises when somebody who was let in is no longer: then sockets have to be bound again."""
        with self._lock:
            self._refresh()
            return self._removals

    def add(self, name: str, public: str, unix_ns: int) -> Client:
        """Lets the owner of this key in from now on; UsageError where the name is taken or no name."""
        check_name(name)
        if not KEY.fullmatch(public):
            raise UsageError("a public key has 40 characters of Z85")
        with self._changing() as clients:
            if any(client.name == name and client.revoked_unix_ns is None for client in clients):
                raise UsageError(
                    f"{name} has a key already: choose another name, or first: visaged keys revoke {name}"
                )
            if any(client.public == public for client in clients):
                raise UsageError("this key was given away before: make a new one")
            added = Client(name, public, unix_ns)
            clients.append(added)
        return added

    def revoke(self, name: str, unix_ns: int) -> Client:
        """Lets nobody in by that name's key from now on; UsageError where nobody has that name."""
        with self._changing() as clients:
            for place, client in enumerate(clients):
                if client.name == name and client.revoked_unix_ns is None:
                    clients[place] = Client(client.name, client.public, client.added_unix_ns, unix_ns)
                    return clients[place]
            names = ", ".join(client.name for client in clients if client.revoked_unix_ns is None)
            raise UsageError(f"nobody named {name} has a key; those who have: {names or 'nobody'}")

    @contextmanager
    def _changing(self) -> Iterator[list[Client]]:
        """The clients as they are, to be changed; written when the block ends well."""
        try:
            with self._lock, private_file.locked(self.folder / ".lock"):
                self._read()
                clients = list(self._clients)
                yield clients
                _write(self._file, {"clients": [asdict(client) for client in clients]})
                self._read()
        except OSError as error:
            raise KeysUnusable(f"{self.folder}: can't be written: {error.strerror}") from None

    def _refresh(self) -> None:
        """Follows what another process wrote; keeps what is known where that can't be read."""
        try:
            if private_file.identity(self._file) != self._seen:
                self._read()
        except (OSError, KeysUnusable) as error:
            if not self._failed:
                logger.error("the keys that were known stay in use: %s", error)
            self._failed = True

    def _read(self) -> None:
        seen = private_file.identity(self._file)
        clients = () if seen is None else _clients(self._file)
        let_in = {client.public for client in clients if client.revoked_unix_ns is None}
        before = {client.public for client in self._clients if client.revoked_unix_ns is None}
        self._removals += bool(before - let_in)
        self._clients, self._seen, self._failed = clients, seen, False


def listed(state_dir: Path) -> tuple[Client, ...]:
    """As Keyring.clients, but makes nothing; KeysUnusable where Keyring.load would refuse what is there."""
    folder = state_dir / "keys"
    try:
        if (folder / "server.json").exists():
            _server_pair(folder / "server.json")
        return _clients(folder / "clients.json") if (folder / "clients.json").exists() else ()
    except OSError as error:
        raise KeysUnusable(f"{folder}: the keys can't be used: {error.strerror}") from None


def new_pair() -> KeyPair:
    """A fresh pair."""
    public, secret = zmq.curve_keypair()
    return KeyPair(public.decode("ascii"), secret.decode("ascii"))


def check_name(name: str) -> None:
    """UsageError where a client can't be called so."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f"a key's name is 1 to 64 of A-Z a-z 0-9 . _ - and begins with one of A-Z a-z 0-9: not {name!r}"
        )


def write_client_file(file: Path, name: str, pair: KeyPair, server_public: str) -> None:
    """What a client needs to come in; UsageError where the file is there already or can't be written."""
    document = {"name": name, "public": pair.public, "secret": pair.secret, "server": server_public}
    try:
        private_file.create(file, json.dumps(document, indent=2) + "\n")
    except FileExistsError:
        raise UsageError(f"{file} is there already: --out names another file") from None
    except OSError as error:
        raise UsageError(f"{file} can't be written: {error.strerror}") from None


def _server_pair(file: Path) -> KeyPair:
    if not file.exists():
        pair = new_pair()
        _write(file, asdict(pair))
        logger.info("made the daemon's key pair: %s", file)
        return pair
    if not private_file.is_private(file):
        raise KeysUnusable(f"{file} can be read by others: chmod 600 it, or remove it and give out new keys")
    message = _document(file)
    public, secret = str(message.get("public")), str(message.get("secret"))
    if not (_is_key(public) and _is_key(secret)) or zmq.curve_public(secret.encode()) != public.encode():
        raise _damaged(file)
    return KeyPair(public, secret)


def _clients(file: Path) -> tuple[Client, ...]:
    try:
        clients = tuple(Client(**each) for each in _document(file)["clients"])
    except (KeyError, TypeError):
        raise _damaged(file) from None
    if not all(map(_is_right, clients)):
        raise _damaged(file)
    return clients


def _is_right(client: Client) -> bool:
    moments = (client.added_unix_ns, client.revoked_unix_ns or 0)
    return (
        _is_key(client.public) and isinstance(client.name, str) and all(isinstance(at, int) for at in moments)
    )


def _is_key(value: object) -> bool:
    return isinstance(value, str) and KEY.fullmatch(value) is not None


def _document(file: Path) -> dict[str, Any]:
    try:
        message = json.loads(file.read_bytes())
    except (ValueError, RecursionError):
        raise _damaged(file) from None
    if not isinstance(message, dict):
        raise _damaged(file)
    return message


def _damaged(file: Path) -> KeysUnusable:
    return KeysUnusable(f"{file} is damaged: restore it, or remove {file.parent} and give out new keys")


def _write(file: Path, document: object) -> None:
    private_file.replace(file, json.dumps(document, indent=2) + "\n")
