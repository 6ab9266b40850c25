"""Forgets somebody everywhere: journal, gallery, files beside them; then searches, and gives a receipt.

Each step may be done twice, so whoever was interrupted begins anew with what the gallery noted.
"""

from __future__ import annotations

import logging
import os
import stat
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from daemon import journal_blanking, journal_leaves
from daemon.events import rfc3339
from daemon.forgetting_words import words
from daemon.journal_blanking import Blanking
from daemon.journal_tables import beside
from gallery import forgetting as noted
from gallery.encryption import reading
from gallery.errors import GalleryBusy
from gallery.forgetting import Forgetting
from gallery.forgetting_search import Remnant, Sought, search

if TYPE_CHECKING:
    from daemon.journal import Journal
    from gallery.store import Gallery

logger = logging.getLogger(__name__)

ROUNDS = 3
"""How often what is still found in the journal is moved and cleared again."""
MOST_REMNANTS = 200
"""Looked at of one search; whoever is found so often is not gone."""

Result = TypeVar("Result")


class Work(Protocol):
    """Does something with the journal, in whose thread that may be; raises where it can't."""

    def __call__(self, chore: Callable[[Journal], Generator[None, None, Result]]) -> Result: ...


@dataclass(frozen=True, slots=True)
class Places:
    """Where something may be kept."""

    state: Path
    """The state folder."""
    journal: Path
    """The journal's file, there or elsewhere."""
    cameras: tuple[str, ...]
    """Their names, which stand in each event and are no person's."""


@dataclass(frozen=True, slots=True)
class Left:
    """A file that still holds something."""

    file: str
    """Its path."""
    what: str
    """name, encoding or picture; compressed, unreadable: it can't be looked through; called: so it is."""
    count: int
    """How often."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was done; nobody can tell from it who it was."""

    id: str
    """The person's."""
    why: str
    """asked or expired."""
    who: str
    """The user of the machine in whose name."""
    begun: str
    """RFC 3339."""
    finished: str
    """RFC 3339."""
    references: int
    """Removed from the gallery."""
    crops: int
    """Pictures removed with them."""
    events: int
    """Of the journal, in which the name was blanked."""
    files: int
    """Looked through, byte by byte."""
    left: tuple[Left, ...]
    """What was found; empty: nothing, or it was broken off before it could be told."""
    verified: bool
    """Whether all was looked through and nothing found. Where that was broken off in the gallery's own file,
    the last to be searched, it was written anew instead."""


def complete(
    gallery: Gallery,
    forgetting: Forgetting,
    places: Places,
    work: Work,
    now_unix_ns: Callable[[], int],
    tell: Callable[[str], None] = lambda step: None,
    breathe: Callable[[], None] = lambda: None,
) -> Receipt:
    """Does what is left to do for somebody who is gone from the gallery, and notes it in the trail.

    sqlite3.Error, OSError, GalleryError or what work raises where it can't go on; then it can be done again.
    Of several processes that do it at once each gives its receipt; trail and subscribers are told once.
    tell: gets the name of each step. breathe: as search's.
    """
    left: list[Remnant] = []
    files, files_left = forgetting.files, forgetting.files_left
    if forgetting.names is not None:
        events = _blank(gallery, forgetting, places, work, tell)
        forgetting = noted.current(gallery, forgetting)
        sought = _sought(gallery, forgetting, places)
        own = _own(gallery.path)
        tell("files")
        _remove_damaged(places.journal, forgetting, sought, encrypted=gallery.key is not None)
        others = [file for file in files_of(places, gallery.path) if file not in own]
        left = _search(others, sought, breathe)
        for _ in range(ROUNDS):
            if not (near := _near(places.journal, left)):
                break
            work(partial(journal_blanking.write_anew, near=near))
            work(journal_blanking.purge)
            left = _search(others, sought, breathe)
        noted.clear_labels(gallery, sought.names, sought.others)
        files = len(others) + sum(map(_is_file, own))
        noted.drop_sought(gallery, forgetting.person_id, files, len({each.file for each in left}))
        found = _search(own, sought, breathe)
        if found:
            gallery.rewrite()
            found = _search(own, sought, breathe)
        left += found
        files_left = len({each.file for each in left})
        logger.info("person %s: %s events blanked now", forgetting.person_id, events)
    elif not gallery.rewrite():
        # Broken off in the gallery's own file: nobody can tell any more what to look for in it.
        raise GalleryBusy(f"{gallery.path}: another program goes on reading it; try again when that is done")
    receipt = _receipt(forgetting, files, left, files_left, now_unix_ns())
    noted.finish(gallery, forgetting, receipt.events, files, files_left)
    return receipt


def files_of(places: Places, gallery: Path) -> list[Path]:
    """Every file that is searched: all of the state folder, and gallery and journal with what lies beside."""
    found = {path for path in places.state.rglob("*") if _is_file(path)}
    return sorted(found.union(_family(gallery), _family(places.journal)))


