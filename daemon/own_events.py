"""What a journal has of one person, read beside whoever writes it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.journal_tables import connect_to_read
from gallery.own_copy import OwnEvents

if TYPE_CHECKING:
    from gallery.encryption import Key

MOST_EVENTS = 20_000
"""Of the newest; more would not fit an answer of the control socket."""


def of_person(path: Path, ids: Sequence[str], key: Key | None = None) -> OwnEvents:
    """The events that name one of these ids as who somebody is or was; empty where there is no journal.

    sqlite3.Error where it can't be read.
    """
    if not path.is_file():
        return OwnEvents([])
    found: list[dict[str, Any]] = []
    left_out = 0
    wanted = " OR ".join(["instr(body, ?)"] * len(ids))
    with closing(connect_to_read(path, key)) as connection:
        rows = connection.execute(f"SELECT body FROM event WHERE {wanted} ORDER BY seq DESC", tuple(ids))  # noqa: S608
        for (body,) in rows:
            event = json.loads(body)
            data = event["data"]
            people = [data.get("person"), data.get("previous")]
            # Elsewhere an id stands as whom another resembled.
            if not any(isinstance(each, dict) and each.get("id") in ids for each in people):
                continue
            if len(found) < MOST_EVENTS:
                found.append(event)
            else:
                left_out += 1
    return OwnEvents(found[::-1], left_out)
