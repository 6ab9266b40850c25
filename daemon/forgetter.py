"""Forgets people for a running daemon, in a thread of its own: who was asked for, and whose time is up."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from daemon import events
from daemon.forgetting import Places, Receipt, complete
from daemon.journal import Journal
from daemon.journal_tables import FAILURES
from daemon.recorder import JournalFailed, Recorder
from gallery import forgetting as noted
from gallery.encryption import Key
from gallery.errors import GalleryError
from gallery.forgetting import Forgetting
from gallery.store import Gallery

logger = logging.getLogger(__name__)

PERIOD_S = 60.0
"""How often it is looked whose time is up, and tried again what could not be done."""
TAKEN_S = 120.0
"""How long the daemon's loop may take to its next turn: a graphics card may be that busy."""
SLICE_S = 0.1
BREATH_S = 0.001
"""After each MiB that is looked through: the pipeline goes first."""

Result = TypeVar("Result")


class Stopped(Exception):
    """The daemon ends; what is not done yet is done at its next start."""


@dataclass(frozen=True, slots=True)
class Taking:
    """The daemon's loop is asked to take the name from whoever is in view."""

    people: frozenset[str]
    """Ids."""
    done: Future[Future[bool]] = field(default_factory=Future)
    """Done when the events that say so are on their way; its result is done when they are stored and sent."""


@dataclass(frozen=True, slots=True)
class Telling:
    """The daemon's loop is asked to tell of somebody who is forgotten."""

    what: events.Forgotten
    """All there is to tell."""
    done: Future[Future[bool]] = field(default_factory=Future)
    """As Taking's; the result of its result: whether it is stored."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is with somebody."""

    step: str
    """tracks, journal, log, files or done; waiting: not begun."""
    receipt: Receipt | None = None
    """At the end."""
    failed: str | None = None
    """Why it could not be done yet, one line; it will be tried again."""


class Forgetter:
    """Its public functions are for any thread."""

    def __init__(self, gallery: Path, key: Key | None, places: Places, recorder: Recorder) -> None:
        """gallery: its file, of that key. Nothing is done before the with block."""
        self._path, self._key, self._places, self._recorder = gallery, key, places, recorder
        self._progress: dict[str, Progress] = {}
        self._takings: queue.SimpleQueue[Taking] = queue.SimpleQueue()
        self._tellings: queue.SimpleQueue[Telling] = queue.SimpleQueue()
        self._stop, self._wake = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="forgetting")

    def __enter__(self) -> Forgetter:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._wake.set()
        self._thread.join()

    def check(self) -> None:
        """Raises if the thread died of a bug, which it has told on stderr."""
        if not self._thread.is_alive():
            raise RuntimeError("the thread that forgets people died")

    def expect(self, person_id: str) -> None:
        """The gallery is going to note somebody to forget; what was known before is out of date."""
        self._progress.pop(person_id, None)

    def wake(self) -> None:
        """The gallery has noted somebody to forget."""
        self._wake.set()

    def progress(self, person_id: str) -> Progress:
        """How far it is."""
        return self._progress.get(person_id, Progress("waiting"))

    def asked(self) -> Iterator[Taking]:
        """For the daemon's loop: whose names are to be taken now."""
        while not self._takings.empty():
            yield self._takings.get()

    def owed(self) -> Iterator[Telling]:
        """For the daemon's loop: what is to be told of those who are forgotten."""
        while not self._tellings.empty():
            yield self._tellings.get()

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                with Gallery.open(self._path, key=self._key) as gallery:
                    while not self._stop.is_set():
                        self._wake.clear()
                        self._round(gallery)
                        self._wake.wait(PERIOD_S)
            except Stopped:
                return
            except GalleryError as error:
                logger.error("nobody can be forgotten just now: %s", error)
                self._stop.wait(PERIOD_S)

    def _round(self, gallery: Gallery) -> None:
        for person_id in noted.expired(gallery, time.time_ns()):
            logger.info("the time of person %s is up", person_id)
            noted.begin(gallery, person_id, "expired", time.time_ns())
        self._tell(gallery)
        for forgetting in noted.begun(gallery):
            try:
                self._forget(gallery, forgetting)
                self._tell(gallery)
            except (GalleryError, JournalFailed, *FAILURES) as error:
                logger.error("person %s is not forgotten yet: %s", forgetting.person_id, error)
                self._progress[forgetting.person_id] = Progress("waiting", failed=str(error))

    def _forget(self, gallery: Gallery, forgetting: Forgetting) -> None:
        person_id = forgetting.person_id

        def tell(step: str) -> None:
            self._progress[person_id] = Progress(step)

        tell("tracks")
        taking = Taking(frozenset(forgetting.ids))
        self._takings.put(taking)
        # First told, then stored, and only then blanked.
        self._result(self._result(taking.done))
        receipt = complete(
            gallery, forgetting, self._places, self._on_journal, time.time_ns, tell, self._breathe
        )
        self._progress[person_id] = Progress("done", receipt)
        found = "" if receipt.verified else f"; something is left in {in_log(receipt)}"
        logger.info("person %s is forgotten (%s)%s", person_id, receipt.why, found)

    def _tell(self, gallery: Gallery) -> None:
        """Has told what is owed, also by a daemon that was killed and by `visaged forget` without one.

        It is owed until the journal has it, for subscribers who are away: rather told twice than never.
        """
        for forgotten in noted.owed(gallery):
            if self._recorder.reason is not None:
                return
            telling = Telling(
                events.Forgotten(forgotten.person_id, forgotten.merged, forgotten.why, forgotten.verified)
            )
            self._tellings.put(telling)
            if self._result(self._result(telling.done)):
                noted.told(gallery, forgotten.person_id)

    def _on_journal(self, chore: Callable[[Journal], Generator[None, None, Result]]) -> Result:
        return self._result(self._recorder.work_on(chore), limit_s=float("inf"))

    def _result(self, future: Future[Result], limit_s: float = TAKEN_S) -> Result:
        """What comes of it, unless the daemon ends before."""
        deadline_s = time.monotonic() + limit_s
        while not self._stop.is_set():
            try:
                return future.result(SLICE_S)
            except TimeoutError:
                if time.monotonic() >= deadline_s:
                    raise GalleryError("the daemon's loop does not turn; is it busy, or hung?") from None
        raise Stopped

    def _breathe(self) -> None:
        if self._stop.is_set():
            raise Stopped
        time.sleep(BREATH_S)


def in_log(receipt: Receipt) -> list[str]:
    """The files, for a log: one that is called like the person by its folder alone."""
    called = {left.file for left in receipt.left if left.what == "called"}
    files = {left.file for left in receipt.left}
    return sorted({str(Path(file).parent / "…") if file in called else file for file in files})
