"""SQLCipher's connections, which raise the errors of the standard sqlite3: who uses one need not know."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from sqlcipher3 import dbapi2 as sqlcipher

ERRORS: tuple[type[sqlite3.Error], ...] = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.OperationalError,
    sqlite3.InternalError,
    sqlite3.NotSupportedError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    sqlite3.DatabaseError,
    sqlite3.Error,
)
"""Both libraries call them the same."""


@contextmanager
def _translated() -> Any:
    try:
        yield
    except sqlcipher.Error as error:
        kind = next(each for each in ERRORS if isinstance(error, getattr(sqlcipher, each.__name__)))
        told = kind(*error.args)
        for name in ("sqlite_errorcode", "sqlite_errorname"):
            if hasattr(error, name):
                setattr(told, name, getattr(error, name))
        raise told from None


translated: Callable[[], AbstractContextManager[None]] = _translated


class Cursor(sqlcipher.Cursor):  # type: ignore[misc]  # has no types
    """As sqlite3.Cursor."""

    def execute(self, *arguments: Any) -> Cursor:
        with translated():
            super().execute(*arguments)
        return self

    def executemany(self, *arguments: Any) -> Cursor:
        with translated():
            super().executemany(*arguments)
        return self

    def executescript(self, script: str) -> Cursor:
        with translated():
            super().executescript(script)
        return self

    def fetchone(self) -> Any:
        with translated():
            return super().fetchone()

    def fetchmany(self, *arguments: Any) -> list[Any]:
        with translated():
            return list(super().fetchmany(*arguments))

    def fetchall(self) -> list[Any]:
        with translated():
            return list(super().fetchall())

    def __next__(self) -> Any:
        # Not `translated`: the end of the rows is no error, and there may be a million.
        try:
            return super().__next__()
        except sqlcipher.Error:
            with translated():
                raise


class Connection(sqlcipher.Connection):  # type: ignore[misc]  # has no types
    """As sqlite3.Connection."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        with translated():
            super().__init__(*arguments, **options)

    def export(self, file: Path, secret: bytes | None) -> None:
        """Writes everything into an empty file: key and salt as for unlock, None: in clear."""
        key = "" if secret is None else _text(secret)
        self.execute("ATTACH DATABASE ? AS fresh KEY ?", (str(file.absolute()), key))
        # Before anything else is written.
        (auto_vacuum,) = self.execute("PRAGMA main.auto_vacuum").fetchone()
        self.execute(f"PRAGMA fresh.auto_vacuum = {auto_vacuum}")
        self.execute("SELECT sqlcipher_export('fresh')").fetchall()
        for name in ("application_id", "user_version"):
            (value,) = self.execute(f"PRAGMA main.{name}").fetchone()
            self.execute(f"PRAGMA fresh.{name} = {value}")
        self.execute("PRAGMA fresh.journal_mode = WAL").fetchone()
        self.execute("DETACH DATABASE fresh")

    def unlock(self, secret: bytes) -> None:
        """Before anything else: key and salt, 48 bytes."""
        # What SQLCipher says on stderr comes to us as an error too.
        self.execute("PRAGMA cipher_log_level = NONE").fetchall()
        # A statement's text is told to nobody; SQLCipher takes no parameter here.
        self.execute(f'PRAGMA key = "{_text(secret)}"').fetchall()

    def cursor(self, factory: type[Cursor] = Cursor) -> Cursor:
        with translated():
            return super().cursor(factory)  # type: ignore[no-any-return]

    def execute(self, *arguments: Any) -> Cursor:
        return self.cursor().execute(*arguments)

    def executemany(self, statement: str, rows: Iterable[Any]) -> Cursor:
        return self.cursor().executemany(statement, rows)

    def executescript(self, script: str) -> Cursor:
        return self.cursor().executescript(script)

    def backup(self, target: Any, **options: Any) -> None:
        with translated():
            super().backup(target, **options)

    def close(self) -> None:
        with translated():
            super().close()


def _text(secret: bytes) -> str:
    """A key that is no passphrase, as SQLCipher takes it."""
    return f"x'{secret.hex()}'"
