"""How images come to the detector: opened ahead, those of one size together, none too many at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from gallery.errors import ImageRefused
from gallery.faces.types import BgrImage, Faces
from gallery.images import LoadedImage
from gallery.preparing import reading
from gallery.preparing.reading import Opened, batches, detected
from gallery.preparing.tree import Source, find
from tests.gallery.painted import RED, PaintedDetector, paint


def image(name: str, width: int, height: int) -> Opened:
    bgr = np.zeros((height, width, 3), np.uint8)
    return Opened(Source(name, Path(name), 1, 1), LoadedImage(bgr, "", "PNG"))


def refused(name: str) -> Opened:
    return Opened(Source(name, Path(name), 1, 1), ImageRefused("empty", ""))


def shapes(batch: list[Opened]) -> list[tuple[int, ...]]:
    return [each.image.bgr.shape[:2] for each in batch if isinstance(each.image, LoadedImage)]


def test_images_of_one_size_are_together_however_they_are_mixed() -> None:
    sizes = [(8, 6), (6, 8)]
    mixed = [image(str(number), *sizes[number % 2]) for number in range(64)]
    found = list(batches(mixed))
    assert [len(batch) for batch in found] == [32, 32]
    assert [set(shapes(batch)) for batch in found] == [{(6, 8)}, {(8, 6)}]


def test_nothing_is_lost_and_rare_sizes_share_a_batch() -> None:
    each = [image(str(number), 8, 1 + number) for number in range(40)]
    each += [refused(f"bad {number}") for number in range(40)]
    found = list(batches(each))
    names = [one.source.name for batch in found for one in batch]
    assert sorted(names) == sorted(one.source.name for one in each)
    assert max(len(batch) for batch in found) <= 32
    assert len(found) <= 4


def test_few_pixels_wait_and_a_huge_image_goes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BATCH_PIXELS", 100)
    monkeypatch.setattr(reading, "HELD_PIXELS", 300)
    pending = 0

    def given() -> Iterator[Opened]:
        nonlocal pending
        for number, size in enumerate(
            [(5, 5), (50, 50), *[(8, 8)] * 3, (5, 4), (9, 9), (9, 8), (9, 7), (9, 6), (3, 3), *[(5, 5)] * 5]
        ):
            pending += size[0] * size[1]
            yield image(str(number), *size)

    held = []
    for batch in batches(given()):
        held.append(pending)
        taken = sum(width * height for height, width in shapes(batch))
        assert taken <= 100 or len(batch) == 1
        pending -= taken
    assert pending == 0
    assert max(held) <= 300 + 50 * 50


def test_faces_come_with_the_image_that_they_are_on(tmp_path: Path) -> None:
    for number in range(70):
        size = (40, 30) if number % 3 else (30, 40)
        paint(tmp_path / f"{number:02}.png", ((2, 3, 4 + number % 20, 20), RED), size=size)
    (tmp_path / "33a.png").write_bytes(b"")
    detector = PaintedDetector()
    seen = [each for batch in detected(find(tmp_path), tmp_path, detector) for each in batch]
    assert len(seen) == 71
    for each in seen:
        if each.source.name == "33a.png":
            assert isinstance(each.image, ImageRefused)
            assert len(each.faces) == 0
        else:
            assert each.faces.boxes[0, 2] == 4 + int(each.source.name[:2]) % 20
    assert max(detector.batches) == 32


def test_an_error_of_the_detector_ends_the_run_and_no_thread_stays(tmp_path: Path) -> None:
    import threading

    class Broken(PaintedDetector):
        def detect(self, images: Sequence[BgrImage]) -> list[Faces]:
            raise RuntimeError("out of memory")

    for number in range(100):
        paint(tmp_path / f"{number}.png", size=(8, 8))
    before = set(threading.enumerate())
    with pytest.raises(RuntimeError, match="out of memory"):
        list(detected(find(tmp_path), tmp_path, Broken()))
    assert set(threading.enumerate()) <= before
