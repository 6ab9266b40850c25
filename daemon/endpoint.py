"""Where a socket of ours may be bound: checked before anything is opened."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

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
        if somebody_listens(endpoint.path):
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


def check_folder(folder: Path) -> None:
    """BindRefused where others could put a socket of theirs in the place of ours; one to be made is right."""
    try:
        mode = folder.stat().st_mode
    except OSError:
        return
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise BindRefused(
            f"a socket in {folder} is refused: others may write there, and could put theirs in its place; "
            "choose a folder of its own (0700)"
        )


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
    check_folder(path.parent)
    return Endpoint(f"ipc://{path}", ipv6=False, local=True, path=path)


def somebody_listens(path: Path) -> bool:
    """Whether a process has a socket open there, or could have: what we may not know counts as yes."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_TIMEOUT_S)
        try:
            probe.connect(str(path))
        except OSError as error:
            # Refused: nobody has it open. Anything else (no permission, a full backlog) is somebody's.
            return error.errno not in (errno.ECONNREFUSED, errno.ENOENT)
    return True
