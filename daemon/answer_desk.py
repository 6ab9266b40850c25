"""Answering for a gallery, in the file or over the control socket: consent, own copies, the trail."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Protocol

from daemon import control_messages as messages
from daemon import own_events
from daemon.control_messages import Json
from daemon.desk_ends import Asked, end_of
from daemon.journal_tables import FAILURES
from gallery import consent, own_copy
from gallery.consent import Changes, Terms
from gallery.errors import GalleryError
from gallery.store import Gallery
from gallery.trail import Entry

logger = logging.getLogger(__name__)

MOST_BYTES = messages.MOST_BYTES * 2 // 3
"""Of a copy: an answer of the control socket is longer by a third."""


class Answers(Protocol):
    """What there is to say of one gallery."""

    def terms(self) -> dict[str, Terms]:
        """Everybody's, by their ids."""

    def change_terms(self, name: str, changes: Changes) -> Terms:
        """Notes it with somebody; what is noted now."""

    def own_copy(self, name: str) -> bytes:
        """A zip with all that is kept of a person."""

    def trail(self, person: str | None, since_unix_ns: int, limit: int) -> list[Entry]:
        """The newest entries, the oldest of them first; person: whom by name or id, None: everybody."""


def answers_of(desk: object, journal: Path) -> Answers:
    """Of the gallery that `open_desk` gave; journal: of this configuration, if no daemon runs."""
    return end_of(desk, lambda gallery: _Here(gallery, journal), _There)


class _Here:
    def __init__(self, gallery: Gallery, journal: Path) -> None:
        self._gallery = gallery
        self._journal = journal

    def terms(self) -> dict[str, Terms]:
        return consent.everybodys(self._gallery)

    def change_terms(self, name: str, changes: Changes) -> Terms:
        return consent.change(self._gallery, name, changes, datetime.now().astimezone())

    def own_copy(self, name: str) -> bytes:
        ids = own_copy.ids(self._gallery, name)
        try:
            events = own_events.of_person(self._journal, ids, self._gallery.key)
        except FAILURES as error:
            raise GalleryError(f"{self._journal}: the events can't be read: {error}") from None
        return own_copy.compose(self._gallery, name, events)

    def trail(self, person: str | None, since_unix_ns: int, limit: int) -> list[Entry]:
        entries = self._gallery.trail()
        if person is not None:
            meant = self._meant(person, entries)
            entries = [each for each in entries if meant in (each.person_id, *each.detail.values())]
        return [each for each in entries if each.unix_ns >= since_unix_ns][-limit:]

    def _meant(self, person: str, entries: list[Entry]) -> str:
        """An id, which may be of somebody who is gone; else a name."""
        known = {each.person_id for each in entries} | {each.id for each in self._gallery.people()}
        return person if person in known else self._gallery.person(person).id


class _There:
    def __init__(self, daemon: Asked) -> None:
        self._ask = daemon.ask

    def terms(self) -> dict[str, Terms]:
        return {key: Terms(**each) for key, each in self._ask("terms").items()}

    def change_terms(self, name: str, changes: Changes) -> Terms:
        return Terms(**self._ask("change_terms", name=name, changes=dict(changes)))

    def own_copy(self, name: str) -> bytes:
        return messages.to_bytes(self._ask("own_copy", name=name)["zip"])

    def trail(self, person: str | None, since_unix_ns: int, limit: int) -> list[Entry]:
        told = self._ask("trail", person=person, since_unix_ns=since_unix_ns, limit=limit)
        return [Entry(**each) for each in told["entries"]]


def operations(gallery: Gallery, journal: Path) -> dict[str, Callable[[Json], object]]:
    """What the control socket answers, by the names of the operations."""
    here = _Here(gallery, journal)

    def change_terms(request: Json) -> object:
        terms = here.change_terms(str(request["name"]), to_changes(request["changes"]) or {})
        logger.info("consent, date to expire or note of somebody are changed")
        return asdict(terms)

    def copy(request: Json) -> object:
        content = here.own_copy(str(request["name"]))
        if len(content) > MOST_BYTES:
            raise GalleryError("the copy is too large for the control socket: stop the daemon first")
        logger.info("somebody's own copy was made")
        return {"zip": messages.from_bytes(content)}

    def trail(request: Json) -> object:
        person = request["person"]
        entries = here.trail(
            None if person is None else str(person), int(request["since_unix_ns"]), int(request["limit"])
        )
        return {"entries": [asdict(each) for each in entries]}

    return {
        "terms": lambda request: {key: asdict(each) for key, each in here.terms().items()},
        "change_terms": change_terms,
        "own_copy": copy,
        "trail": trail,
    }


def to_changes(message: object) -> dict[str, str | int | None] | None:
    """What a client wants noted, if it may be; None: nothing. TermsRefused, TypeError."""
    if message is None:
        return None
    if not isinstance(message, dict):
        raise TypeError("terms must be an object")
    return consent.checked(message, datetime.now().astimezone())
