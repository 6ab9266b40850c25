"""Enrols people from image files: one transaction a person, a reason for every image that is not taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gallery import face_crop
from gallery.enrolment_plan import Plan, Refused
from gallery.errors import DuplicateImage, ImageRefused
from gallery.faces.engine import Analysis, FaceEngine
from gallery.images import LoadedImage, open_image, path_text
from gallery.people import NewReference, PeopleStore, PersonName, check_model, printable
from gallery.strict import Strict

SMALLEST_FACE_PX = 40
"""A face's shorter side. Below it, dlib's chip of 150 pixels is mostly made up."""

BATCH_IMAGES = 16
BATCH_PIXELS = 16_000_000
"""How much is handed to the engine at once: 48 MB of pixels, or one image that is larger."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What an image must be to become a reference."""

    largest: bool = False
    """Take the largest of several faces instead of refusing the image."""
    smallest_face_px: float = SMALLEST_FACE_PX
    """The shorter side of the face's box, in pixels of the image."""
    keep_crops: bool = False
    """A picture of the face is kept with the reference."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """An image that became a reference."""

    person: PersonName
    """Whose."""
    image: str
    """Its path, as it was given."""


@dataclass(frozen=True, slots=True)
class EnrolmentReport:
    """What became of every image."""

    enrolled: tuple[Enrolled, ...]
    """Those that are references now."""
    refused: tuple[Refused, ...]
    """All others, and what was no image of anybody."""


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    name: str
    path: Path
    outcome: NewReference | Refused


def enroll(
    store: PeopleStore,
    engine: FaceEngine,
    plan: Plan,
    enrolled_unix_ns: int,
    rules: Rules | None = None,
    progress: Callable[[str], None] = lambda image: None,
    strict: Strict | None = None,
) -> EnrolmentReport:
    """Judges every image of the plan and adds each person with what was taken, all of it or none.

    progress is called with each image's path when it was judged; what strict refuses is not taken.
    Raises ModelMismatch before anything is opened; if the store fails, who was added before stays added.
    """
    check_model(store.model, engine.model)
    enrolled: list[Enrolled] = []
    refused = list(plan.refused)
    judged = _judge(store, engine, plan, rules or Rules(), progress)
    for name, outcomes in groupby(judged, key=lambda each: each.name):
        taken: list[tuple[Path, NewReference]] = []
        for each in outcomes:
            if isinstance(each.outcome, Refused):
                refused.append(each.outcome)
            elif refusal := strict and strict.judge(name, each.outcome):
                refused.append(Refused(path_text(each.path), *refusal))
            else:
                taken.append((each.path, each.outcome))
        _add(store, name, taken, enrolled_unix_ns, enrolled, refused)
    return EnrolmentReport(tuple(enrolled), tuple(refused))


def _add(
    store: PeopleStore,
    name: str,
    taken: list[tuple[Path, NewReference]],
    enrolled_unix_ns: int,
    enrolled: list[Enrolled],
    refused: list[Refused],
) -> None:
    while taken:
        try:
            person = store.add(name, [reference for _, reference in taken], enrolled_unix_ns)
        except DuplicateImage as error:
            # Somebody else enrolled it since we asked; the others are still wanted.
            again = [path for path, reference in taken if reference.source_digest == error.source_digest]
            refused += [Refused(path_text(path), "duplicate_image", str(error)) for path in again]
            taken = [each for each in taken if each[0] not in again]
        else:
            enrolled += [Enrolled(PersonName(person.id, person.name), path_text(path)) for path, _ in taken]
            return


def _judge(
    store: PeopleStore, engine: FaceEngine, plan: Plan, rules: Rules, progress: Callable[[str], None]
) -> Iterator[_Judged]:
    """Every image of the plan in its order, opened and analysed in batches that may span people."""
    for batch in _batches(_open(store, plan)):
        pictures = [image.bgr for _, _, image in batch if isinstance(image, LoadedImage)]
        found = iter(engine.analyse(pictures) if pictures else [])
        for name, path, image in batch:
            if isinstance(image, LoadedImage):
                outcome = _reference(path, image, next(found), engine.model, rules)
            else:
                outcome = image
            progress(path_text(path))
            yield _Judged(name, path, outcome)


_Opened = tuple[str, Path, LoadedImage | Refused]


def _open(store: PeopleStore, plan: Plan) -> Iterator[_Opened]:
    seen: dict[str, Path] = {}
    for person in plan.people:
        for path in person.images:
            yield person.name, path, _open_one(store, path, plan.tree, seen)


def _open_one(
    store: PeopleStore, path: Path, tree: Path | None, seen: dict[str, Path]
) -> LoadedImage | Refused:
    try:
        image = open_image(path, tree)
    except ImageRefused as error:
        return Refused(path_text(path), error.reason, error.detail)
    owner = store.owner(image.digest)
    if owner is not None:
        return Refused(path_text(path), "duplicate_image", str(DuplicateImage(image.digest, owner.name)))
    if image.digest in seen:
        return Refused(
            path_text(path), "duplicate_image", f"the same image as {path_text(seen[image.digest])}"
        )
    seen[image.digest] = path
    return image


def _batches(opened: Iterable[_Opened]) -> Iterator[list[_Opened]]:
    batch: list[_Opened] = []
    pixels = 0
    for each in opened:
        own = each[2].bgr.size // 3 if isinstance(each[2], LoadedImage) else 0
        if batch and (len(batch) == BATCH_IMAGES or pixels + own > BATCH_PIXELS):
            yield batch
            batch, pixels = [], 0
        batch.append(each)
        pixels += own
    if batch:
        yield batch


def _reference(
    path: Path, image: LoadedImage, analysis: Analysis, model: str, rules: Rules
) -> NewReference | Refused:
    rows = _rows_to_choose_from(analysis)
    if not len(rows):
        detail = "no face was found; is it upright, sharp and seen from the front?"
        return Refused(path_text(path), "no_face", detail)
    if len(rows) > 1 and not rules.largest:
        detail = f"{len(rows)} faces were found; cut the picture, or take the largest with --largest"
        return Refused(path_text(path), "several_faces", detail)
    boxes = analysis.faces.boxes[rows]
    sides = boxes[:, 2:] - boxes[:, :2]
    largest = int(np.argmax(sides.prod(axis=1)))
    shorter_px = float(sides[largest].min())
    if shorter_px < rules.smallest_face_px:
        detail = f"the face is {shorter_px:.0f} pixels, at least {rules.smallest_face_px:.0f} are needed"
        return Refused(path_text(path), "face_too_small", detail)
    row = int(rows[largest])
    return NewReference(
        encoding=analysis.encodings[row],
        model=model,
        source_digest=image.digest,
        source_name=printable(path.name),
        quality=float(analysis.qualities[row].value),
        crop=face_crop.cut(image.bgr, analysis.faces, row) if rules.keep_crops else None,
    )


def _rows_to_choose_from(analysis: Analysis) -> NDArray[np.intp]:
    """The faces of which there must be one, without those that the detector doubts beside one it is sure of.

    The official portrait of Barack Obama has a second "face" on the tie, of a twentieth of the size.
    """
    sure = ["low_confidence" not in quality.reasons for quality in analysis.qualities]
    return np.flatnonzero(sure) if any(sure) else np.arange(len(sure))
