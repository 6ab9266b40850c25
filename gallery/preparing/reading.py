"""Opens images ahead of the detector, and hands them to it in batches of equal sizes."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from gallery.errors import ImageRefused
from gallery.faces.types import Detector, Faces
from gallery.images import LoadedImage, open_image
from gallery.preparing.tree import Source

WORKERS = min(4, os.cpu_count() or 1)
"""Threads that open images. Decoding lets go of the interpreter's lock; a 50 megapixel image takes half a
gigabyte meanwhile."""

BATCH_IMAGES = 32
BATCH_PIXELS = 16_000_000
"""What the detector is given at once: 48 MB of pixels, or one image that is larger."""
HELD_IMAGES = 128
HELD_PIXELS = 48_000_000
"""What may wait for others of its size."""


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """An image, or why it is none."""

    source: Source
    """Which."""
    image: LoadedImage | ImageRefused
    """What came of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """An image and the faces on it."""

    source: Source
    """Which."""
    image: LoadedImage | ImageRefused
    """What came of it."""
    faces: Faces
    """None where it could not be opened."""


def detected(sources: Iterable[Source], tree: Path, detector: Detector) -> Generator[list[Seen], None, None]:
    """All sources, a batch at a time in any order; the next is opened while the detector works on one.

    Who may stop before the end closes it, as `opened` and `batches` too: it waits for its threads, which must
    not happen in whatever thread collects garbage.
    """
    with (
        closing(opened(sources, tree)) as images,
        closing(batches(images)) as coming,
        ThreadPoolExecutor(1, "batches") as ahead,
    ):
        waiting = ahead.submit(next, coming, None)
        while (batch := waiting.result()) is not None:
            waiting = ahead.submit(next, coming, None)
            yield _detect(batch, detector)


def opened(sources: Iterable[Source], tree: Path) -> Generator[Opened, None, None]:
    """Every source in its order, a few of them opened ahead."""
    with ThreadPoolExecutor(WORKERS, "images") as pool:
        waiting: deque[Future[Opened]] = deque()
        try:
            for source in sources:
                waiting.append(pool.submit(_open, source, tree))
                if len(waiting) == 2 * WORKERS:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def batches(images: Iterable[Opened]) -> Generator[list[Opened], None, None]:
    """Images of one size together, as many as a batch holds, those of rare sizes together at last.

    What could not be opened goes along with any batch.
    """
    held = _Held()
    for each in images:
        held.add(each)
        if held.is_full(each):
            yield held.take_one_size(each)
        elif held.count >= HELD_IMAGES or held.pixels >= HELD_PIXELS:
            yield held.take_some()
    while held.count:
        yield held.take_some()


class _Held:
    """Images that wait, by size."""

    def __init__(self) -> None:
        self.count = 0
        self.pixels = 0
        self._by_size: dict[tuple[int, ...], list[Opened]] = {}

    def add(self, each: Opened) -> None:
        self._by_size.setdefault(_size(each), []).append(each)
        self.count += 1
        self.pixels += _pixels(each)

    def is_full(self, newest: Opened) -> bool:
        same = self._by_size[_size(newest)]
        return len(same) == BATCH_IMAGES or (len(same) + 1) * _pixels(newest) > BATCH_PIXELS

    def take_one_size(self, like: Opened) -> list[Opened]:
        return self._taken(self._by_size.pop(_size(like)))

    def take_some(self) -> list[Opened]:
        """The size of which there are most, and more sizes while they fit."""
        batch: list[Opened] = []
        for size, same in sorted(self._by_size.items(), key=lambda item: -len(item[1])):
            pixels = sum(map(_pixels, batch)) + sum(map(_pixels, same))
            if batch and (len(batch) + len(same) > BATCH_IMAGES or pixels > BATCH_PIXELS):
                continue
            batch += self._by_size.pop(size)
        return self._taken(batch)

    def _taken(self, batch: list[Opened]) -> list[Opened]:
        self.count -= len(batch)
        self.pixels -= sum(map(_pixels, batch))
        return batch


def _size(each: Opened) -> tuple[int, ...]:
    return each.image.bgr.shape[:2] if isinstance(each.image, LoadedImage) else ()


def _pixels(each: Opened) -> int:
    return each.image.bgr.size // 3 if isinstance(each.image, LoadedImage) else 0


def _open(source: Source, tree: Path) -> Opened:
    if source.unlisted:
        return Opened(source, ImageRefused("unreadable", "the folder can't be listed"))
    try:
        return Opened(source, open_image(source.path, tree))
    except ImageRefused as refused:
        return Opened(source, refused)


def _detect(batch: list[Opened], detector: Detector) -> list[Seen]:
    images = [each.image.bgr for each in batch if isinstance(each.image, LoadedImage)]
    found = iter(detector.detect(images) if images else [])
    return [
        Seen(each.source, each.image, next(found) if isinstance(each.image, LoadedImage) else Faces.none())
        for each in batch
    ]
