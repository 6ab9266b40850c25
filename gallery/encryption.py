"""Encryption at rest: a key, how an encrypted database is told from another, and how one is opened.

SQLCipher encrypts each page (AES-256, HMAC-SHA512) and keeps 16 bytes at the beginning of the file in clear,
a salt for the key of the HMACs. We choose them: a mark, random bytes, and a check by which a wrong key is
noticed before the file is opened, and not taken for damage.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from gallery.errors import KeyRefused

HEADER_MAGIC = b"SQLite format 3\x00"
"""How a database begins that is not encrypted."""
MARK = b"vSGX"
"""How one of ours begins that is."""
RANDOM_BYTES = CHECK_BYTES = 6
"""What follows the mark."""
KEY_BYTES = 32
MOST_OPENED = 64
"""Of files whose beginning was read; a process has but few open as databases."""
KEY_TEXT = re.compile(rf"[0-9a-fA-F]{{{2 * KEY_BYTES}}}")


@dataclass(frozen=True, slots=True)
class Key:
    """With what gallery and journal are encrypted."""

    secret: bytes = field(repr=False)
    """32 random bytes: the key of AES itself, so that opening costs no derivation."""

    @classmethod
    def new(cls) -> Key:
        """A fresh one."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @classmethod
    def parse(cls, text: str) -> Key | None:
        """From 64 hexadecimal digits, white space around them left aside; None where it is something else."""
        text = text.strip()
        return cls(bytes.fromhex(text)) if KEY_TEXT.fullmatch(text) else None

    @property
    def text(self) -> str:
        """As `parse` takes it: nobody else's, never in a log or an error."""
        return self.secret.hex()

    def check(self, random: bytes) -> bytes:
        """What stands after these bytes at the beginning of a file of this key."""
        return hashlib.blake2b(random, digest_size=CHECK_BYTES, key=self.secret, person=b"visaged").digest()

    def new_salt(self) -> bytes:
        """How a new file of this key begins."""
        random = secrets.token_bytes(RANDOM_BYTES)
        return MARK + random + self.check(random)

    def fits(self, header: bytes) -> bool:
        """Whether the file that begins so is of this key."""
        random, check = header[len(MARK) :][:RANDOM_BYTES], header[len(MARK) + RANDOM_BYTES :][:CHECK_BYTES]
        return is_encrypted(header) and hmac.compare_digest(check, self.check(random))


def is_encrypted(header: bytes) -> bool:
    """Whether a file that begins so is an encrypted database of ours."""
    return header.startswith(MARK)


def check_key(path: Path, header: bytes, key: Key | None) -> None:
    """KeyRefused where a file that begins so and the key don't go together; of damage it says nothing."""
    if is_encrypted(header):
        if key is None:
            raise KeyRefused(f"{path} is encrypted: [gallery] key_file must name the file with its key")
        if not key.fits(header):
            raise KeyRefused(f"{path} is encrypted with another key than that of [gallery] key_file")
    elif header.startswith(HEADER_MAGIC) and key is not None:
        raise KeyRefused(
            f"{path} is not encrypted, but [gallery] key_file is set: visaged encrypt encrypts it"
        )


def connect(
    path: Path, key: Key | None, *, mode: str, timeout_s: float, check_same_thread: bool = True
) -> sqlite3.Connection:
    """A connection to a file that is there (mode rw or ro) and empty or of this key; None: in clear.

    With a key the connection is SQLCipher's, which behaves as one of sqlite3 and raises sqlite3's errors.
    KeyRefused where SQLCipher is not installed; whether file and key go together, check_key knows.
    """
    if key is not None:
        return connect_sqlcipher(path, key, mode, timeout_s, check_same_thread=check_same_thread)
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(
        uri, uri=True, isolation_level=None, timeout=timeout_s, check_same_thread=check_same_thread
    )


def connect_sqlcipher(
    path: Path, key: Key | None, mode: str, timeout_s: float, *, check_same_thread: bool = True
) -> sqlite3.Connection:
    """As connect, by SQLCipher also where nothing is encrypted, and the key is not checked."""
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    try:
        from gallery.encryption_sqlcipher import Connection
    except ImportError:
        raise KeyRefused(
            "[gallery] key_file needs the extra encryption: uv sync --no-dev --extra encryption"
        ) from None
    connection = Connection(
        uri, uri=True, isolation_level=None, timeout=timeout_s, check_same_thread=check_same_thread
    )
    if key is not None:
        # Of a file that is there, SQLCipher reads how it begins by itself.
        connection.unlock(key.secret if path.stat().st_size else key.secret + key.new_salt())
    return cast(sqlite3.Connection, connection)


def read_header(path: Path, count: int = len(HEADER_MAGIC)) -> bytes:
    """How a file begins; OSError where it can't be read."""
    return os.pread(descriptor(path), count, 0)


def descriptor(path: Path) -> int:
    """Of a database that may be open in this process too: to be read with os.pread, and never closed.

    Closing any descriptor of a file lets go of all locks that the process has on it, SQLite's too, and
    another process may then remove the write-ahead log of a connection that is open
    (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """
    with _opening:
        handle = _opened.get(_place(path.stat()))
        if handle is None:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        _leave_open(handle)
        return handle


@contextmanager
def reading(path: Path) -> Iterator[int]:
    """A descriptor of any file; closed afterwards, unless SQLite may have locks on it (see descriptor)."""
    with _opening:
        kept = _opened.get(_place(path.stat()))
    if kept is not None:
        yield kept
        return
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        header = os.pread(handle, len(HEADER_MAGIC), 0)
        if path.name.endswith("-shm") or is_encrypted(header) or header == HEADER_MAGIC:
            with _opening:
                _leave_open(handle)
        else:
            os.close(handle)


_opening = threading.Lock()
_opened: dict[tuple[int, int], int] = {}
"""Descriptors by device and inode; as long as one is open, no other file has its inode."""


def _leave_open(handle: int) -> None:
    place = _place(os.fstat(handle))
    # The one asked for last stays longest.
    _opened.pop(place, None)
    _opened[place] = handle
    if len(_opened) > MOST_OPENED:
        os.close(_opened.pop(next(iter(_opened))))


def _place(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
