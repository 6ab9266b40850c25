"""The clips that benchmarks of tracks play, who is enrolled for them, and what playing one gave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gallery.matcher import Index
from gallery.people import PersonName

if TYPE_CHECKING:
    from gallery.faces.engine import FaceEngine
    from gallery.faces.types import BgrImage

CLIPS = Path(__file__).parent.parent.parent / "shared" / "data" / "fixtures"

Person = tuple[str, str, int]
"""Name, file below the data's folder, frame (0 for a picture)."""
MAN_A: Person = ("man a", "clips/asl_thanks.mkv", 24)
MAN_B: Person = ("man b", "clips/asl_again.mkv", 20)
WOMAN: Person = ("woman", "clips/headpose_woman.mp4", 12)
HEADPOSE_MAN: Person = ("headpose man", "clips/headpose_man.mp4", 32)
MIRANDA: Person = ("lin-manuel-miranda", "gallery/lin-manuel-miranda.png", 0)
LACAMOIRE: Person = ("alex-lacamoire", "gallery/alex-lacamoire.png", 0)


@dataclass(frozen=True, slots=True)
class Scene:
    """A clip, and who is enrolled from what."""

    clip: str
    """File below clips/."""
    enrolled: tuple[Person, ...]
    """Who."""
    faces: int = 1
    """How many people there are to follow, counted anew in each scene between two cuts."""


MILK = Scene("asl_milk.mkv", (MAN_A,))
BOOK = Scene("asl_book.mkv", (MAN_A,))
LOOK_ALIKE = Scene("asl_again.mkv", (MAN_A,))
SECOND_OF_TWO = Scene("asl_again.mkv", (MAN_A, MAN_B))
FIRST_OF_TWO = Scene("asl_milk.mkv", (MAN_A, MAN_B))
HEADPOSE = Scene("headpose_woman_and_man.mp4", (WOMAN, HEADPOSE_MAN), faces=2)
THREE = Scene("three_people_walk_and_pause.mp4", (WOMAN,), faces=3)
# Two people, then one, then Miranda, then four of the audience; MANIFEST.json of the clips tells who.
HAMILTON = Scene("short_hamilton_clip.mp4", (MIRANDA, LACAMOIRE), faces=8)
SCENES = (MILK, BOOK, LOOK_ALIKE, SECOND_OF_TWO, FIRST_OF_TWO, HEADPOSE, THREE, HAMILTON)


@dataclass(frozen=True, slots=True)
class Told:
    """One change, as it was told."""

    frame: int
    """Index of the deciding frame."""
    kind: str
    """recognized, unknown, corrected or left."""
    name: str | None
    """Who it is from then on; None: nobody of the gallery."""
    distance: float | None
    """To the nearest person."""
    samples: int
    """Fit samples that decided."""
    visit: str
    """The visit's id."""

    def __str__(self) -> str:
        distance = "" if self.distance is None else f" {self.distance:.3f}"
        name = self.name or "nobody"
        return f"frame {self.frame}: {self.kind} {name}{distance} after {self.samples} samples"


@dataclass(frozen=True, slots=True)
class Box:
    """A track on one frame."""

    frame: int
    """Index of the frame."""
    track: str
    """The track's id."""
    name: str | None
    """Whom it is named by then."""
    place: float
    """Where its middle is, as a share of the picture's width."""


@dataclass(slots=True)
class Played:
    """What one clip gave."""

    scene: Scene
    """Which."""
    told: list[Told] = field(default_factory=list)
    """The changes in order."""
    boxes: list[Box] = field(default_factory=list)
    """Every track on every frame."""
    found_boxes: int = 0
    """Boxes that detection on every frame finds, small faces apart."""
    covered: int = 0
    """Of those, how many a track's box covers."""
    sure_boxes: int = 0
    """Of the boxes found, how many the detector is sure of."""
    sure_covered: int = 0
    """Of those, how many a track's box covers."""
    right: int = 0
    """Track boxes that cover one of any size."""
    seconds: float = 0.0
    """For all frames, with decoding."""
    frames: int = 0
    """How many."""

    @property
    def tracks(self) -> int:
        """How many different ones there were."""
        return len({box.track for box in self.boxes})

    @property
    def coverage(self) -> float:
        """Share of the boxes found on every frame that a track covers."""
        return self.covered / max(1, self.found_boxes)

    @property
    def precision(self) -> float:
        """Share of the tracks' boxes that cover one found on that frame."""
        return self.right / max(1, len(self.boxes))

    def named(self, name: str) -> list[Box]:
        """The boxes that carry this name."""
        return [box for box in self.boxes if box.name == name]


def index_of(engine: FaceEngine, folder: Path, people: Sequence[Person]) -> Index:
    """The people of a scene, each from one picture's largest face."""
    names = [PersonName(name, name) for name, _, _ in people]
    encodings = []
    for _, file, frame in people:
        analysis = engine.analyse([picture(folder / file, frame)])[0]
        encodings.append(analysis.encodings[0])
    return Index.of(names, list(range(len(names))), np.stack(encodings), model=engine.model, revision=1)


def picture(file: Path, frame: int) -> BgrImage:
    """A picture, or one frame of a clip."""
    import cv2

    capture = cv2.VideoCapture(str(file))
    for _ in range(frame + 1):
        read, bgr = capture.read()
        assert read, file
    return np.asarray(bgr, np.uint8)
