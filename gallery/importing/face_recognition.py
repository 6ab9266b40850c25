"""What users of face_recognition keep: encodings with names, in a pickle of one of the usual shapes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gallery.errors import DuplicateImage, GalleryError
from gallery.faces import models
from gallery.importing.pickled import read
from gallery.importing.pickled_words import Array, PickleRefused
from gallery.people import NewReference, PeopleStore, check_model, clean_name, printable

DIMENSIONS = 128
MOST_ENCODINGS = 1_000_000
SHORTEST, LONGEST = 0.5, 3.0
"""Lengths of dlib's encodings are about 1.4; what is far off is none."""
UNKNOWN_QUALITY = 0.5
"""The picture is not there to be judged; audit calls it low below 0.4."""
NAMES = ("names", "known_names", "known_face_names", "labels")
ENCODINGS = ("encodings", "known_encodings", "known_face_encodings", "embeddings")


@dataclass(frozen=True, slots=True)
class Known:
    """One person of a pickle."""

    name: str
    """Clean."""
    encodings: tuple[NDArray[np.float32], ...]
    """float32[128] each, finite."""


def model() -> str:
    """Of face_recognition's encodings: dlib's net behind dlib's own five landmarks.

    Its boxes are of another detector, which moves the landmarks little: they are predicted within the box.
    """
    digests = [*models.detector_digests(), models.DLIB_RESNET.sha256, models.DLIB_FIVE_POINTS.sha256]
    return models.model_text("dlib", "dlib", digests)


def people(content: bytes) -> list[Known]:
    """Everybody in a pickle, in its order; PickleRefused or NameRefused where it is not of a usual shape.

    {"names": [...], "encodings": [...]}, (names, encodings) or either order, {name: encoding or encodings}.
    """
    found: dict[str, list[NDArray[np.float32]]] = {}
    for count, (name, encoding) in enumerate(_pairs(read(content)), 1):
        # A pickle of a few bytes can hold one list a million times.
        if count > MOST_ENCODINGS:
            raise PickleRefused(f"it holds more than {MOST_ENCODINGS} encodings")
        found.setdefault(clean_name(_text(name)), []).append(encoding)
    if not found:
        raise PickleRefused("there is nobody in it")
    return [Known(name, tuple(encodings)) for name, encodings in found.items()]


def take_in(
    store: PeopleStore, known: Sequence[Known], source_name: str, unix_ns: int
) -> tuple[dict[str, int], dict[str, int]]:
    """Adds everybody's encodings that are not there yet; how many were added, and were there, by name.

    ModelMismatch where the gallery's encodings are of another alignment or net.
    """
    check_model(store.model, model())
    added: dict[str, int] = {}
    present: dict[str, int] = {}
    for person in known:
        references = {each.source_digest: each for each in _references(person, source_name)}
        new = [each for digest, each in references.items() if store.owner(digest) is None]
        present[person.name] = len(person.encodings) - len(new)
        if new:
            try:
                store.add(person.name, new, unix_ns)
            except DuplicateImage as error:
                raise GalleryError(
                    f"{person.name}: {error}; somebody else enrols just now, try again"
                ) from error
        added[person.name] = len(new)
    return added, present


def _references(person: Known, source_name: str) -> Iterator[NewReference]:
    for number, encoding in enumerate(person.encodings, 1):
        yield NewReference(
            encoding=encoding,
            model=model(),
            # There is no picture; so the same encoding does not come in twice.
            source_digest=hashlib.sha256(encoding.astype("<f4").tobytes()).hexdigest(),
            source_name=f"{printable(source_name)} {number}",
            quality=UNKNOWN_QUALITY,
        )


def _pairs(value: object) -> Iterator[tuple[object, NDArray[np.float32]]]:
    if isinstance(value, Mapping):
        names = next((value[key] for key in NAMES if key in value), None)
        encodings = next((value[key] for key in ENCODINGS if key in value), None)
        if names is not None and encodings is not None:
            yield from _beside(names, encodings)
            return
        for name, kept in value.items():
            for encoding in _encodings(kept):
                yield name, encoding
        return
    if isinstance(value, list | tuple) and len(value) == 2:
        first, second = value
        swapped = isinstance(second, list | tuple) and all(isinstance(each, str) for each in second)
        yield from _beside(second, first) if swapped else _beside(first, second)
        return
    raise PickleRefused('it must be {"names": […], "encodings": […]} or {name: encodings}')


def _beside(names: object, encodings: object) -> Iterator[tuple[object, NDArray[np.float32]]]:
    if not isinstance(names, list | tuple):
        raise PickleRefused("the names must be a list")
    rows = _encodings(encodings)
    for name in names:
        row = next(rows, None)
        if row is None:
            raise PickleRefused("there are more names than encodings")
        yield name, row
    if next(rows, None) is not None:
        raise PickleRefused("there are more encodings than names")


def _encodings(value: object) -> Iterator[NDArray[np.float32]]:
    """One or several, as arrays, as lists of arrays, or as lists of numbers."""
    if isinstance(value, Array):
        yield from _rows(value)
    elif not isinstance(value, list | tuple):
        raise PickleRefused("what should be an encoding is none")
    elif _is_row(value):
        yield _row(value)
    else:
        for each in value:
            if isinstance(each, Array):
                yield from _rows(each)
            elif isinstance(each, list | tuple) and _is_row(each):
                yield _row(each)
            else:
                raise PickleRefused("what should be an encoding is none")


def _is_row(value: Sequence[object]) -> bool:
    return len(value) == DIMENSIONS and all(type(each) is float or type(each) is int for each in value)


def _row(value: Sequence[object]) -> NDArray[np.float32]:
    try:
        return _checked(np.array(value, np.float64))
    except OverflowError:
        raise PickleRefused("what should be an encoding is none of dlib's") from None


def _rows(value: Array) -> list[NDArray[np.float32]]:
    if value.content is None:
        raise PickleRefused("it is damaged: an array has no content")
    rows = value.content if value.content.ndim == 2 else value.content[None]
    return [_checked(row) for row in rows]


def _checked(row: NDArray[np.floating]) -> NDArray[np.float32]:
    if row.shape != (DIMENSIONS,):
        raise PickleRefused(f"an encoding of face_recognition has {DIMENSIONS} numbers, not {row.size}")
    encoding = row.astype(np.float32)
    if not np.isfinite(encoding).all() or not SHORTEST <= float(np.linalg.norm(encoding)) <= LONGEST:
        raise PickleRefused("what should be an encoding is none of dlib's")
    return encoding


def _text(name: object) -> str:
    if isinstance(name, bytes):
        return name.decode("utf-8", "replace")
    if not isinstance(name, str):
        raise PickleRefused("a name is no text")
    return name
