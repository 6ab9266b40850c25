"""Enrols, renames and forgets without end in one gallery, to be killed in the middle: argv is its path."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np

from gallery.store import Gallery
from tests.gallery.builders import ENROLLED_UNIX_NS, reference

REFERENCES = 20
"""How many each person has, in one transaction."""


def main() -> None:
    with Gallery.open(Path(sys.argv[1])) as gallery:
        print("open", flush=True)
        start = gallery.revision
        for i in itertools.count(start):
            encoding = np.full(128, i, np.float32)
            gallery.add(
                f"person {i}",
                [reference(f"{i}-{j}.jpg", encoding) for j in range(REFERENCES)],
                ENROLLED_UNIX_NS + i,
            )
            if i % 3 == 0:
                gallery.rename(f"person {i}", f"renamed {i}")
            if i % 5 == 0:
                gallery.forget(gallery.people()[0].name)


if __name__ == "__main__":
    main()
