"""Says who is on one image: every face, decided as it is, with the reasons to doubt it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gallery.decision import Decision, Rules, Why
from gallery.errors import ImageReason, ImageRefused
from gallery.faces.engine import FaceEngine
from gallery.faces.types import BgrImage, Encodings
from gallery.images import open_image, path_text
from gallery.matcher import RunnerUp
from gallery.people import PersonName, check_model

PIXEL_DECIMALS = 2
"""A hundredth of a pixel is finer than any detector."""
SCORE_DECIMALS = 4


class Matcher(Protocol):
    """Where people are kept and looked up: the gallery's file, or a running daemon that has it open."""

    @property
    def model(self) -> str | None:
        """The model of the encodings kept; None: nothing is kept yet."""

    def decide(self, encodings: Encodings, rules: Rules) -> list[Decision]:
        """Who the faces of one picture are, among everybody of this moment."""


@dataclass(frozen=True, slots=True)
class IdentifiedFace:
    """One face of an image, and who it is."""

    box: tuple[float, ...]
    """left, top, right, bottom in pixels of the upright image."""
    landmarks: tuple[tuple[float, float], ...]
    """x, y: left eye, right eye, nose, left and right mouth corner in pixels, left as seen."""
    score: float
    """The detector's confidence, 0 to 1."""
    person: PersonName | None
    """None: nobody of the gallery."""
    distance: float | None
    """Euclidean, to the nearest enrolled encoding, named or not; None: the gallery is empty."""
    threshold: float
    """The distance up to which the nearest person would be named."""
    runner_up: RunnerUp | None
    """The second nearest person, whether or not the nearest is named; None: fewer than two are enrolled."""
    reasons: tuple[str, ...]
    """Codes of why the face is not fit to decide by; it is decided all the same."""
    why: Why
    """What decided."""


@dataclass(frozen=True, slots=True)
class IdentifiedImage:
    """One image and who is on it."""

    image: str
    """Its path, as it was given."""
    error: ImageReason | None
    """Why it could not be opened; None: it was."""
    detail: str | None
    """One line for a person that goes with the error."""
    faces: tuple[IdentifiedFace, ...]
    """Empty on an error, and where there is no face."""


def identify(path: Path, engine: FaceEngine, people: Matcher, rules: Rules) -> IdentifiedImage:
    """Opens one image and says who is on it; raises ModelMismatch, but never for what the image is."""
    try:
        image = open_image(path)
    except ImageRefused as refused:
        return IdentifiedImage(path_text(path), refused.reason, refused.detail, ())
    return IdentifiedImage(path_text(path), None, None, identify_faces(image.bgr, engine, people, rules))


def identify_faces(
    bgr: BgrImage, engine: FaceEngine, people: Matcher, rules: Rules
) -> tuple[IdentifiedFace, ...]:
    """Everybody on a picture that is open already, from left to right."""
    check_model(people.model, engine.model)
    (analysis,) = engine.analyse([bgr])
    faces = analysis.faces
    decisions = people.decide(analysis.encodings, rules) if len(faces) else []
    found = [
        IdentifiedFace(
            box=tuple(round(float(edge), PIXEL_DECIMALS) for edge in faces.boxes[row]),
            landmarks=tuple(
                (round(float(x), PIXEL_DECIMALS), round(float(y), PIXEL_DECIMALS))
                for x, y in faces.landmarks[row]
            ),
            score=round(float(faces.scores[row]), SCORE_DECIMALS),
            person=decision.person,
            distance=decision.distance,
            threshold=decision.threshold,
            runner_up=decision.runner_up,
            reasons=tuple(analysis.qualities[row].reasons),
            why=decision.why,
        )
        for row, decision in enumerate(decisions)
    ]
    return tuple(sorted(found, key=lambda face: face.box))
