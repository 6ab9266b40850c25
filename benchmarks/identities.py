"""Photographs of many people as encodings, and who is on them: what open-set benchmarks draw from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.pairs import main_faces, photographs
from gallery.faces.chip_encoder import ChipEncoder

AT_ONCE = 16


@dataclass(frozen=True, slots=True, eq=False)
class Identities:
    """Everybody's encodings."""

    model: str
    """What made them."""
    owners: NDArray[np.intp]
    """intp[n]: who is on photograph i; people count from 0."""
    encodings: NDArray[np.float32]
    """float32[n, d]."""

    def by_person(self) -> list[NDArray[np.intp]]:
        """The photographs of each person."""
        return [np.flatnonzero(self.owners == owner) for owner in range(self.owners.max() + 1)]

    def take(self, people: NDArray[np.intp]) -> Identities:
        """These people alone, counted anew."""
        places = {int(person): place for place, person in enumerate(people)}
        kept = np.flatnonzero(np.isin(self.owners, people))
        owners = np.array([places[int(owner)] for owner in self.owners[kept]], np.intp)
        return Identities(self.model, owners, self.encodings[kept])


def read_identities(folder: Path, encoder: ChipEncoder, device: str) -> Identities:
    """A folder of folders, one a person; photographs without a face that is found are left out."""
    files = photographs(folder)
    names = sorted({file.parent.name for file in files})
    place: Mapping[str, int] = {name: i for i, name in enumerate(names)}
    owners: list[int] = []
    rows: list[NDArray[np.float32]] = []
    for start in range(0, len(files), AT_ONCE):
        batch = files[start : start + AT_ONCE]
        found = list(main_faces(batch, device))
        encoded = encoder.encode_many([bgr for bgr, _ in found], [faces for _, faces in found])
        for file, each in zip(batch, encoded, strict=True):
            owners += [place[file.parent.name]] * len(each)
            rows.append(each)
    return Identities(encoder.model, np.array(owners, np.intp), np.concatenate(rows))
