"""Compares `visaged crop` with the loop that people write today, in turn in one process, on the same images.

uv run python -m benchmarks.crop [--images DIR] [--count 200] [--min-face 40] [--rounds 3] [--device cuda]
    [--engine auto] [--threads N] [--json]

The loop: `cv2.imread`, facenet-pytorch's `MTCNN.detect`, the first box cut out, `cv2.imwrite`. Ours writes
the journal and the manifest too. Exits 1 below 3 times its images a second.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.pairs import LFW_VIEW_1
from gallery.faces.threads import configure

if TYPE_CHECKING:
    from gallery.faces.detector import MtcnnDetector
    from gallery.preparing.tree import Source

AT_LEAST = 3.0
"""Times the loop's images a second."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured."""

    machine: str
    device: str
    engine: str
    """That computes our nets."""
    images: int
    min_face_px: int
    """Of both."""
    crops: int
    """Ours."""
    loop_crops: int
    images_per_second: float
    """Ours, the median round."""
    loop_images_per_second: float
    times: tuple[float, float, float]
    """How many times the loop's: lower quartile, median, upper quartile."""


class Loop:
    """What is written today."""

    def __init__(self, device: str, min_face_px: int) -> None:
        from facenet_pytorch import MTCNN

        self._mtcnn = MTCNN(min_face_size=min_face_px, device=device)

    def run(self, files: Sequence[Path], tree: Path, folder: Path) -> int:
        """Crops every image; the number of crops."""
        import cv2

        crops = 0
        for file in files:
            bgr = cv2.imread(str(file))
            assert bgr is not None, file
            boxes, _ = self._mtcnn.detect(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
            if boxes is None:
                continue
            left, top, right, bottom = np.maximum(boxes[0], 0).astype(int)
            target = folder / file.relative_to(tree)
            target.parent.mkdir(parents=True, exist_ok=True)
            crops += cv2.imwrite(str(target), bgr[top:bottom, left:right])
        return crops


def measure(given: argparse.Namespace) -> Report:
    """Runs both, round by round, each time into a new folder."""
    configure(given.threads)
    from benchmarks.machine import machine_line
    from benchmarks.timing import interleaved
    from gallery.faces.detector import MtcnnDetector
    from gallery.faces.device import describe, resolve
    from gallery.preparing.tree import find

    device = resolve(given.device)
    sources = find(given.images)[: given.count]
    loop = Loop(device, given.min_face)
    detector = MtcnnDetector(device, given.min_face, engine=given.engine)
    crops: dict[str, int] = {}
    numbers = itertools.count()
    with tempfile.TemporaryDirectory() as folder:

        def ours() -> None:
            crops["ours"] = _crop(given.images, sources, Path(folder, str(next(numbers))), detector)

        def theirs() -> None:
            files = [source.path for source in sources]
            crops["loop"] = loop.run(files, given.images, Path(folder, str(next(numbers))))

        times = interleaved({"loop": theirs, "ours": ours}, given.rounds)
    rates = {name: round(1e3 * len(sources) / each.median_ms, 1) for name, each in times.items()}
    low, middle, high = (round(ratio, 2) for ratio in times["ours"].faster_than(times["loop"]))
    return Report(
        machine=machine_line(),
        device=describe(device),
        engine=detector.engine,
        images=len(sources),
        min_face_px=given.min_face,
        crops=crops["ours"],
        loop_crops=crops["loop"],
        images_per_second=rates["ours"],
        loop_images_per_second=rates["loop"],
        times=(low, middle, high),
    )


def _crop(tree: Path, sources: Sequence[Source], folder: Path, detector: MtcnnDetector) -> int:
    """As `visaged crop` does it, on some images of a tree; the number of crops."""
    from gallery.preparing import crop_files, journal, manifest
    from gallery.preparing.crop_desk import Places
    from gallery.preparing.cropping import crop
    from gallery.preparing.options import CropOptions

    options = CropOptions()
    with journal.opened(folder, options.described(), force=False) as record:
        cropped = crop(sources, Places(tree, folder), lambda: detector, options, record)
    file = folder / "manifest.csv"
    crop_files.write(file, manifest.content(file, cropped.rows), file.with_suffix(".part"))
    return sum(row.reason == "face" for row in cropped.rows)


def as_text(report: Report) -> str:
    """A few lines for people."""
    low, middle, high = report.times
    return "\n".join(
        [
            report.machine,
            f"{report.device}, {report.engine}; {report.images} images, faces from {report.min_face_px} px",
            f"loop: {report.loop_images_per_second} images a second, {report.loop_crops} crops",
            f"visaged crop: {report.images_per_second} images a second, {report.crops} crops",
            f"{middle} times the loop's (quartiles {low} to {high})",
        ]
    )


def main() -> None:
    """Prints a few lines, or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, default=LFW_VIEW_1 / "images", metavar="DIR")
    parser.add_argument("--count", type=int, default=200, help="the first so many")
    parser.add_argument("--min-face", type=int, default=40, help="pixels, of both")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    report = measure(given)
    print(json.dumps(asdict(report), indent=2) if given.json else as_text(report))
    sys.exit(0 if report.times[1] >= AT_LEAST else 1)


if __name__ == "__main__":
    main()
