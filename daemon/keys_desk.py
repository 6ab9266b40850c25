"""The keys that a command works on: the running daemon's if one runs, else the files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from daemon.config import Config
    from daemon.control_client import RemoteGallery
    from daemon.keys import Client, Keyring


class KeysDesk(Protocol):
    """What commands ask of keys, near or far."""

    @property
    def server_public(self) -> str: ...
    def clients(self) -> Sequence[Client]: ...
    def add(self, name: str, public: str, unix_ns: int) -> Client: ...
    def revoke(self, name: str, unix_ns: int) -> Client: ...


class LocalKeys:
    """Those of a state folder; the daemon's own pair is made when a key is given out, not to list them."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir

    @property
    def server_public(self) -> str:
        """As Keyring.server_public."""
        return self._load().server_public

    def clients(self) -> Sequence[Client]:
        """As Keyring.clients."""
        from daemon.keys import listed

        return listed(self._state_dir)

    def add(self, name: str, public: str, unix_ns: int) -> Client:
        """As Keyring.add."""
        return self._load().add(name, public, unix_ns)

    def revoke(self, name: str, unix_ns: int) -> Client:
        """As Keyring.revoke."""
        return self._load().revoke(name, unix_ns)

    def _load(self) -> Keyring:
        from daemon.keys import Keyring

        return Keyring.load(self._state_dir)


class RemoteKeys:
    """Those of a running daemon, which notes the times by its own clock."""

    def __init__(self, remote: RemoteGallery) -> None:
        self._remote = remote

    @property
    def server_public(self) -> str:
        """As Keyring.server_public."""
        return self._remote.server_public()

    def clients(self) -> Sequence[Client]:
        """As Keyring.clients."""
        return self._remote.clients()

    def add(self, name: str, public: str, unix_ns: int) -> Client:
        """As Keyring.add."""
        return self._remote.add_key(name, public)

    def revoke(self, name: str, unix_ns: int) -> Client:
        """As Keyring.revoke."""
        return self._remote.revoke_key(name)


@contextmanager
def open_keys(config: Config) -> Iterator[KeysDesk]:
    """The keys of the daemon that runs with this configuration, else those of its state folder."""
    from daemon.control_client import RemoteGallery, is_running
    from daemon.starting import check_service

    if not is_running(config.reached_path):
        check_service(config)
        yield LocalKeys(config.state_dir)
        return
    # Over the socket also because the files have to stay the daemon's own, whoever runs the command.
    with RemoteGallery(config.reached_path) as remote:
        yield RemoteKeys(remote)
