"""Plays clips through tracks and decisions: what is told, how well tracks cover the faces, how fast it is.

uv run python -m benchmarks.tracks [--clips DIR] [--json]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.machine import machine_line
from daemon.assignment import overlaps
from daemon.config import Config, DaemonConfig, DetectorConfig
from daemon.playback import Stage, play
from daemon.track import Boxes, boxes_of
from gallery.matcher import Index
from gallery.people import PersonName

if TYPE_CHECKING:
    from daemon.pipeline import Outcome
    from gallery.faces.engine import FaceEngine
    from gallery.faces.types import BgrImage

CLIPS = Path(__file__).parent.parent.parent / "shared" / "data" / "fixtures"
SMALLEST_PX = 40
"""Faces of a smaller side are not counted as missed."""
SAME_BOX = 0.5
"""Overlap from which a track's box covers a face that detection on every frame finds."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A clip, and who is enrolled from what."""

    clip: str
    """File below clips/."""
    enrolled: tuple[tuple[str, str, int], ...]
    """Name, file below the data's folder, frame (0 for a picture)."""


MAN_A = ("man a", "clips/asl_thanks.mkv", 24)
MAN_B = ("man b", "clips/asl_again.mkv", 20)
WOMAN = ("woman", "clips/headpose_woman.mp4", 12)
HEADPOSE_MAN = ("headpose man", "clips/headpose_man.mp4", 32)
SCENES = (
    Scene("asl_milk.mkv", (MAN_A,)),
    Scene("asl_book.mkv", (MAN_A,)),
    Scene("asl_again.mkv", (MAN_A,)),
    Scene("asl_again.mkv", (MAN_A, MAN_B)),
    Scene("asl_milk.mkv", (MAN_A, MAN_B)),
    Scene("headpose_woman_and_man.mp4", (WOMAN, HEADPOSE_MAN)),
    Scene("three_people_walk_and_pause.mp4", (WOMAN,)),
    Scene(
        "short_hamilton_clip.mp4",
        (
            ("lin-manuel-miranda", "gallery/lin-manuel-miranda.png", 0),
            ("alex-lacamoire", "gallery/alex-lacamoire.png", 0),
        ),
    ),
)


@dataclass(slots=True)
class Played:
    """What one clip gave."""

    scene: Scene
    """Which."""
    told: list[str] = field(default_factory=list)
    """The changes, one line each."""
    tracks: int = 0
    """How many different tracks there were."""
    track_boxes: int = 0
    """Boxes of tracks on all frames."""
    found_boxes: int = 0
    """Boxes that detection on every frame finds."""
    covered: int = 0
    """Of those, how many a track's box covers."""
    right: int = 0
    """Track boxes that cover one."""
    seconds: float = 0.0
    """For all frames, with decoding."""
    frames: int = 0
    """How many."""


def main() -> None:
    """Plays all scenes and prints what they gave."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, default=CLIPS, help="folder with clips/ and gallery/")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not options.clips.is_dir():
        parser.error(f"{options.clips}: no such folder")
    from daemon.engine import build_engine

    config = Config(daemon=DaemonConfig(device="cpu", threads=options.threads), detector=DetectorConfig())
    engine, device = build_engine(config)
    played = [play_scene(engine, config, options.clips, scene) for scene in SCENES]
    if options.json:
        print(json.dumps([as_json(each) for each in played], indent=2))
        return
    print(machine_line(), device, sep="\n")
    for each in played:
        print("\n" + "\n  ".join([json.dumps(as_json(each) | {"told": None}), *each.told]))


def play_scene(engine: FaceEngine, config: Config, folder: Path, scene: Scene) -> Played:
    """One clip with its people enrolled."""
    stage = Stage(engine, index_of(engine, folder, scene.enrolled), config)
    played, tracks = Played(scene), set[str]()
    outcomes = play(stage, str(folder / "clips" / scene.clip))
    while True:
        started = time.perf_counter()
        outcome = next(outcomes, None)
        played.seconds += time.perf_counter() - started
        if outcome is None:
            played.tracks = len(tracks)
            return played
        tracks |= {face.track.id for face in outcome.faces}
        note(played, outcome, engine)


def note(played: Played, outcome: Outcome, engine: FaceEngine) -> None:
    """Writes down what was told, and compares the tracks with detection on this frame."""
    for change in outcome.changes:
        visit = change.visit
        name = visit.person.name if visit.person else "nobody"
        distance = None if visit.decision is None else visit.decision.distance
        line = f"frame {outcome.frame.index}: {change.kind} {name} {distance} after {visit.samples} samples"
        played.told.append(f"{line}, track {visit.id[:4]}")
    if outcome.at_end:
        return
    (found,) = engine.detector.detect([outcome.frame.bgr])
    sides = found.boxes[:, 2:] - found.boxes[:, :2]
    large = found.boxes[sides.min(axis=1) >= SMALLEST_PX] if len(found) else found.boxes
    seen = boxes(outcome)
    played.frames += 1
    played.track_boxes += len(seen)
    played.found_boxes += len(large)
    if len(seen) and len(found):
        played.covered += int((overlaps(seen, large) >= SAME_BOX).any(axis=0).sum())
        played.right += int((overlaps(seen, found.boxes) >= SAME_BOX).any(axis=1).sum())


def boxes(outcome: Outcome) -> Boxes:
    return boxes_of([face.track for face in outcome.faces])


def index_of(engine: FaceEngine, folder: Path, people: Sequence[tuple[str, str, int]]) -> Index:
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


def as_json(played: Played) -> dict[str, object]:
    """The figures."""
    return {
        "clip": played.scene.clip,
        "enrolled": [name for name, _, _ in played.scene.enrolled],
        "told": played.told,
        "tracks": played.tracks,
        "coverage": round(played.covered / max(1, played.found_boxes), 4),
        "precision": round(played.right / max(1, played.track_boxes), 4),
        "frames_per_second": round(played.frames / played.seconds, 1),
    }


if __name__ == "__main__":
    main()
