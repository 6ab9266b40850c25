"""Plays a clip through the daemon's stages and through the loop a user would write; prints both speeds.

uv run python -m benchmarks.clip CLIP [--person IMAGE] [--height 720] [--rounds 3] [--threads 2] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.footage import repeated, scaled
from benchmarks.machine import machine_line
from daemon.config import CameraConfig, Config, DaemonConfig, DetectorConfig

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from daemon.playback import Stage
    from gallery.faces.engine import FaceEngine
    from gallery.faces.types import BgrImage, Encodings, Faces

SAMPLES = Path(__file__).parent.parent / "samples"
STAGES = ("capture", "detect", "carry", "encode", "match and judge", "publish")


@dataclass
class Stopwatch:
    """Seconds by stage."""

    total_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.total_s[stage] += time.perf_counter() - started


class Timed:
    """Detector and encoder of an engine, with their time taken."""

    def __init__(self, engine: FaceEngine, watch: Stopwatch) -> None:
        self._engine, self._watch = engine, watch

    def detect(self, images: Sequence[BgrImage]) -> list[Faces]:
        with self._watch.of("detect"):
            return self._engine.detector.detect(images)

    def refine(self, images: Sequence[BgrImage], boxes: Sequence[NDArray[np.float32]]) -> list[Faces]:
        with self._watch.of("carry"):
            return self._engine.detector.refine(images, boxes)

    @property
    def model(self) -> str:
        return self._engine.encoder.model

    @property
    def threshold(self) -> float:
        return self._engine.encoder.threshold

    def encode(self, bgr: BgrImage, faces: Faces) -> Encodings:
        with self._watch.of("encode"):
            return self._engine.encoder.encode(bgr, faces)

    def encode_many(self, images: Sequence[BgrImage], faces: Sequence[Faces]) -> list[Encodings]:
        with self._watch.of("encode"):
            return self._engine.encoder.encode_many(images, faces)


def play_ours(clip: Path, stage: Stage, watch: Stopwatch) -> tuple[int, int]:
    """Capture process, tracks, decisions, real socket; returns frames and faces."""
    from daemon import events
    from daemon.capture import Cameras
    from daemon.frame import Frame, StartTime
    from daemon.publisher import Publisher
    from daemon.teller import Teller

    frames = faces = 0
    started = StartTime.now()
    teller = Teller(stage.config.encoder.threshold, started.monotonic_ns)
    with (
        Publisher("tcp://127.0.0.1:*") as publisher,
        stage.pipeline(started, ["clip"]) as pipeline,
        Cameras([CameraConfig("clip", str(clip))], started) as cameras,
    ):
        while not cameras.ended:
            with watch.of("capture"):
                taken = [item for item in cameras.gather(1.0) if isinstance(item, Frame)]
            for outcome in pipeline.process(taken) if taken else []:
                frames, faces = frames + 1, faces + len(outcome.faces)
                with watch.of("publish"):
                    for face in outcome.faces:
                        told = teller.sighting(outcome.frame, face.visit, stage.index)
                        publisher.send(events.sighting(told))
                    for change in outcome.changes:
                        publisher.send(events.life(teller.life(outcome.frame, change, stage.index)))
    return frames, faces


def naive_loop(clip: Path, known: Encodings, min_face_px: int, device: str) -> Callable[[], tuple[int, int]]:
    """What people write today; models are loaded before the clock starts."""
    import cv2
    import face_recognition
    from facenet_pytorch import MTCNN

    mtcnn = MTCNN(keep_all=True, min_face_size=min_face_px, device=device)

    def play() -> tuple[int, int]:
        frames = faces = 0
        capture = cv2.VideoCapture(str(clip))
        while True:
            read, bgr = capture.read()
            if not read:
                return frames, faces
            rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
            boxes, _ = mtcnn.detect(rgb)
            places = [] if boxes is None else [(int(b[1]), int(b[2]), int(b[3]), int(b[0])) for b in boxes]
            for encoding in face_recognition.face_encodings(rgb, places, model="small"):
                face_recognition.face_distance(known, encoding)
            frames, faces = frames + 1, faces + len(places)

    return play


def main() -> None:
    """Interleaves the two and prints medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clip", type=Path, nargs="?", help="default: the demo's clip")
    parser.add_argument("--person", type=Path, default=SAMPLES / "barack-obama.jpg", help="who is enrolled")
    parser.add_argument("--loops", type=int, default=3, help="how often the clip is played in a row")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--min-face-px", type=int, default=40)
    parser.add_argument("--height", type=int, help="scale the clip to this height first, e.g. 720")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = compare(options, Path(folder))
    print(json.dumps(result, indent=2) if options.json else as_text(result))


def compare(options: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Both loops on the same frames, in turn."""
    from daemon.demo_clip import write_clip
    from daemon.engine import build_engine
    from daemon.playback import Stage
    from gallery.faces.engine import FaceEngine
    from gallery.images import open_image
    from gallery.matcher import Index
    from gallery.people import PersonName

    clip = options.clip or folder / "clip.avi"
    if options.clip is None:
        write_clip(SAMPLES, clip)
    if options.height:
        clip = scaled(clip, options.height, folder)
    # Long enough that starting the capture process does not count.
    clip = repeated(clip, options.loops, folder)
    config = Config(
        daemon=DaemonConfig(device=options.device, threads=options.threads),
        detector=DetectorConfig(min_face_px=options.min_face_px),
    )
    engine, device = build_engine(config)
    known = engine.analyse([open_image(options.person).bgr])[0].encodings
    index = Index.of([PersonName("1", "person")], [0] * len(known), known, model=engine.model, revision=1)
    watch = Stopwatch()
    timed = Timed(engine, watch)
    stage = Stage(FaceEngine(timed, timed), index, config)
    naive = naive_loop(
        clip, known, options.min_face_px, "cpu" if options.device == "auto" else options.device
    )
    # Once each to warm up.
    play_ours(clip, stage, watch)
    naive()
    watch.total_s.clear()
    ours_s, naive_s, frames, faces = [], [], 0, 0
    for _ in range(options.rounds):
        started = time.perf_counter()
        frames, faces = play_ours(clip, stage, watch)
        ours_s.append(time.perf_counter() - started)
        started = time.perf_counter()
        naive_counts = naive()
        naive_s.append(time.perf_counter() - started)
        assert naive_counts[0] == frames, "the two loops read different numbers of frames"
    watch.total_s["match and judge"] = sum(ours_s) - sum(watch.total_s.values())
    ratios = [slow / fast for slow, fast in zip(naive_s, ours_s, strict=True)]
    return {
        "machine": machine_line(),
        "device": device,
        "frames": frames,
        "faces": {"ours": faces, "naive": naive_counts[1]},
        "frames_per_second": {
            "ours": frames / statistics.median(ours_s),
            "naive": frames / statistics.median(naive_s),
        },
        "ratio": {"median": statistics.median(ratios), "least": min(ratios), "most": max(ratios)},
        "ms_per_frame": {stage: watch.total_s[stage] * 1000 / frames / options.rounds for stage in STAGES},
    }


def as_text(result: dict[str, object]) -> str:
    """The figures as people read them."""
    return "\n".join(f"{key}: {json.dumps(value)}" for key, value in result.items())


if __name__ == "__main__":
    main()
