"""What it costs to forget somebody of a long journal: the time, and what events wait meanwhile.

uv run python -m benchmarks.forgetting [--events 100000] [--rate 50] [--folder DIR]

Once with the journal in use by a recorder that stores other events, once with nobody there.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.machine import machine_line
from daemon import events
from daemon.events import Event
from daemon.forgetter import Forgetter
from daemon.forgetting import Places, Receipt
from daemon.forgetting_desk import forget_here
from daemon.journal import Journal, Keep
from daemon.recorder import Recorder
from daemon.vocabulary import Life, Sighting
from gallery import forgetting as noted
from gallery.matcher import RunnerUp
from gallery.people import NewReference, PersonName
from gallery.store import Gallery

FOREVER = Keep(1e9, 1 << 40)
QUIET_S = 5.0
"""How long stored events are timed before anybody is forgotten."""


@dataclass(frozen=True, slots=True)
class Home:
    """A state folder with two people, one of whom is in three of five events."""

    folder: Path
    gone: PersonName
    stays: PersonName

    @property
    def places(self) -> Places:
        return Places(self.folder, self.folder / "journal.db", ("door",))


def told(person: PersonName, near: tuple[PersonName, ...]) -> Event:
    """Somebody was recognized; near: who else was told of."""
    candidates = tuple(RunnerUp(each.id, each.name, 0.4) for each in near)
    face = Sighting(
        "door", 1, 1280, 720, time.time_ns(), time.monotonic_ns(), [100.0, 100.0, 200.0, 220.0],
        [[120.5, 140.25]] * 5, 0.9999, person, 0.41, 0.52, candidates[0] if candidates else None, (),
        "dlib-mtcnn-0123456789abcdef", 3, str(uuid.uuid4()), 1, "recognized", 3, None,
    )  # fmt: skip
    return events.life(Life("recognized", face, None, candidates, time.time_ns(), time.time_ns(), None))


def furnish(folder: Path, count: int) -> Home:
    """Makes gallery and journal."""
    random = np.random.default_rng(1)
    people = []
    with Gallery.open(folder / "gallery.db") as gallery:
        for name in ("Annabel Lee", "Bob"):
            references = [
                NewReference(row, "dlib-mtcnn-0123456789abcdef", f"{name}{i}".ljust(64, "0"), f"{i}.jpg", 1.0)
                for i, row in enumerate(random.normal(size=(10, 128)).astype(np.float32))
            ]
            people.append(PersonName(gallery.add(name, references, time.time_ns()).id, name))
    home = Home(folder, *people)
    with Journal.open(home.places.journal, uuid.uuid4().hex) as journal:
        for start in range(0, count, 500):
            journal.append([_nth(home, i) for i in range(start, min(count, start + 500))])
    return home


def _nth(home: Home, number: int) -> Event:
    person = home.gone if number % 2 else home.stays
    return told(person, (home.stays, home.gone) if number % 5 == 0 else ())


def in_use(home: Home, rate: float) -> tuple[float, Receipt, list[float], list[float]]:
    """Seconds, the receipt, and what stored events took in ms before and meanwhile."""
    recorder = Recorder(home.places.journal, uuid.uuid4().hex, FOREVER)
    before: list[float] = []
    meanwhile: list[float] = []
    into, stop = [before], threading.Event()

    def store() -> None:
        while not stop.is_set():
            started_s = time.perf_counter()
            recorder.store([told(home.stays, ())]).result()
            into[0].append(1e3 * (time.perf_counter() - started_s))
            time.sleep(1 / rate)

    storing = threading.Thread(target=store)
    with recorder, Forgetter(home.folder / "gallery.db", None, home.places, recorder) as forgetter:
        storing.start()
        time.sleep(QUIET_S)
        into[0] = meanwhile
        started_s = time.monotonic()
        with Gallery.open(home.folder / "gallery.db") as gallery:
            noted.begin(gallery, home.gone.id, "asked", time.time_ns())
        forgetter.wake()
        while (receipt := forgetter.progress(home.gone.id).receipt) is None:
            # The daemon's loop, before which nobody stands.
            for taking in forgetter.asked():
                passed: Future[bool] = Future()
                passed.set_result(True)
                taking.done.set_result(passed)
            time.sleep(0.02)
        took_s = time.monotonic() - started_s
        stop.set()
        storing.join()
    return took_s, receipt, before, meanwhile


def alone(home: Home) -> tuple[float, Receipt]:
    """Seconds and the receipt, with nobody else there."""
    started_s = time.monotonic()
    with Gallery.open(home.folder / "gallery.db") as gallery:
        receipt = forget_here(gallery, home.places, home.gone.id)
    return time.monotonic() - started_s, receipt


def quantiles(times_ms: list[float]) -> str:
    """Median, 99th percentile, most."""
    ordered = sorted(times_ms)
    told_ms = (statistics.median(ordered), ordered[int(0.99 * len(ordered))], ordered[-1])
    return " / ".join(f"{each:.1f}" for each in told_ms) + f" ms of {len(ordered)}"


def lines(arguments: argparse.Namespace) -> Iterator[str]:
    """What is printed, each line as it is measured."""
    yield machine_line()
    for used in (True, False):
        with tempfile.TemporaryDirectory(prefix="forgetting-", dir=arguments.folder) as folder:
            home = furnish(Path(folder), arguments.events)
            size_mb = home.places.journal.stat().st_size / 1e6
            if used:
                took_s, receipt, before, meanwhile = in_use(home, arguments.rate)
            else:
                took_s, receipt = alone(home)
            counted = f"{receipt.events} of {arguments.events} events, {size_mb:.0f} MB"
            yield f"{'in use' if used else 'alone'}: {took_s:.1f} s, {counted}; verified: {receipt.verified}"
            if used:
                yield f"  a stored event, p50 / p99 / most: before {quantiles(before)}"
                yield f"  meanwhile {quantiles(meanwhile)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    for line in lines(parser.parse_args()):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
