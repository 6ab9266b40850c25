"""Compares every face of some images with every other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gallery.errors import ImageReason, ImageRefused
from gallery.faces.engine import Analysis, FaceEngine
from gallery.faces.types import BgrImage, Encodings
from gallery.images import LoadedImage, open_image, path_text
from gallery.matcher import measured, rounded
from gallery.preparing.geometry import with_margin
from gallery.preparing.options import Length, Margin
from gallery.preparing.reading import Opened, batches
from gallery.preparing.rows import Box
from gallery.preparing.tree import Source

PIXEL_DECIMALS = 2
SCORE_DECIMALS = 4

PORTRAIT = Margin(*[Length(20, percent=True)] * 4)
"""What of a face is kept to be shown."""


@dataclass(frozen=True, slots=True, eq=False)
class ComparedFace:
    """One face of one image."""

    number: int
    """From 1, over all images in the order given and from left to right."""
    image: str
    """The image's path, as it was given."""
    box: Box
    """left, top, right, bottom in pixels of the upright image."""
    landmarks: tuple[tuple[float, float], ...]
    """x, y: left eye, right eye, nose, left and right mouth corner in pixels, left as seen."""
    score: float
    """The detector's confidence, 0 to 1."""
    reasons: tuple[str, ...]
    """Codes of why the face is not fit to decide by; it is compared all the same."""
    portrait: BgrImage
    """The face with a little around it."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two faces and how far they are apart."""

    first: int
    """A face's number; the smaller."""
    second: int
    """The other's."""
    distance: float
    """Euclidean, of their encodings."""


@dataclass(frozen=True, slots=True)
class RefusedImage:
    """An image that could not be opened."""

    image: str
    """Its path, as it was given."""
    reason: ImageReason
    """A code for programs."""
    detail: str
    """One line for a person."""


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Every face and every pair of faces."""

    model: str
    """That made the encodings."""
    faces: tuple[ComparedFace, ...]
    """In the order of their numbers."""
    pairs: tuple[Pair, ...]
    """The nearest first; of equally near ones by their numbers."""
    refused: tuple[RefusedImage, ...]
    """Images that could not be opened."""
    faceless: tuple[str, ...]
    """Images on which no face was found."""

    def table(self) -> NDArray[np.float64]:
        """float64[n, n]: the distance of each face to each, 0 to itself."""
        distances = np.zeros((len(self.faces), len(self.faces)))
        for pair in self.pairs:
            distances[pair.first - 1, pair.second - 1] = pair.distance
            distances[pair.second - 1, pair.first - 1] = pair.distance
        return distances


def compare(
    images: Sequence[Path], engine: FaceEngine, progress: Callable[[object], None] = lambda image: None
) -> Comparison:
    """Opens the images, finds all faces on them, and measures. progress is called once an image."""
    faces: list[ComparedFace] = []
    encodings: list[Encodings] = []
    refused, faceless = [], []
    for path, image, analysis in _in_order(images, engine, progress):
        name = path_text(path)
        if isinstance(image, ImageRefused):
            refused.append(RefusedImage(name, image.reason, image.detail))
        elif analysis is None or not len(analysis.faces):
            faceless.append(name)
        else:
            order = sorted(range(len(analysis.faces)), key=lambda row: tuple(analysis.faces.boxes[row]))
            faces += [
                _face(len(faces) + 1 + place, name, image, analysis, row) for place, row in enumerate(order)
            ]
            encodings.append(analysis.encodings[order])
    return Comparison(engine.model, tuple(faces), _pairs(encodings), tuple(refused), tuple(faceless))


def _in_order(
    images: Sequence[Path], engine: FaceEngine, progress: Callable[[object], None]
) -> Iterator[tuple[Path, LoadedImage | ImageRefused, Analysis | None]]:
    """What was found on each, in the order given, however they were batched."""
    found: dict[int, tuple[LoadedImage | ImageRefused, Analysis | None]] = {}
    for batch in batches(_opened(images)):
        pictures = [each.image.bgr for each in batch if isinstance(each.image, LoadedImage)]
        analyses = iter(engine.analyse(pictures) if pictures else [])
        for each in batch:
            opened = isinstance(each.image, LoadedImage)
            found[int(each.source.name)] = each.image, next(analyses) if opened else None
            progress(each.source.path)
    for place, path in enumerate(images):
        yield path, *found[place]


def _opened(images: Sequence[Path]) -> Iterator[Opened]:
    for place, path in enumerate(images):
        source = Source(str(place), path, -1, -1)
        try:
            yield Opened(source, open_image(path))
        except ImageRefused as refused:
            yield Opened(source, refused)


def _face(number: int, name: str, image: LoadedImage, analysis: Analysis, row: int) -> ComparedFace:
    faces = analysis.faces
    left, top, right, bottom = (round(float(edge), PIXEL_DECIMALS) for edge in faces.boxes[row])
    height, width = image.bgr.shape[:2]
    first, upper, last, lower = with_margin((left, top, right, bottom), PORTRAIT, width, height)
    return ComparedFace(
        number,
        name,
        (left, top, right, bottom),
        tuple(
            (round(float(x), PIXEL_DECIMALS), round(float(y), PIXEL_DECIMALS))
            for x, y in faces.landmarks[row]
        ),
        round(float(faces.scores[row]), SCORE_DECIMALS),
        tuple(analysis.qualities[row].reasons),
        image.bgr[upper:lower, first:last].copy(),
    )


def _pairs(encodings: Sequence[Encodings]) -> tuple[Pair, ...]:
    if not encodings:
        return ()
    rows = np.concatenate(encodings)
    pairs = [
        Pair(place + 1, place + 2 + other, rounded(distance))
        for place in range(len(rows) - 1)
        for other, distance in enumerate(measured(rows[place + 1 :], rows[place]))
    ]
    return tuple(sorted(pairs, key=lambda pair: (pair.distance, pair.first, pair.second)))
