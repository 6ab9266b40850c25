"""Looks through files, byte by byte, for what must not be in them any more: encodings, pictures and names."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gallery.encryption import reading

What = Literal["name", "encoding", "picture", "compressed", "unreadable", "called"]

PIECE_FLOATS = 4
"""An encoding is looked for piece by piece, so that half of one is found too: 16 bytes as float32."""
FEWEST_VALUES = 3
"""A piece of fewer different numbers, such as zeros, may stand anywhere and tells nothing."""
WINDOW_BYTES = 1 << 20
MARGIN_BYTES = 2_048
"""Looked at before and after: the longest name is 255 characters, of at most 6 bytes in JSON's escapes."""
SHORT_BYTES = 4
"""Names up to here turn up in numbers by chance; they count where they stand as text does."""
SHORT_CONTEXT = 8
"""Bytes on either side by which that is told."""
ARCHIVES = (b"PK\x03\x04", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ")
"""How zip (and npz), gzip, zstd and xz files begin: what is in them can't be told from their bytes."""

ID = re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
DIGEST = re.compile(rb"[0-9a-f]{64}$")
NAMED = re.compile(rb'"id"\s*:\s*"([^"]*)"\s*,\s*"name"\s*:\s*"$')


@dataclass(frozen=True, slots=True)
class Remnant:
    """Something that a file still holds."""

    file: Path
    """Which."""
    what: What
    """Of what kind; compressed, unreadable: it can't be looked through; called: the name is in its own."""
    place: int
    """Of its first byte in the file; 0 where it is about the file as a whole."""


@dataclass(frozen=True, slots=True)
class Sought:
    """What to look for, and what looks like it and is not meant."""

    names: tuple[str, ...] = ()
    """The person's."""
    encodings: bytes = b""
    """float32, little-endian, one after the other."""
    pictures: tuple[bytes, ...] = ()
    """Pieces of 16 bytes."""
    others: tuple[str, ...] = ()
    """Texts that stay and may hold a name: other people's names, users of the machine."""
    other_ids: frozenset[str] = frozenset()
    """Of people who stay; a name next to such an id is theirs, should it be the same."""
    words: frozenset[str] = frozenset()
    """Words of the files' own language, in lower case. A name that is one counts next to an id, or as
    the value of "name", and nowhere else."""


@dataclass(slots=True)
class _Name:
    form: bytes
    """As it may stand in a file."""
    edges: tuple[str, str]
    """First and last character."""
    is_word: bool
    is_short: bool
    covers: list[tuple[int, bytes]] = field(default_factory=list)
    """Longer texts that stay, and where in them this name begins."""


def search(
    files: Iterable[Path], sought: Sought, breathe: Callable[[], None] = lambda: None
) -> Iterator[Remnant]:
    """Everything that is found, file by file; a file that is gone meanwhile holds nothing.

    breathe: called after each MiB, for who has other things to do too. OSError where the disk fails.
    """
    names, needles = _forms(sought), _Needles(sought)
    uncommon = [name for name in sought.names if name.lower() not in sought.words]
    for path in files:
        if mentions(path.name, uncommon, sought.others):
            yield Remnant(path, "called", 0)
        try:
            with reading(path) as descriptor:
                beginning = os.pread(descriptor, 8, 0)
                if beginning.startswith(ARCHIVES):
                    yield Remnant(path, "compressed", 0)
                    continue
                for start, window, low, high in _windows(descriptor):
                    for what, place in needles.find(window, low, high):
                        yield Remnant(path, what, start + place)
                    for name in names:
                        for place in _found(window, low, high, name, sought):
                            yield Remnant(path, "name", start + place)
                    breathe()
        except FileNotFoundError:
            continue
        except PermissionError:
            yield Remnant(path, "unreadable", 0)


def mentions(text: str, names: Collection[str], others: Collection[str] = ()) -> bool:
    """Whether a text holds one of the names, and not only as part of another word or name."""
    if not any(name in text or unicodedata.normalize("NFD", name) in text for name in names):
        return False
    sought = Sought(names=tuple(names), others=tuple(others))
    window = b" " + text.encode(errors="replace") + b" "
    return any(any(_found(window, 0, len(window), name, sought)) for name in _forms(sought))


def without(text: str, names: Collection[str], others: Collection[str] = ()) -> str:
    """The text with nothing in the place of those names."""
    sought = Sought(names=tuple(names), others=tuple(others))
    window = b" " + text.encode() + b" "
    for name in _forms(sought):
        for place in sorted(_found(window, 0, len(window), name, sought), reverse=True):
            window = window[:place] + window[place + len(name.form) :]
    return window[1:-1].decode()


def _windows(descriptor: int) -> Iterator[tuple[int, bytes, int, int]]:
    """Where a piece begins in the file, its bytes, and which of them are not the margins'."""
    at = 0
    while True:
        start = max(0, at - MARGIN_BYTES)
        window = os.pread(descriptor, at - start + WINDOW_BYTES + MARGIN_BYTES, start)
        low = at - start
        if len(window) <= low:
            return
        yield start, window, low, min(len(window), low + WINDOW_BYTES)
        at += WINDOW_BYTES


def _forms(sought: Sought) -> list[_Name]:
    """Each name as UTF-8, as JSON writes it with and without escapes, and decomposed, as file systems do."""
    found: dict[bytes, _Name] = {}
    for name in sought.names:
        for write in _WRITINGS:
            form = write(name)
            if form in found:
                continue
            made = _Name(form, (name[0], name[-1]), name.lower() in sought.words, len(form) <= SHORT_BYTES)
            for other in map(write, sought.others):
                at = other.find(form)
                while at >= 0 and other != form:
                    made.covers.append((at, other))
                    at = other.find(form, at + 1)
            found[form] = made
    return list(found.values())


_WRITINGS: tuple[Callable[[str], bytes], ...] = (
    lambda name: name.encode(),
    lambda name: json.dumps(name, ensure_ascii=False)[1:-1].encode(),
    lambda name: json.dumps(name)[1:-1].encode(),
    lambda name: unicodedata.normalize("NFD", name).encode(),
)


def _found(window: bytes, low: int, high: int, name: _Name, sought: Sought) -> Iterator[int]:
    place = window.find(name.form, low)
    while 0 <= place < high:
        if _is_meant(window, place, name, sought):
            yield place
        place = window.find(name.form, place + 1)


def _is_meant(window: bytes, place: int, name: _Name, sought: Sought) -> bool:
    """Whether the name that stands there is the person's."""
    if any(_stands(window, place - at, other) for at, other in name.covers):
        return False
    before = window[max(0, place - 200) : place]
    end = place + len(name.form)
    named = NAMED.search(before)
    if named is not None and window[end : end + 1] == b'"':
        return named.group(1).decode(errors="replace") not in sought.other_ids
    own = ID.search(before)
    if DIGEST.search(before) or (own is not None and own.group().decode() not in sought.other_ids):
        # Columns of one row, which nothing parts.
        return True
    if before[-3:-1] == bytes((3, 13 + 2 * len(name.form) & 0xFF)):
        # A row of the index over all names: SQLite's header of two columns, the first so long.
        return True
    if name.is_word:
        return False
    left, right = _last_character(before), _first_character(window[end : end + 4])
    if _joins(left, name.edges[0]) or _joins(name.edges[1], right):
        return False
    return not name.is_short or (
        _is_text(before[-SHORT_CONTEXT:]) and _is_text(window[end : end + SHORT_CONTEXT])
    )


def _stands(window: bytes, place: int, other: bytes) -> bool:
    return place >= 0 and window.startswith(other, place)


def _joins(first: str, second: str) -> bool:
    """Whether two characters belong to one word. Scripts without capitals write what follows a name to it."""
    return _is_cased(first) and _is_cased(second)


def _is_cased(character: str) -> bool:
    return character.isdigit() or character.lower() != character.upper()


def _is_text(piece: bytes) -> bool:
    """Whether these bytes can be read, but for characters that are cut off at their ends."""
    text = piece.decode(errors="ignore")
    readable = all(character.isprintable() or character.isspace() for character in text)
    return readable and len(piece) - len(text.encode()) <= 3


def _last_character(text: bytes) -> str:
    for length in range(1, 5):
        try:
            return text[-length:].decode()[-1:]
        except UnicodeDecodeError:
            continue
    return "\0"


def _first_character(text: bytes) -> str:
    return text.decode(errors="replace")[:1].replace("\ufffd", "\0")


class _Needles:
    """Hundreds of short pieces of bytes, looked for at once."""

    def __init__(self, sought: Sought) -> None:
        self._pieces: dict[bytes, list[tuple[What, bytes]]] = {}
        self._first, self._second = np.zeros(1 << 16, np.bool_), np.zeros(1 << 16, np.bool_)
        floats = np.frombuffer(sought.encodings, "<f4")
        for start in range(0, len(floats) - PIECE_FLOATS + 1, PIECE_FLOATS):
            piece = floats[start : start + PIECE_FLOATS]
            if len(set(piece.tolist()) - {0.0}) >= FEWEST_VALUES:
                self._add("encoding", piece.tobytes())
                self._add("encoding", piece.astype("<f8").tobytes())
        for picture in sought.pictures:
            if len(set(picture)) >= FEWEST_VALUES:
                self._add("picture", picture)

    def _add(self, what: What, piece: bytes) -> None:
        # Its second four bytes: the first of a float64 that was a float32 are zeros.
        key = piece[4:8]
        first, second = np.frombuffer(key, "<u2").tolist()
        self._first[first] = self._second[second] = True
        self._pieces.setdefault(key, []).append((what, piece))

    def find(self, window: bytes, low: int, high: int) -> Iterator[tuple[What, int]]:
        """What is found, and where it begins, from low on and before high."""
        if not self._pieces or len(window) < 4:
            return
        found = _candidates(np.frombuffer(window, np.uint8), self._first, self._second) - 4
        for place in found[(found >= low) & (found < high)].tolist():
            for what, piece in self._pieces.get(window[place + 4 : place + 8], ()):
                if window.startswith(piece, place):
                    yield what, place


def _candidates(
    window: NDArray[np.uint8], first: NDArray[np.bool_], second: NDArray[np.bool_]
) -> NDArray[np.intp]:
    """Where four bytes stand that may be the beginning of one of the pieces."""
    pairs = window[1:].astype(np.uint16)
    pairs <<= 8
    pairs |= window[:-1]
    return np.flatnonzero(first[pairs[:-2]] & second[pairs[2:]])