def _family(path: Path) -> list[Path]:
    """A database's file, its log, and copies that begin with its name."""
    if not path.parent.is_dir():
        return []
    return sorted(
        each
        for each in path.parent.iterdir()
        if each.name.lstrip(".").startswith(path.name) and _is_file(each)
    )


def _own(gallery: Path) -> list[Path]:
    """What SQLite may read and write of it."""
    return [beside(gallery, suffix) for suffix in ("", "-wal", "-shm", "-journal")]


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def _blank(
    gallery: Gallery, forgetting: Forgetting, places: Places, work: Work, tell: Callable[[str], None]
) -> int:
    """Takes the names out of the journal; from how many events."""
    if not places.journal.exists():
        return 0
    tell("journal")
    ids = frozenset(forgetting.ids)
    # Before the first is blanked: after that nobody could tell any more what else to look for.
    earlier = journal_blanking.names_of(places.journal, ids, gallery.key)
    noted.learn_names(gallery, forgetting.person_id, earlier)
    names = tuple({*(forgetting.names or ()), *earlier})
    blanking = _blanking(gallery, ids, names)
    rows = journal_blanking.to_blank(places.journal, blanking, gallery.key)
    events = 0
    while chewed := list(islice(rows, journal_blanking.CHEW_EVENTS)):
        done = work(partial(journal_blanking.overwrite, rows=chewed))
        noted.count_events(gallery, forgetting.person_id, done)
        events += done
    tell("log")
    if not work(journal_blanking.purge):
        logger.warning("%s: somebody goes on reading its write-ahead log", places.journal)
    return events


def _blanking(gallery: Gallery, ids: frozenset[str], names: Sequence[str]) -> Blanking:
    people = gallery.people()
    return Blanking(
        ids,
        tuple(names),
        frozenset(person.id for person in people) - ids,
        tuple(person.name for person in people),
    )


def _sought(gallery: Gallery, forgetting: Forgetting, places: Places) -> Sought:
    names = forgetting.names or ()
    blanking = _blanking(gallery, frozenset(forgetting.ids), names)
    others = {*blanking.others, *(entry.who for entry in gallery.trail())} - {""}
    if places.journal.exists():
        others |= journal_blanking.other_names(places.journal, blanking, gallery.key)
    return Sought(
        names,
        forgetting.encodings,
        forgetting.pictures,
        tuple(sorted(others)),
        blanking.other_ids,
        words(places.cameras),
    )


def _search(files: Iterable[Path], sought: Sought, breathe: Callable[[], None]) -> list[Remnant]:
    found = []
    for remnant in search(files, sought, breathe):
        found.append(remnant)
        if len(found) == MOST_REMNANTS:
            break
    return found


def _remove_damaged(journal: Path, forgetting: Forgetting, sought: Sought, *, encrypted: bool) -> None:
    """A damaged journal that was kept beside can't be blanked; it goes, if it may tell of this person."""
    halves = tuple(half for key in forgetting.ids for half in (key[:18], key[18:]))
    names = replace(sought, names=(*sought.names, *halves), words=frozenset())
    copies = [each for each in _family(beside(journal, ".damaged")) if each != journal]
    if not encrypted and next(search(copies, names), None) is None:
        return
    for copy in copies:
        logger.warning("%s is removed: it told of a person who is forgotten", copy)
        copy.unlink(missing_ok=True)


def _near(journal: Path, found: Iterable[Remnant]) -> list[int]:
    """The numbers of the events on those pages of the journal that still hold something, and beside them."""
    page_bytes = journal_leaves.PAGE_BYTES
    pages = {each.place // page_bytes for each in found if each.file == journal}
    numbers: set[int] = set()
    if not pages:
        return []
    with reading(journal) as descriptor:
        for page in sorted(pages):
            # As if it were the second of its file: the first is never looked at.
            content = bytes(page_bytes) + os.pread(descriptor, page_bytes, page * page_bytes)
            numbers.update(seq for seq, _ in journal_leaves.places(content))
    return sorted({near for seq in numbers for near in range(seq - 3, seq + 4) if near > 0})


def _receipt(
    forgetting: Forgetting, files: int, left: Sequence[Remnant], files_left: int, now_unix_ns: int
) -> Receipt:
    counts = Counter((str(each.file), each.what) for each in left)
    return Receipt(
        id=forgetting.person_id,
        why=forgetting.why,
        who=forgetting.who,
        begun=rfc3339(forgetting.began_unix_ns),
        finished=rfc3339(now_unix_ns),
        references=forgetting.references,
        crops=forgetting.crops,
        events=forgetting.events,
        files=files,
        left=tuple(Left(file, what, count) for (file, what), count in sorted(counts.items())),
        verified=files > 0 and not files_left,
    )
