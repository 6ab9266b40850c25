"""The three stages of MTCNN on a CPU, over a batch of pictures of any sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gallery.faces.memory import Tidier
from gallery.faces.mtcnn import boxes as box
from gallery.faces.mtcnn.candidates import Candidates
from gallery.faces.mtcnn.geometry import ONET_PX, RNET_PX
from gallery.faces.mtcnn.integral import IntegralImage
from gallery.faces.mtcnn.pyramid import Strip, strips
from gallery.faces.mtcnn.workers import each
from gallery.faces.types import BgrImage, Faces

CHUNK = 32
"""Crops that RNet and ONet take at a time: few enough for a core's caches, and work for every core."""
ROUNDING = 1e-5
"""How much scores of RNet and ONet may differ from one library to another; five times what was seen."""
LEVEL_OVERLAP = 0.5
STAGE_OVERLAP = 0.7
"""Of two boxes that overlap more, one goes: of a level, after PNet; of a picture, after RNet and ONet."""


Numbers = NDArray[np.float32]


class Nets(Protocol):
    """The three nets on some engine; pixels are BGR from 0 to 255."""

    def propose(
        self, integral: IntegralImage, strip: Strip, threshold: float
    ) -> tuple[NDArray[np.int64], Numbers, Numbers]:
        """Of the strip's k candidates: cells int64[k] by row, scores[k], offsets[k, 4]."""

    def crops(self, integral: IntegralImage, boxes: NDArray[np.int64], side: int) -> Numbers:
        """IntegralImage.crops, or the same faster."""

    def refine(self, crops: Numbers) -> tuple[Numbers, Numbers]:
        """float32[n, 24, 24, 3] -> scores[n], offsets[n, 4]."""

    def decide(self, crops: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """float32[n, 48, 48, 3] -> scores[n], offsets[n, 4], landmarks[n, 5, 2] in parts of the box."""


class Scorer(Protocol):
    """RNet's and ONet's scores alone."""

    def refine(self, crops: Numbers) -> Numbers:
        """float32[n, 24, 24, 3] -> scores[n]."""

    def decide(self, crops: Numbers) -> Numbers:
        """float32[n, 48, 48, 3] -> scores[n]."""


class Cascade:
    """Proposes, refines and decides."""

    def __init__(
        self,
        nets: Nets,
        min_face_px: int,
        thresholds: tuple[float, float, float],
        referee: Scorer | None = None,
    ) -> None:
        """`referee` has the last word on scores that nets may put on either side of a threshold."""
        self.nets = nets
        self._referee = referee
        self._min_face_px = min_face_px
        self._thresholds = thresholds
        self._tidier = Tidier()

    def detect(self, pictures: Sequence[BgrImage]) -> list[Faces]:
        """One Faces a picture; boxes may reach beyond it and are in no order."""
        self._tidier.saw(picture.shape for picture in pictures)
        integrals = each(IntegralImage, [(picture,) for picture in pictures])
        return self._decide(integrals, self._refine(integrals, self._propose(integrals)))

    def _propose(self, integrals: Sequence[IntegralImage]) -> Candidates:
        """PNet on every level of every picture: the squares that RNet shall see."""
        levels = [
            [(integral, picture, strip) for strip in level]
            for picture, integral in enumerate(integrals)
            for level in strips(integral.height, integral.width, self._min_face_px)
        ]
        found = iter(each(self._propose_on, [task for level in levels for task in level]))
        # facenet-pytorch suppresses over all levels once more. Boxes of different levels differ too much in
        # size to overlap by STAGE_OVERLAP (see pyramid.SMALLEST_FACE_PX): this never found anything.
        proposed = Candidates.joined(
            [Candidates.joined([next(found) for _ in level]).best(LEVEL_OVERLAP) for level in levels]
        ).ordered()
        # Here, and only here, the net was trained on widths without the 1.
        return proposed.at(box.squared(box.moved(proposed.boxes, proposed.offsets, added_px=0)))

    def _propose_on(self, integral: IntegralImage, picture: int, strip: Strip) -> Candidates:
        cells, scores, offsets = self.nets.propose(integral, strip, self._thresholds[0])
        if not len(cells):
            return Candidates.joined([])
        rows, columns = np.divmod(cells, strip.cells_across)
        boxes = box.of_cells(rows + strip.first_cell, columns, strip.scale)
        return Candidates(boxes, scores, offsets, np.full(len(cells), picture, np.int32))

    def _refine(self, integrals: Sequence[IntegralImage], proposed: Candidates) -> Candidates:
        """RNet on every proposal: the squares that ONet shall see."""
        refined = Candidates.joined(each(self._refine_some, _chunks(integrals, proposed))).best(STAGE_OVERLAP)
        return refined.at(box.squared(box.moved(refined.boxes, refined.offsets)))

    def _refine_some(self, integrals: Sequence[IntegralImage], seen: Candidates) -> Candidates:
        crops = self._crops(integrals, seen, RNET_PX)
        scores, offsets = self.nets.refine(crops)
        close = _close(scores, self._thresholds[1])
        if self._referee and len(close):
            scores[close] = self._referee.refine(crops[close])
        return Candidates(seen.boxes, scores, offsets, seen.pictures).take(scores > self._thresholds[1])

    def _decide(self, integrals: Sequence[IntegralImage], refined: Candidates) -> list[Faces]:
        """ONet on what is left."""
        faces = [Faces.none() for _ in integrals]
        parts = each(self._decide_some, _chunks(integrals, refined))
        decided = Candidates.joined([candidates for candidates, _ in parts])
        for picture in np.unique(decided.pictures):
            rows = np.flatnonzero(decided.pictures == picture)
            rows = rows[box.suppressed_by_smaller(decided.boxes[rows], decided.scores[rows], STAGE_OVERLAP)]
            landmarks = np.concatenate([landmarks for _, landmarks in parts])
            faces[picture] = Faces(decided.boxes[rows], decided.scores[rows], landmarks[rows])
        return faces

    def _decide_some(
        self, integrals: Sequence[IntegralImage], seen: Candidates
    ) -> tuple[Candidates, Numbers]:
        crops = self._crops(integrals, seen, ONET_PX)
        scores, offsets, shares = self.nets.decide(crops)
        close = _close(scores, self._thresholds[2])
        if self._referee and len(close):
            scores[close] = self._referee.decide(crops[close])
        passed = scores > self._thresholds[2]
        landmarks = shares * box.sizes(seen.boxes, added_px=1)[:, None] + seen.boxes[:, None, :2] - 1
        decided = Candidates(box.moved(seen.boxes, offsets), scores, offsets, seen.pictures)
        return decided.take(passed), landmarks[passed]

    def _crops(self, integrals: Sequence[IntegralImage], candidates: Candidates, side: int) -> Numbers:
        """What a net sees of the candidates: float32[n, side, side, 3]."""
        pixels = _pixels(integrals, candidates)
        crops = [
            self.nets.crops(integrals[picture], pixels[candidates.pictures == picture], side)
            for picture in np.unique(candidates.pictures)
        ]
        return crops[0] if len(crops) == 1 else np.concatenate(crops)


def _close(scores: Numbers, threshold: float) -> NDArray[np.intp]:
    return np.flatnonzero(np.abs(scores - threshold) < ROUNDING)


def _chunks(
    integrals: Sequence[IntegralImage], candidates: Candidates
) -> list[tuple[Sequence[IntegralImage], Candidates]]:
    """The candidates a few at a time, without those that lie outside their picture."""
    pixels = _pixels(integrals, candidates)
    inside = candidates.take(np.all(pixels[:, 2:] > pixels[:, :2], axis=1))
    return [(integrals, inside.take(slice(first, first + CHUNK))) for first in range(0, len(inside), CHUNK)]


def _pixels(integrals: Sequence[IntegralImage], candidates: Candidates) -> NDArray[np.int64]:
    sizes = np.array([(integral.height, integral.width) for integral in integrals], np.int64).reshape(-1, 2)
    return box.pixels(candidates.boxes, sizes[candidates.pictures])
