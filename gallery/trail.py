"""Who did what to a gallery: entries that are only ever added, with ids and numbers but no names."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

Detail = Mapping[str, int | float | str | None]
"""Numbers, codes and ids: nothing that tells who somebody is once their id means nothing."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was done."""

    number: int
    """Rises by one or more; never given twice."""
    unix_ns: int
    """When, to the millisecond, by the clock of the machine that keeps the gallery."""
    who: str
    """The user's name on that machine; '': not known."""
    what: str
    """A code, such as enrolled or forgotten."""
    person_id: str | None
    """Whom it was about; None: nobody alone."""
    detail: Detail
    """What else there is to know."""


class Note(Protocol):
    """Writes an entry into the change that is under way."""

    def __call__(self, what: str, person_id: str | None, **detail: int | float | str | None) -> None: ...


def note(
    connection: sqlite3.Connection,
    who: str,
    what: str,
    person_id: str | None,
    **detail: int | float | str | None,
) -> None:
    """Adds an entry; the time is the database's."""
    connection.execute(
        "INSERT INTO trail (who, what, person_id, detail) VALUES (?, ?, ?, ?)",
        (who, what, person_id, json.dumps(detail, ensure_ascii=False)),
    )


def entries(connection: sqlite3.Connection) -> list[Entry]:
    """Everything, the oldest first."""
    rows = connection.execute(
        "SELECT number, unix_ns, who, what, person_id, detail FROM trail ORDER BY number"
    )
    return [
        Entry(number, unix_ns, who, what, person_id, json.loads(detail))
        for number, unix_ns, who, what, person_id, detail in rows
    ]
