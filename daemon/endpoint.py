"""Where a socket of ours may be bound: checked before anything is opened."""

from __future__ import annotations

import errno
import fcntl
import ipaddress
import os
import re
import socket
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from daemon import private_file
from daemon.errors import UsageError

IPC_PATH_BYTES = 103 if sys.platform == "darwin" else 107
"""sockaddr_un.sun_path less its closing zero."""
PROBE_TIMEOUT_S = 0.5
PORT = re.compile(r"\*|[0-9]{1,5}")


class BindRefused(UsageError):
    """The daemon does not bind there, or can't."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A place to bind that was found right."""

    uri: str
    """As ZeroMQ takes it."""
    ipv6: bool
    """Whether the socket has to speak IPv6 for it."""
    local: bool
    """Whether nobody but this host reaches it."""
    path: Path | None
    """The socket's file for ipc://; None for tcp://."""


class Claim:
    """The path of an ipc socket that is ours alone among visaged's processes, until it is released.

    A lock on a file beside it says so: the system lets go of it when the process dies, however that happens.
    """

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        """Of the socket."""
        self._lock: int | None = lock
        self._socket: tuple[int, int] | None = None

    def bound(self) -> None:
        """To be called after each binding: what is at the path now is ours."""
        self._socket = _socket_at(self.path)

    def is_stolen(self) -> bool:
        """Whether somebody put another socket in its place, or took it away: nobody reaches us any more."""
        return self._socket is not None and _socket_at(self.path) != self._socket

    def release(self) -> None:
        """Removes the socket's file, which ZeroMQ leaves, and lets go of the path. May be called twice."""
        if self._lock is None:
            return
        if self._socket is not None and not self.is_stolen():
            self.path.unlink(missing_ok=True)
        # While it is locked: whoever has opened it meanwhile sees that it is gone, and makes another.
        _lock_file(self.path).unlink(missing_ok=True)
        os.close(self._lock)
        self._lock = None


def check_bind(bind: str, insecure: bool = False, *, key: str = "bind", curve: bool = False) -> Endpoint:
    """What to bind; BindRefused where a stranger could reach it, or ZeroMQ could not.

    key: of [events], for the messages. curve: only listed keys get in, so that it may be reached by anybody.
    """
    if bind.startswith("tcp://"):
        return _check_tcp(bind, key, open_=insecure or curve)
    if bind.startswith("ipc://"):
        return _check_ipc(bind)
    raise BindRefused(f"[events] {key} can't be {bind}: it has to begin with tcp:// or ipc://")


def check_free(endpoint: Endpoint, key: str) -> None:
    """BindRefused where somebody has it already: so that this is known before anything is made or loaded."""
    if endpoint.path is not None:
        if _somebody_listens(endpoint.path):
            raise BindRefused(f"{endpoint.uri} is taken: another process listens there")
        return
    host, _, port = endpoint.uri.removeprefix("tcp://").rpartition(":")
    address = _address(host)
    if port == "*" or address is None:
        return
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    try:
        with socket.create_server((str(address), int(port)), family=family):
            pass
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise BindRefused(f"[events] {key} can't be {endpoint.uri}: {error.strerror}") from None
        raise BindRefused(
            f"{endpoint.uri} is taken: is another visaged running? [events] {key} sets another port"
        ) from None


def claim(path: Path) -> Claim:
    """Makes way for an ipc socket. Who listens there keeps it: ZeroMQ alone would take it, silently."""
    try:
        private_file.make_folder(path.parent)
        _check_folder(path.parent)
        lock = _lock(path)
        try:
            _make_way(path)
        except BaseException:
            os.close(lock)
            raise
    except OSError as error:
        raise BindRefused(f"ipc://{path} can't be had: {error.strerror}") from None
    return Claim(path, lock)


def _check_folder(folder: Path) -> None:
    mode = folder.stat().st_mode
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise BindRefused(
            f"a socket in {folder} is refused: others may write there, and could put theirs in its place; "
            "choose a folder of its own (0700)"
        )


def _lock(path: Path) -> int:
    """The descriptor that holds the lock; BindRefused where another process, or we ourselves, have it."""
    file = _lock_file(path)
    while True:
        lock = private_file.open_lock(file)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(file, lock):
                return lock
        except BlockingIOError:
            os.close(lock)
            raise BindRefused(f"ipc://{path} is taken: another visaged has it") from None
        except BaseException:
            os.close(lock)
            raise
        # It was released, and removed, between the opening and the locking.
        os.close(lock)


def _lock_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _is_at(file: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(file.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _socket_at(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _make_way(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise BindRefused(f"ipc://{path} is refused: there is a file of that name, and it is no socket")
    if _somebody_listens(path):
        raise BindRefused(f"ipc://{path} is taken: another process listens there")
    path.unlink(missing_ok=True)


def _check_tcp(bind: str, key: str, open_: bool) -> Endpoint:
    host, colon, port = bind.removeprefix("tcp://").rpartition(":")
    if not colon or not host or not PORT.fullmatch(port) or (port != "*" and int(port) > 65535):
        raise BindRefused(
            f"[events] {key} can't be {bind}: it needs an address and a port: tcp://127.0.0.1:5556"
        )
    if host == "localhost":
        # ZeroMQ would ask the resolver, whose answer is somebody else's.
        host = "127.0.0.1"
    address = _address(host)
    if address is None and not re.fullmatch(r"\*|[A-Za-z0-9_.-]+", host):
        raise BindRefused(f"[events] {key} can't be {bind}: {host} is no address; IPv6 is written [::1]")
    local = address is not None and address.is_loopback
    if not local and not open_:
        raise BindRefused(
            f"[events] {key} is not bound to {bind}: anybody who reaches it could read who was seen; set "
            "[events] curve = true, or use tcp://127.0.0.1:PORT, or --insecure to do it all the same"
        )
    ipv6 = host == "*" or (address is not None and address.version == 6)
    return Endpoint(f"tcp://{host}:{port}", ipv6, local, None)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """None: not an address as it has to be written here (an interface's name, a host's name, *)."""
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        address = ipaddress.ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        return None
    return address if bracketed == (address.version == 6) else None


def _check_ipc(bind: str) -> Endpoint:
    path = Path(bind.removeprefix("ipc://"))
    if not path.is_absolute() or path.name in ("", "*"):
        raise BindRefused(f"{bind} can't be bound: ipc:// needs an absolute path of a file: ipc:///run/…")
    if len(bytes(path)) > IPC_PATH_BYTES:
        raise BindRefused(
            f"{bind} can't be bound: a socket's path has at most {IPC_PATH_BYTES} bytes; "
            "set [events] bind or [daemon] state_dir to a shorter one"
        )
    return Endpoint(f"ipc://{path}", ipv6=False, local=True, path=path)


def _somebody_listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_TIMEOUT_S)
        try:
            probe.connect(str(path))
        except OSError as error:
            # Refused: nobody has it open. Anything else (no permission, a full backlog) is somebody's.
            return error.errno not in (errno.ECONNREFUSED, errno.ENOENT)
    return True
