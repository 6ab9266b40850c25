"""Does something to a gallery in a process that kills itself at a step; a nursery of such processes.

A step is an SQLite statement, 50 instructions within one, or something done to a file. Run as a program, it
reads lines of JSON, forks a process for each, and answers how that ended: nothing is imported 50 times.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from daemon import keeping
from daemon.keeping import Places
from gallery import archive, archive_merging, forgetting, reencoding
from gallery.store import Gallery
from tests.gallery.builders import ENROLLED_UNIX_NS, reference

CONNECT = sqlite3.connect
INSTRUCTIONS = 50
NEW_MODEL = "new-mtcnn-1"
FILE_EVENTS = ("os.", "shutil.", "open", "sqlite3.connect", "tempfile.")
BATCH = 4
"""References that are encoded anew in one change."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a process is to do."""

    what: str
    """A name in OPERATIONS."""
    folder: str
    """The state folder."""
    step: int
    """At which it kills itself; 0: never, and it says how many there were."""
    delay_us: int
    """After the step, on its way through whatever comes then."""


def enrol(folder: Path) -> None:
    """One person of ten pictures."""
    with Gallery.open(folder / "gallery.db") as gallery:
        rows = [reference(f"new-{i}", np.full(16, i, np.float32)) for i in range(10)]
        gallery.add("new", rows, ENROLLED_UNIX_NS)


def take_in(folder: Path) -> None:
    """An archive of other people."""
    with (
        (folder / "archive.zip").open("rb") as file,
        archive.opened(file) as carried,
        Gallery.open(folder / "gallery.db") as gallery,
    ):
        archive_merging.merge(gallery, carried, by_name=True)


def forget(folder: Path) -> None:
    """The first person there is."""
    with Gallery.open(folder / "gallery.db") as gallery:
        names = [person.name for person in gallery.people()]
        if "person 1" in names:
            found = forgetting.find(gallery, "person 1", None)
            forgetting.begin(gallery, found, "asked", ENROLLED_UNIX_NS)


def reencode(folder: Path) -> None:
    """All that is lacking, batch by batch, and then the switch."""
    with Gallery.open(folder / "gallery.db") as gallery:
        todo = [each.id for each in reencoding.lacking(gallery, NEW_MODEL)]
        for first in range(0, len(todo), BATCH):
            ids = todo[first : first + BATCH]
            rows = np.array([[int(key[:6], 16), 1, 2] for key in ids], np.float32)
            reencoding.put(gallery, NEW_MODEL, ids, rows)
        reencoding.switch(gallery, NEW_MODEL)


def restore(folder: Path) -> None:
    """A backup of an earlier time, over what is there."""
    places = Places(folder / "gallery.db", folder / "journal.db", folder, None)
    with (folder / "backup.zip").open("rb") as file:
        keeping.restore(places, file, who="ann", force=True)


OPERATIONS: dict[str, Callable[[Path], None]] = {
    "enrol": enrol,
    "import": take_in,
    "forget": forget,
    "reencode": reencode,
    "restore": restore,
}


class Steps:
    """Counts them, and kills the process at one."""

    def __init__(self, last: int, delay_us: int) -> None:
        self.count = 0
        self.began = 0
        """At which the first change began; before it, the file is opened and checked."""
        self._last, self._delay_us = last, delay_us
        self._counting = False

    def watch(self, event: str, _: tuple[object, ...]) -> None:
        """An audit hook."""
        if event.startswith(FILE_EVENTS):
            self.tick()

    def connect(self, *arguments: Any, **options: Any) -> sqlite3.Connection:
        """In the place of sqlite3.connect."""
        connection: sqlite3.Connection = CONNECT(*arguments, **options)
        connection.set_progress_handler(self.tick, INSTRUCTIONS)
        connection.set_trace_callback(self.tick if ":memory:" in arguments else self.hear)
        return connection

    def hear(self, statement: str) -> None:
        """Of a statement on a file."""
        if statement.startswith("BEGIN IMMEDIATE") and not self.began:
            self.began = self.count
        self.tick()

    def tick(self, *_: object) -> int:
        """One more."""
        if self._counting:
            return 0
        self._counting = True
        self.count += 1
        if self.count == self._last:
            if self._delay_us:
                threading.Thread(target=self._die, daemon=True).start()
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        self._counting = False
        return 0

    def _die(self) -> None:
        time.sleep(self._delay_us / 1e6)
        os.kill(os.getpid(), signal.SIGKILL)


def live(order: Order, answer: int) -> None:
    """In the forked process."""
    steps = Steps(order.step, order.delay_us)
    sys.addaudithook(steps.watch)
    sqlite3.connect = steps.connect  # type: ignore[assignment]
    OPERATIONS[order.what](Path(order.folder))
    os.write(answer, f"{steps.began} {steps.count}".encode())


def main() -> None:
    print("ready", flush=True)
    for line in sys.stdin:
        order = Order(**json.loads(line))
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                live(order, write)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(write)
        _, status = os.waitpid(child, 0)
        told = os.read(read, 100).split()
        os.close(read)
        code = os.waitstatus_to_exitcode(status)
        print(json.dumps({"code": code, "steps": [int(step) for step in told]}), flush=True)


if __name__ == "__main__":
    main()
