"""Who did what to a gallery: entries that are only ever added, with ids and numbers but no names."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

Detail = Mapping[str, int | float | str | None]
"""Numbers, codes and ids: nothing that tells who somebody is once their id means nothing."""

CODE = re.compile(r"[A-Za-z0-9_.:+-]{0,80}")
"""What a text in an entry may be: a code, an id, a model; a name or a path is refused, as nothing is ever
taken out of the trail again."""


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
    """Adds an entry; the time is the database's. ValueError where it would hold more than ids and codes."""
    texts = [what, *(value for value in detail.values() if isinstance(value, str))]
    if not all(CODE.fullmatch(text) for text in texts):
        raise ValueError(f"the trail takes codes and ids alone, not {texts}")
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
