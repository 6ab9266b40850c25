"""Makes small galleries, references and pictures for tests."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from gallery.matcher import Index
from gallery.people import NewReference, PersonName

MODEL = "dlib-mtcnn-0123456789abcdef"
ENROLLED_UNIX_NS = 1_700_000_000_000_000_000


def person(name: str) -> PersonName:
    """A person whose id follows from the name."""
    return PersonName(f"id-of-{name}", name)


def index_of(encodings: Mapping[str, Sequence[Sequence[float]]]) -> Index:
    """An index of these people's encodings, enrolled in this order."""
    owners = [place for place, rows in enumerate(encodings.values()) for _ in rows]
    rows = [row for person_rows in encodings.values() for row in person_rows]
    return Index.of(
        [person(name) for name in encodings], owners, rows or np.zeros((0, 0)), model=MODEL, revision=1
    )


def reference(source_name: str, encoding: ArrayLike = (0.0, 0.0), model: str = MODEL) -> NewReference:
    """A reference whose image is told apart by its name."""
    return NewReference(
        encoding=np.asarray(encoding, np.float32),
        model=model,
        source_digest=hashlib.sha256(source_name.encode()).hexdigest(),
        source_name=source_name,
        quality=0.5,
    )
