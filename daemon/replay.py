"""Weighs the decisions on a clip again with other settings."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from daemon.playback import Stage, play

if TYPE_CHECKING:
    from daemon.config import Config
    from gallery.faces.engine import FaceEngine
    from gallery.matcher import Index


@dataclass(frozen=True, slots=True)
class Told:
    """One change, as a subscriber would have heard of it."""

    face: int
    """Which face of the clip, counted as they appear."""
    frame: int
    """Index of the deciding frame."""
    kind: str
    """recognized, unknown, corrected or left."""
    name: str | None
    """Who it is from then on; None: nobody of the gallery."""
    distance: float | None
    """To the nearest person."""


def compare(
    source: str, engine: FaceEngine, index: Index, configured: Config, tried: Config
) -> list[tuple[Told | None, Told | None]]:
    """What is told with either configuration, face by face in order; None where one tells less."""
    first, second = (_tell(source, Stage(engine, index, config)) for config in (configured, tried))
    return [
        pair
        for face in sorted(first.keys() | second.keys())
        for pair in zip_longest(first.get(face, []), second.get(face, []))
    ]


def _tell(source: str, stage: Stage) -> dict[int, list[Told]]:
    """The changes of each visit, the visits numbered as their faces appear."""
    faces: dict[str, int] = {}
    told: dict[int, list[Told]] = {}
    for outcome in play(stage, source):
        for face in outcome.faces:
            faces.setdefault(face.visit.id, len(faces))
        for change in outcome.changes:
            visit = change.visit
            number = faces[visit.id]
            told.setdefault(number, []).append(
                Told(
                    number,
                    outcome.frame.index,
                    change.kind,
                    None if visit.person is None else visit.person.name,
                    None if visit.decision is None else visit.decision.distance,
                )
            )
    return told
