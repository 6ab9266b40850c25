"""kill -9 in the middle of enrol, import, forget, reencode, restore: the gallery is as before or as after."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from daemon import keeping
from daemon.journal import Journal
from daemon.journal_tables import connect_to_read
from daemon.keeping import Places
from gallery import backup
from gallery.store import Gallery
from tests.conftest import REPOSITORY
from tests.daemon.journaling import EPOCH, numbered
from tests.faults.dying import OPERATIONS, Order
from tests.gallery.carrying import exported, fill

KILLED = -9
POINTS = 50
"""At which each operation is killed: 250 in all."""
MEMORY = Path("/dev/shm")
"""What a process wrote outlives it in any file system; here nobody waits for a disk that others use."""
EVENTS, LATER_EVENTS = 6, 4


class Nursery:
    """Has processes do things to galleries, and die."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.dying"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        )
        assert self._answer() == "ready"

    def run(self, what: str, folder: Path, step: int = 0, delay_us: int = 0) -> tuple[int, list[int]]:
        """Exit code; and, if it lived to tell, the step of the first change and how many there were."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(Order(what, str(folder), step, delay_us))) + "\n")
        self._process.stdin.flush()
        told = json.loads(self._answer())
        return told["code"], told["steps"]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    opened = Nursery()
    yield opened
    opened.close()


def places(folder: Path) -> Places:
    return Places(folder / "gallery.db", folder / "journal.db", folder, None)


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    """Where all state folders are."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def state(root: Path) -> Path:
    """A state folder with a backup of an earlier time, and an archive of other people."""
    folder = root / "state"
    folder.mkdir()
    fill(folder / "gallery.db")
    with Journal.open(folder / "journal.db", EPOCH) as journal:
        journal.append([numbered(i) for i in range(EVENTS)])
    saved = io.BytesIO()
    keeping.back_up(places(folder), saved)
    (folder / "backup.zip").write_bytes(saved.getvalue())
    with Gallery.open(folder / "gallery.db") as gallery:
        gallery.rename("person 2", "later")
    with Journal.open(folder / "journal.db", EPOCH) as journal:
        journal.append([numbered(i) for i in range(EVENTS, EVENTS + LATER_EVENTS)])
    other = root / "other"
    other.mkdir()
    fill(other / "gallery.db", people=4, references=6)
    with Gallery.open(other / "gallery.db") as gallery:
        for person in gallery.people():
            gallery.connection.execute(
                "UPDATE reference SET source_digest = ? || substr(source_digest, 5) WHERE person_id = ?",
                ("eeee", person.id),
            )
            gallery.rename(person.name, f"other {person.name}")
    (folder / "archive.zip").write_bytes(exported(other / "gallery.db"))
    return folder


Content = tuple[object, ...]


def content(folder: Path, what: str) -> Content:
    """What the gallery is, but for ids that are drawn anew; opening it finds it sound."""
    with Gallery.open(folder / "gallery.db", create=False) as gallery:
        execute = gallery.connection.execute
        model = gallery.model
        assert model is not None
        index = gallery.index(model)
        served = (model, [person.name for person in index.people], index.owners.tolist())
        numbers = (index.encodings.tobytes(), index.not_encodings.tobytes(), str(index.thresholds))
        if what == "reencode":
            # The second space grows by and by; what is matched with is one of the two.
            return (*served, *numbers)
        references = execute(
            """SELECT name, source_name, source_digest, is_not, set_aside,
                      (SELECT count(*) FROM encoding WHERE reference_id = reference.id),
                      (SELECT checksum FROM crop WHERE reference_id = reference.id)
               FROM reference JOIN person ON person.id = person_id ORDER BY 1, 2, 3"""
        ).fetchall()
        people = execute(
            "SELECT name, consent_basis, expires_unix_ns, note FROM person ORDER BY 1"
        ).fetchall()
        trail = [entry.what for entry in gallery.trail()]
        return (*served, *numbers, references, people, trail)


@dataclass(frozen=True, slots=True)
class Known:
    """An operation, measured once."""

    before: Content
    after: Content
    began: int
    steps: int


@pytest.fixture(scope="module")
def known(nursery: Nursery, state: Path, root: Path) -> dict[str, Known]:
    found = {}
    for what in OPERATIONS:
        folder = root / what
        shutil.copytree(state, folder)
        before = content(folder, what)
        code, steps = nursery.run(what, folder)
        assert code == 0, what
        after = content(folder, what)
        assert after != before, what
        found[what] = Known(before, after, *steps)
    return found


def head(folder: Path) -> int:
    """The number that was given last, as the next daemon will know it."""
    with Journal.open(folder / "journal.db", EPOCH) as journal:
        return journal.head


def events(folder: Path) -> int:
    connection = connect_to_read(folder / "journal.db")
    try:
        return int(connection.execute("SELECT count(*) FROM event").fetchone()[0])
    finally:
        connection.close()


def test_there_are_many_places_to_die_at(known: dict[str, Known]) -> None:
    assert min(each.steps - each.began for each in known.values()) > 20


@pytest.mark.parametrize("what", sorted(OPERATIONS))
@settings(
    max_examples=POINTS,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    place=st.integers(-150, 999),
    delay_us=st.sampled_from([0, 0, 100, 400, 1500]),
)
def test_a_kill_leaves_the_gallery_as_before_or_as_after(
    nursery: Nursery,
    state: Path,
    known: dict[str, Known],
    root: Path,
    what: str,
    place: int,
    delay_us: int,
) -> None:
    folder = root / "dying"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(state, folder)
    # Some while it is opened, most from the first change on.
    began, steps = known[what].began, known[what].steps
    step = 1 + (began * (place + 150) // 150 if place < 0 else began + (steps - began) * place // 1000)
    code, lived = nursery.run(what, folder, step, delay_us)
    found = content(folder, what)
    if code == 0:
        # It was done within the delay; or, since ids are drawn anew, in a few steps less than the first time.
        assert delay_us or lived[1] < step
        assert found == known[what].after
    else:
        assert code == KILLED
        assert found in (known[what].before, known[what].after)
    event(f"{'before' if found == known[what].before else 'after'}")
    # No event number is given twice, whatever became of the journal.
    assert events(folder) in (EVENTS, EVENTS + LATER_EVENTS)
    assert head(folder) >= EVENTS + LATER_EVENTS
    # What was broken off can be done again, and then it is done.
    if found == known[what].before:
        assert nursery.run(what, folder)[0] == 0
        assert content(folder, what) == known[what].after
    backup.sweep(folder)
    assert not [path for path in folder.iterdir() if path.name.startswith(backup.WORKSHOP)]
