"""Two faces at the limit: a man half turned away who should be named at once, a look-alike who never should.

uv run python -m benchmarks.limits [--encoder dlib|sface] [--mirror] [--alignment mtcnn|dlib] [--clips DIR]
    [--json]

Samples every so many frames, and how much of their variance counts as distance: from which frame on the man
is named, and from how many pictures of his look-alike another man is named for a while.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.tracks_scenes import CLIPS, MAN_A, MIRANDA, picture
from daemon.config import Config, DaemonConfig, EncoderConfig
from daemon.evidence import KEPT_SAMPLES

if TYPE_CHECKING:
    from gallery.faces.engine import FaceEngine
    from gallery.faces.types import BgrImage

GAPS = (1, 2, 3)
"""Frames between samples; the daemon's 0.1 s are 3 of these clips."""
SHARES = (0.0, 0.5, 1.0)
"""How much of the samples' variance counts; the daemon's is the second."""
SURE_SCORE = 0.99
MIRANDA_FRAMES, AGAIN_FRAMES, THANKS_FRAMES = range(82, 211), range(77), range(51)

Sample = tuple[int, NDArray[np.float32], float]
"""Frame, encoding, quality."""


def main() -> None:
    """Prints a line for each way of sampling."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, default=CLIPS, help="folder with clips/ and gallery/")
    parser.add_argument("--encoder", default="dlib", choices=("dlib", "sface"))
    parser.add_argument("--mirror", action="store_true")
    parser.add_argument("--alignment", default="mtcnn", choices=("mtcnn", "dlib"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    from daemon.engine import build_engine

    config = Config(
        daemon=DaemonConfig(device="cpu"),
        encoder=EncoderConfig(name=options.encoder, alignment=options.alignment, mirror=options.mirror),
    )
    engine, _ = build_engine(config)
    clips = options.clips / "clips"
    man = samples(engine, clips / "short_hamilton_clip.mp4", MIRANDA_FRAMES)
    alike = samples(engine, clips / "asl_again.mkv", AGAIN_FRAMES)
    pictures = {
        frame: encoding for frame, encoding, _ in samples(engine, clips / "asl_thanks.mkv", THANKS_FRAMES)
    }
    portrait = engine.analyse([picture(options.clips / MIRANDA[1], MIRANDA[2])])[0].encodings[0]
    threshold, least = config.encoder.threshold, config.tracker.min_samples
    rows = [
        figures(man, portrait, alike, pictures, gap, share, threshold, least)
        for gap in GAPS
        for share in SHARES
    ]
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{engine.model}, threshold {threshold}")
    for row in rows:
        print("  ".join(f"{key} {value}" for key, value in row.items()))


def figures(
    man: Sequence[Sample],
    portrait: NDArray[np.float32],
    alike: Sequence[Sample],
    pictures: dict[int, NDArray[np.float32]],
    gap: int,
    share: float,
    threshold: float,
    least: int,
) -> dict[str, object]:
    """One way of sampling."""
    course = distances(man, portrait, gap, 0, share, least)
    nearest = {
        frame: [min(distances(alike, known, gap, phase, share, least).values()) for phase in range(gap)]
        for frame, known in pictures.items()
    }
    named = np.array([low <= threshold for lows in nearest.values() for low in lows])
    return {
        "every_frames": gap,
        "variance_share": share,
        "man_named_from_frame": next((f for f, distance in course.items() if distance <= threshold), None),
        "man_on_frame_88": round(course[88], 3),
        "look_alike_least_by_first_frame": [round(low, 3) for low in nearest[MAN_A[2]]],
        "look_alike_named_by_pictures": f"{named.mean():.0%}",
    }


def samples(engine: FaceEngine, clip: Path, frames: range) -> list[Sample]:
    """The fit samples of the largest face that the detector is sure of."""
    found = []
    for number, bgr in zip(frames, _pictures(clip, frames), strict=True):
        (analysis,) = engine.analyse([bgr])
        # The largest comes first.
        row = int(np.argmax(analysis.faces.scores > SURE_SCORE))
        if not analysis.qualities[row].reasons:
            found.append((number, analysis.encodings[row], analysis.qualities[row].value))
    return found


def distances(
    seen: Sequence[Sample], known: NDArray[np.float32], gap: int, phase: int, share: float, least: int
) -> dict[int, float]:
    """By frame, from the first that has enough samples: the distance of the mean, widened."""
    chosen = [
        each for each in seen if each[0] >= seen[0][0] + phase and (each[0] - seen[0][0] - phase) % gap == 0
    ]
    course = {}
    for count in range(least, len(chosen) + 1):
        some = chosen[max(0, count - KEPT_SAMPLES) : count]
        rows, weights = np.stack([each[1] for each in some]), [each[2] for each in some]
        mean = np.average(rows, axis=0, weights=weights)
        variance = np.average(np.square(rows - mean).sum(axis=1), weights=weights)
        course[some[-1][0]] = float(np.sqrt(np.square(mean - known).sum() + share * variance))
    return course


def _pictures(clip: Path, frames: range) -> list[BgrImage]:
    import cv2

    capture = cv2.VideoCapture(str(clip))
    everything = [capture.read()[1] for _ in range(frames.stop)]
    return [np.asarray(bgr, np.uint8) for bgr in everything[frames.start :]]


if __name__ == "__main__":
    main()
