"""A state folder with people and events about them, for tests of forgetting."""

from __future__ import annotations

import json
import unicodedata
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daemon import events
from daemon.events import Event, Life
from daemon.forgetting import Places
from daemon.journal import Journal
from daemon.vocabulary import LifeKind
from gallery.matcher import RunnerUp
from gallery.people import Person, PersonName
from gallery.store import Gallery
from tests.daemon.event_samples import NAMED
from tests.daemon.journaling import EPOCH
from tests.gallery.builders import ENROLLED_UNIX_NS, reference


@dataclass(frozen=True, slots=True)
class State:
    """A state folder."""

    folder: Path

    @property
    def gallery(self) -> Path:
        return self.folder / "gallery.db"

    @property
    def journal(self) -> Path:
        return self.folder / "journal.db"

    @property
    def places(self) -> Places:
        return Places(self.folder, self.journal, ("door",))

    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file())


def looks(seed: int, count: int = 1) -> NDArray[np.float32]:
    """float32[count, 128]: encodings that nobody else has."""
    return np.random.default_rng(seed).normal(size=(count, 128)).astype(np.float32)


def enrol(gallery: Gallery, name: str, seed: int, *, pictures: bool = True) -> Person:
    """Somebody with three references, and a picture of each."""
    references = [reference(f"{name} {seed}-{i}.jpg", row) for i, row in enumerate(looks(seed, 3))]
    person = gallery.add(name, references, ENROLLED_UNIX_NS)
    if pictures:
        with gallery.change():
            for kept in gallery.references(name):
                picture = np.random.default_rng(zlib.crc32(kept.id.encode())).bytes(3_000)
                gallery.connection.execute("INSERT INTO crop VALUES (?, ?, 0)", (kept.id, picture))
    return person


def named(person: Person | PersonName) -> PersonName:
    return PersonName(person.id, person.name)


def told(
    kind: LifeKind,
    person: PersonName | None,
    previous: PersonName | None = None,
    candidates: Sequence[PersonName] = (),
) -> Event:
    """A life event that names them."""
    near = tuple(RunnerUp(each.id, each.name, 0.4 + i / 10) for i, each in enumerate(candidates))
    face = replace(NAMED, person=person, runner_up=near[-1] if near else None)
    return events.life(Life(kind, face, previous, near, 1, 2, 0.3 if kind == "left" else None))


def write(journal: Path, happened: Iterable[Event]) -> None:
    with Journal.open(journal, EPOCH) as opened:
        batch: list[Event] = []
        for event in happened:
            batch.append(event)
            if len(batch) == 500:
                opened.append(batch)
                batch = []
        if batch:
            opened.append(batch)


def traces(files: Iterable[Path], names: Iterable[str], encodings: NDArray[np.float32]) -> list[str]:
    """Whatever of these stands in the files, found without the help of what is tested."""
    pieces: dict[bytes, str] = {}
    for name in names:
        for form in (name, unicodedata.normalize("NFD", name)):
            pieces[form.encode()] = name
            pieces[form.encode("utf-16-le")] = name
            pieces[json.dumps(form)[1:-1].encode()] = name
            pieces[json.dumps(form, ensure_ascii=False)[1:-1].encode()] = name
    for i, row in enumerate(encodings):
        for start in range(0, len(row), 2):
            # Eight bytes: no piece of an encoding is so short that it may be there by chance.
            pieces[row[start : start + 2].tobytes()] = f"encoding {i} as float32"
            pieces[row[start : start + 2].astype("<f8").tobytes()] = f"encoding {i} as float64"
    found = []
    for file in files:
        content = file.read_bytes()
        found += [f"{file.name}: {what}" for piece, what in pieces.items() if piece in content]
    return found
