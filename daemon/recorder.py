"""Writes the journal in a thread of its own, so that a disk that hangs holds up nobody."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from daemon.events import Event
from daemon.journal import Journal, Keep, Message
from daemon.journal_file import JournalRefused
from daemon.journal_tables import FAILURES, is_damage, is_full, is_locked
from gallery.encryption import Key

logger = logging.getLogger(__name__)

CARE_S = 0.05
"""Between two small pieces of upkeep."""
REST_S = 0.002
"""Between two bites of a chore: whoever wants something stored comes first."""
OVERDUE_S = 1.0
"""While there is always something to store, upkeep waits no longer than this."""
RETRY_S, RETRY_MAX_S = 3.0, 60.0
"""How often a journal that failed is tried again: ever more rarely, if it fails again soon."""
GOOD_S = 60.0
"""After so long without a failure, the next one is a first one."""
OPEN_S = 20.0
"""How long the start waits for a journal that has to be read through; 512 MB take about 10 s."""
TRIM_S = 1.0
"""How often it is looked whether something need not be kept any more."""
CLOSE_S = 0.5
"""How long the thread may take to end, once it was told to; a disk that hangs is left alone."""

Result = TypeVar("Result")
Chore = Callable[[Journal], Generator[None, None, Result]]
"""Work on the journal in bites, each of which takes some milliseconds; the last gives a result."""


class JournalFailed(Exception):
    """What was to be stored is not, or not yet; the text is one line for people."""


@dataclass(frozen=True, slots=True)
class _Job:
    events: Sequence[Event]
    result: Future[list[Message]] = field(default_factory=Future)


@dataclass(slots=True)
class _Chore:
    begin: Chore[object]
    result: Future[object] = field(default_factory=Future)
    under_way: Generator[None, None, object] | None = None


class Recorder:
    """Stores events one batch after the other; what fails is tried again by itself."""

    def __init__(self, path: Path, epoch: str, keep: Keep, key: Key | None = None) -> None:
        """Opens the journal at once; JournalRefused where the file is not ours.

        A failing disk, or a file that takes long to be checked or saved, is no reason not to start.
        """
        self.path = path
        """The journal's file."""
        self.key = key
        """With which it is encrypted; None: it is not."""
        self.epoch = epoch
        """This run of the daemon."""
        self.reason: str | None = f"{path} is being checked"
        """Why nothing can be stored; None: it can."""
        self.openings = 0
        """Rises when the file may be another than before, for those who read it."""
        self.head: int | None = None
        """The number that was given last; None: the journal could not be opened yet."""
        self.oldest: int | None = None
        """Of the events that are kept; head + 1: there is none."""
        self._keep = keep
        self._cared_s = self._trimmed_s = self._tried_s = time.monotonic()
        self._recovered_s = float("-inf")
        self._retry_s = RETRY_S
        self._jobs: queue.SimpleQueue[_Job | _Chore | None] = queue.SimpleQueue()
        self._chores: deque[_Chore] = deque()
        self._bitten_s = self._cared_s
        self._suspicion: Exception | None = None
        self._is_damaged = False
        self._finished_s: float | None = None
        self._journal: Journal | None = None
        self._refused: JournalRefused | None = None
        self._opened = threading.Event()
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._thread.start()
        if not self._opened.wait(OPEN_S):
            logger.warning("%s takes long to be checked: until then events are not stored", path)
        elif self._refused is not None:
            self.finish()
            self._thread.join()
            raise self._refused

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()
        assert self._finished_s is not None
        self._thread.join(max(0.05, self._finished_s + CLOSE_S - time.monotonic()))
        if self._thread.is_alive():
            logger.error("%s: the disk does not answer; the journal is left as it is", self.path)

    def finish(self) -> None:
        """Nothing more will be stored: the journal is closed, without anybody waiting for that yet."""
        if self._finished_s is None:
            self._finished_s = time.monotonic()
            self._jobs.put(None)

    def store(self, events: Sequence[Event]) -> Future[list[Message]]:
        """Stored, all of them or none, when the result is there; JournalFailed if they can't be."""
        job = _Job(events)
        if self._opened.is_set():
            self._jobs.put(job)
        else:
            job.result.set_exception(JournalFailed(self.reason))
        return job.result

    def work_on(self, chore: Chore[Result]) -> Future[Result]:
        """Done bite by bite between events, after those that wait now; JournalFailed where it can't be."""
        asked = _Chore(chore)
        self._jobs.put(asked)
        return asked.result  # type: ignore[return-value]

    def suspect(self, error: Exception, opening: int) -> None:
        """Somebody could not read it; if it is damaged, it is opened anew and what is left is saved.

        opening: `openings` when he opened it; who complains of the file before is late.
        """
        if is_damage(error) and opening == self.openings:
            self._suspicion = error

    def check(self) -> None:
        """Raises if the thread died of a bug, which it has told on stderr."""
        if not self._thread.is_alive():
            raise RuntimeError("the thread of the journal died")

    def _work(self) -> None:
        try:
            self._open()
            self.reason = None
        except JournalRefused as refused:
            self._refused, self.reason = refused, str(refused)
        except FAILURES as error:
            self._fail(error)
        finally:
            self._opened.set()
        while True:
            try:
                job = self._jobs.get(timeout=REST_S if self._chores else CARE_S)
                if job is None:
                    break
                if isinstance(job, _Chore):
                    self._chores.append(job)
                else:
                    self._do(job)
            except queue.Empty:
                pass
            if self._chores and (self._jobs.empty() or time.monotonic() - self._bitten_s >= OVERDUE_S):
                self._bite(self._chores[0])
                self._bitten_s = time.monotonic()
            waited_s = time.monotonic() - self._cared_s
            if waited_s >= OVERDUE_S or (waited_s >= CARE_S and self._jobs.empty()):
                self._care()
                self._cared_s = time.monotonic()
        for chore in self._chores:
            chore.result.set_exception(JournalFailed("the daemon ends"))
        if self._journal is not None:
            self._journal.close(clean=self.reason is None)

    def _bite(self, chore: _Chore) -> None:
        """One bite of it; taken off the list where that was the last."""
        try:
            if self._journal is None or self.reason is not None:
                raise JournalFailed(self.reason)
            if chore.under_way is None:
                chore.under_way = chore.begin(self._journal)
            next(chore.under_way)
            return
        except StopIteration as done:
            chore.result.set_result(done.value)
        except JournalFailed as failed:
            chore.result.set_exception(failed)
        except FAILURES as error:
            if not is_locked(error):
                self._fail(error)
            chore.result.set_exception(JournalFailed(f"{self.path}: {error}"))
        self._chores.popleft()

    def _do(self, job: _Job) -> None:
        if self._journal is None or self.reason is not None:
            job.result.set_exception(JournalFailed(self.reason))
            return
        try:
            messages = self._journal.append(job.events)
        except FAILURES as error:
            self._fail(error)
            job.result.set_exception(JournalFailed(self.reason))
            return
        self.head = self._journal.head
        job.result.set_result(messages)

    def _care(self) -> None:
        """One small piece of upkeep, while nobody waits."""
        now_s = time.monotonic()
        if self._suspicion is not None:
            self._fail(self._suspicion)
            self._retry()
            return
        if self._journal is None or self.reason is not None:
            if now_s - self._tried_s >= self._retry_s:
                self._retry()
            return
        try:
            if now_s - self._trimmed_s < TRIM_S:
                self._journal.tidy()
            elif not self._journal.trim(self._keep, time.time_ns() // 1000):
                self._trimmed_s = now_s
            self.oldest = self._journal.oldest
        except FAILURES as error:
            self._fail(error)

    def _open(self) -> None:
        self._journal = Journal.open(self.path, self.epoch, suspected=self._is_damaged, key=self.key)
        self.openings += 1
        self._suspicion = None
        self._is_damaged = False
        self.head, self.oldest = self._journal.head, self._journal.oldest

    def _fail(self, error: Exception) -> None:
        now_s = time.monotonic()
        if self.reason is None:
            soon = now_s - self._recovered_s < GOOD_S
            self._retry_s = min(2 * self._retry_s, RETRY_MAX_S) if soon else RETRY_S
        self.reason = f"{self.path}: {error}"
        self._tried_s = now_s
        self._is_damaged |= is_damage(error)
        if self._journal is not None and not is_full(error):
            # It may be damaged; opening it anew finds out.
            self._journal.close(clean=False)
            self._journal = None

    def _retry(self) -> None:
        try:
            if self._journal is None:
                self._open()
            assert self._journal is not None
            self._journal.probe()
        except JournalRefused as error:
            self.reason = str(error)
            self._tried_s = time.monotonic()
        except FAILURES as error:
            self._fail(error)
        else:
            self.reason = None
            self._recovered_s = time.monotonic()
