"""Plays clips through tracks and decisions: what is told, what is asked, how well tracks cover the faces.

uv run python -m benchmarks.tracks [--encoder dlib|sface] [--height 720] [--begin-score 0.9]
    [--keep-score 0.6] [--look-once] [--clips DIR] [--threads 2] [--json]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.footage import scaled
from benchmarks.machine import machine_line
from benchmarks.tracks_scenes import CLIPS, SCENES, Box, Played, Scene, Told, index_of
from benchmarks.tracks_verdicts import SURE_SCORE, box_verdicts, verdicts
from daemon.assignment import overlaps
from daemon.config import Config, DaemonConfig, EncoderConfig, TrackerConfig
from daemon.playback import Stage, play
from daemon.track import boxes_of
from gallery.faces.mtcnn import carry

if TYPE_CHECKING:
    from daemon.pipeline import Outcome
    from gallery.faces.engine import FaceEngine

SMALLEST_PX = 40
"""Faces of a smaller side are not counted as missed."""
SAME_BOX = 0.5
"""Overlap from which a track's box covers a face that detection on every frame finds."""


def main() -> None:
    """Plays all scenes and prints what they gave, and what is asked of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, default=CLIPS, help="folder with clips/ and gallery/")
    parser.add_argument("--encoder", default="dlib", choices=("dlib", "sface"))
    parser.add_argument("--height", type=int, help="scale the clips to this height first, e.g. 720")
    parser.add_argument("--begin-score", type=float, default=TrackerConfig().begin_score)
    parser.add_argument("--keep-score", type=float, default=TrackerConfig().keep_score)
    parser.add_argument(
        "--look-once", action="store_true", help="no second look at faces that are hardly seen"
    )
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not options.clips.is_dir():
        parser.error(f"{options.clips}: no such folder")
    from daemon.engine import build_engine

    config = Config(
        daemon=DaemonConfig(device="cpu", threads=options.threads),
        encoder=EncoderConfig(name=options.encoder),
        tracker=TrackerConfig(begin_score=options.begin_score, keep_score=options.keep_score),
    )
    if options.look_once:
        carry.DOUBTFUL = 0.0
    engine, device = build_engine(config)
    played = [play_scene(engine, config, options, scene) for scene in SCENES]
    asked = box_verdicts(played) if options.height else verdicts(played, config.tracker.min_samples)
    if options.json:
        print(json.dumps({"scenes": [as_json(each) for each in played], "asked": asked}, indent=2))
        return
    print(machine_line(), f"{device}, {engine.model}", sep="\n")
    for each in played:
        print("\n" + "\n  ".join([json.dumps(as_json(each) | {"told": None}), *map(str, each.told)]))
    print()
    for verdict in asked:
        print(f"{'yes' if verdict['holds'] else 'NO':3}  {verdict['asked']}: {verdict['measured']}")


def play_scene(engine: FaceEngine, config: Config, options: argparse.Namespace, scene: Scene) -> Played:
    """One clip with its people enrolled."""
    stage = Stage(engine, index_of(engine, options.clips, scene.enrolled), config)
    played = Played(scene)
    with tempfile.TemporaryDirectory() as folder:
        clip = options.clips / "clips" / scene.clip
        if options.height:
            clip = scaled(clip, options.height, Path(folder))
        outcomes = play(stage, str(clip))
        while True:
            started = time.perf_counter()
            outcome = next(outcomes, None)
            played.seconds += time.perf_counter() - started
            if outcome is None:
                return played
            note(played, outcome, engine)


def note(played: Played, outcome: Outcome, engine: FaceEngine) -> None:
    """Writes down what was told, and compares the tracks with detection on this frame."""
    for change in outcome.changes:
        visit = change.visit
        played.told.append(
            Told(
                outcome.frame.index,
                change.kind,
                visit.person.name if visit.person else None,
                None if visit.decision is None else visit.decision.distance,
                visit.samples,
                visit.id,
            )
        )
    if outcome.at_end:
        return
    width = outcome.frame.bgr.shape[1]
    for face in outcome.faces:
        place = float(face.track.box[[0, 2]].mean()) / width
        name = face.visit.person.name if face.visit.person else None
        played.boxes.append(Box(outcome.frame.index, face.track.id, name, place))
    (found,) = engine.detector.detect([outcome.frame.bgr])
    sides = found.boxes[:, 2:] - found.boxes[:, :2]
    large = sides.min(axis=1, initial=np.inf) >= SMALLEST_PX
    sure = found.scores >= SURE_SCORE
    seen = boxes_of([face.track for face in outcome.faces])
    same = overlaps(seen, found.boxes) >= SAME_BOX
    covered = same.any(axis=0)
    played.frames += 1
    played.found_boxes += int(large.sum())
    played.covered += int((large & covered).sum())
    played.sure_boxes += int((large & sure).sum())
    played.sure_covered += int((large & sure & covered).sum())
    played.right += int(same.any(axis=1).sum())


def as_json(played: Played) -> dict[str, object]:
    """The figures."""
    return {
        "clip": played.scene.clip,
        "enrolled": [name for name, _, _ in played.scene.enrolled],
        "told": [str(each) for each in played.told],
        "tracks": played.tracks,
        "coverage": round(played.coverage, 4),
        "precision": round(played.precision, 4),
        "frames_per_second": round(played.frames / played.seconds, 1),
    }


if __name__ == "__main__":
    main()
