"""The three stages on a GPU, as operations on tensors of fixed shapes and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import lru_cache
from math import inf
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from gallery.faces.mtcnn.canvas import TIE, Canvas
from gallery.faces.mtcnn.cascade import LEVEL_OVERLAP, STAGE_OVERLAP
from gallery.faces.mtcnn.folding import logit
from gallery.faces.mtcnn.geometry import ONET_PX, RNET_PX
from gallery.faces.mtcnn.nets import OutputNet, PackedProposalNet, RefinementNet

FOUND = 15
"""Numbers a box: score, left, top, right, bottom, five x and y in turn."""
BEATEN = -1e4
"""Its exponential is 0, also in half precision."""


@dataclass(frozen=True, slots=True)
class Room:
    """For how many boxes a picture there is room, and how many rounds a suppression takes."""

    cells: int = 1024
    """PNet's that pass."""
    proposed: int = 512
    """Of those, after suppression: RNet's batch."""
    refined: int = 128
    """Of those, after RNet and suppression: ONet's batch."""
    rounds: int = 8
    """A box may stay because another goes because a third stays: on photographs, 4 to 8 deep."""

    def within(self, cells: int) -> Room:
        """No more than there can be on a canvas of so many cells."""
        cells = min(self.cells, cells)
        proposed = min(self.proposed, cells)
        return Room(cells, proposed, min(self.refined, proposed), self.rounds)

    def doubled(self, short: Sequence[bool]) -> Room:
        """Twice as much of what was short."""
        return Room(*(count * (1 + flag) for count, flag in zip(astuple(self), short, strict=True)))

    def at_least(self, other: Room) -> Room:
        return Room(*map(max, astuple(self), astuple(other)))


class Places(NamedTuple):
    """Room for boxes, the best first; tensors over [pictures, places]."""

    keys: Tensor
    """float64[b, n]: scores less a trifle that makes the first of equal ones the best; 0 or less: no box."""
    table: Tensor
    """float32[b, n, 8]: boxes, and how the last net would move each side."""

    @property
    def boxes(self) -> Tensor:
        return self.table[..., :4]

    @property
    def offsets(self) -> Tensor:
        return self.table[..., 4:]


class Sums(NamedTuple):
    """The integral images of pictures of one size."""

    flat: Tensor
    """int32[pictures * (height + 2) * (width + 2), 3]; the first and the last row and column are 0."""
    pictures: int
    height: int
    """Of a picture."""
    width: int


class Stages(nn.Module):
    """From pixels to boxes with landmarks."""

    def __init__(self, thresholds: tuple[float, float, float]) -> None:
        super().__init__()
        self._logits = [logit(threshold) for threshold in thresholds]
        # PNet's threshold itself passes, the others' don't.
        self._below = float(np.nextafter(np.float32(self._logits[0]), np.float32(-inf)))
        self._pnet = PackedProposalNet().eval()
        self._rnet = RefinementNet().eval()
        self.onet = OutputNet().eval()

    def forward(self, bgr: Tensor, constants: Canvas, room: Room) -> Tensor:
        """uint8[b, height, width, 3] -> float64[b, m], all that `told` reads."""
        room = room.within(len(constants.boxes))
        sums = _integrate(bgr)
        cells, separated = self._propose(sums, constants, room.cells)
        proposed, late = _best(cells, separated, LEVEL_OVERLAP, room.proposed, room.rounds)
        refined = self._refine(sums, proposed)
        chosen, later = _best(refined, refined.boxes, STAGE_OVERLAP, room.refined, room.rounds)
        found = self._decide(sums, chosen)
        lasts = proposed.keys[:, -1:], chosen.keys[:, -1:]
        parts = [found, cells.keys, late, refined.keys, later, *lasts]
        return torch.cat([part.flatten(1) for part in parts], dim=1)

    def _propose(self, sums: Sums, constants: Canvas, room: int) -> tuple[Places, Tensor]:
        """PNet on all levels at once; and the boxes again, those of each level for themselves."""
        corners = sums.flat.view(sums.pictures, -1, 3).index_select(1, constants.places)
        corners = corners.view(sums.pictures, 4, -1, 3)
        totals = (corners[:, 0] - corners[:, 1]).sub_(corners[:, 2]).add_(corners[:, 3])
        levels = (totals / constants.areas).view(sums.pictures, constants.height, constants.width, 3)
        outputs = self._pnet(levels.permute(0, 3, 1, 2), constants.cut).flatten(2).transpose(1, 2)
        logits = functional.threshold(outputs[..., 0].masked_fill(constants.outside, -inf), self._below, -inf)
        keys, best = (logits.sigmoid_() - constants.order).topk(room, dim=1)
        boxes = constants.boxes[best]
        table = torch.cat([boxes[..., :4], _rows(outputs[..., 1:], best)], dim=2)
        return Places(keys, table), boxes[..., 4:]

    def _refine(self, sums: Sums, proposed: Places) -> Places:
        """RNet, its best first."""
        squares = _squared(_moved(proposed.boxes, proposed.offsets, added_px=0))
        crops, missing = _crops(sums, squares, RNET_PX)
        outputs = self._rnet(crops).view(*missing.shape, 5)
        logits = functional.threshold(outputs[..., 0], self._logits[1], -inf)
        logits.masked_fill_(missing.logical_or_(proposed.keys <= 0), -inf)
        keys = logits.sigmoid_() - _order(logits.shape[1], logits.device)
        keys, best = keys.topk(keys.shape[1], dim=1)
        return Places(keys, _rows(torch.cat([squares, outputs[..., 1:]], dim=2), best))

    def _decide(self, sums: Sums, refined: Places) -> Tensor:
        """ONet: float32[b, n, 15] of score, box and landmarks; score 0 where there is no box."""
        squares = _squared(_moved(refined.boxes, refined.offsets, added_px=1))
        crops, missing = _crops(sums, squares, ONET_PX)
        outputs = self.onet(crops).view(*missing.shape, 15)
        missing = missing.logical_or_(refined.keys <= 0)
        scores = outputs[..., :1].sigmoid().masked_fill_(missing[..., None], 0)
        size = (squares[..., 2:] - squares[..., :2]).add_(1)[:, :, None]
        boxes = torch.addcmul(_pairs(squares), _pairs(outputs[..., 1:5]), size)
        shares = outputs[..., 5:].view(*missing.shape, 2, 5).transpose(2, 3)
        landmarks = torch.addcmul(squares[:, :, None, :2], shares, size).sub_(1)
        return torch.cat([scores, boxes.flatten(2), landmarks.flatten(2)], dim=2)


def told(
    numbers: NDArray[np.float64], room: Room, available: int
) -> tuple[NDArray[np.float32], tuple[bool, bool, bool, bool]]:
    """What the stages gave with this room on a canvas of so many cells: float32[b, refined, 15] of score, box
    and landmarks; and whether there was too little of each kind of room.

    A room was too small if its last place has a box and there could be more; the rounds were too few if the
    last one still changed something.
    """
    room = room.within(available)
    widths = [room.refined * FOUND, room.cells, room.cells, room.proposed, room.proposed, 1]
    found, cells, late, refined, later, proposed, chosen = np.split(numbers, np.cumsum(widths), axis=1)
    unfinished = ((cells > 0) & (late > 0)).any() or ((refined > 0) & (later > 0)).any()
    short = (
        bool((cells[:, -1] > 0).any()) and room.cells < available,
        bool((proposed > 0).any()) and room.proposed < room.cells,
        bool((chosen > 0).any()) and room.refined < room.proposed,
        bool(unfinished),
    )
    return found.reshape(len(numbers), -1, FOUND).astype(np.float32), short


def _integrate(bgr: Tensor) -> Sums:
    pictures, height, width, _ = bgr.shape
    sums = bgr.cumsum(1, dtype=torch.int32).cumsum(2, dtype=torch.int32)
    padded = functional.pad(sums, (0, 0, 1, 1, 1, 1))
    return Sums(padded.view(-1, 3), pictures, height, width)


def _best(places: Places, separated: Tensor, overlap: float, room: int, rounds: int) -> tuple[Places, Tensor]:
    """Of places, the best first, those that no better one suppresses; and whether the rounds were too few.

    A box stays if none of those before it that overlap it stays. From "all stay", each round makes that right
    for one more box of every chain, and once nothing changes it is right for all: what suppressing one after
    another gives, in as many rounds as the longest chain has boxes, not in as many as there are boxes.
    Places without a box come last and change nothing.
    """
    beats = _overlapping(separated, overlap).tril_(-1)
    stays = last = torch.ones_like(beats[:, :, :1])
    for _ in range(rounds):
        # exp(0) stays; exp of one or more BEATEN goes.
        last, stays = stays, torch.bmm(beats, stays).exp_()
    keys, best = places.keys.masked_fill(stays[..., 0] == 0, 0).topk(room, dim=1)
    return Places(keys, _rows(places.table, best)), stays != last


def _overlapping(boxes: Tensor, overlap: float) -> Tensor:
    """[b, n, n] of BEATEN and 0: where intersection / union > overlap; i > overlap / (1 + overlap) * sum."""
    shared = torch.minimum(boxes[:, :, None, 2:], boxes[:, None, :, 2:])
    shared -= torch.maximum(boxes[:, :, None, :2], boxes[:, None, :, :2])
    shared.clamp_(min=0)
    size = boxes[..., 2:] - boxes[..., :2]
    areas = (size[..., 0] * size[..., 1]).mul_(overlap / (1 + overlap))
    over = (shared[..., 0] * shared[..., 1]) > (areas[:, :, None] + areas[:, None, :])
    return torch.where(over, *_beaten(boxes.device))


def _rows(table: Tensor, rows: Tensor) -> Tensor:
    """float32[b, n, k] and int64[b, m] -> [b, m, k]."""
    return table.gather(1, rows[..., None].expand(-1, -1, table.shape[2]))


def _moved(boxes: Tensor, offsets: Tensor, added_px: int) -> Tensor:
    """As boxes.moved."""
    size = boxes[..., 2:] - boxes[..., :2]
    if added_px:
        size += added_px
    return torch.addcmul(_pairs(boxes), _pairs(offsets), size[:, :, None]).flatten(2)


def _pairs(sides: Tensor) -> Tensor:
    """[b, n, 4] as [b, n, first or last, x or y]."""
    pairs: Tensor = sides.unflatten(2, (2, 2))  # type: ignore[no-untyped-call]
    return pairs


def _squared(boxes: Tensor) -> Tensor:
    """As boxes.squared."""
    size = boxes[..., 2:] - boxes[..., :2]
    side = size.amax(2, keepdim=True)
    first = torch.add(boxes[..., :2], size, alpha=0.5).sub_(side, alpha=0.5)
    return torch.cat([first, first + side], dim=2)


def _crops(sums: Sums, boxes: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Boxes [b, n, 4] as float32[b * n, 3, side, side]; and bool[b, n], which lie outside the picture."""
    limits = _limits(sums.height, sums.width, boxes.device)
    whole = boxes.to(torch.int32).clamp_(limits[0], limits[1]).sub_(limits[2])
    first, length = whole[..., :2], whole[..., 2:] - whole[..., :2]
    missing = length.amin(2) <= 0
    length.clamp_(min=1)
    steps, rounding = _steps(side, boxes.device)
    # int32[b, n, axis, start or end, side]
    bounds = torch.addcmul(rounding, length[..., None, None], steps).floor_divide_(side)
    bounds += first[..., None, None]
    counts = bounds[..., 1, :] - bounds[..., 0, :]
    columns, rows = bounds[:, :, 0], bounds[:, :, 1] * (sums.width + 2)
    rows += _starts(sums.pictures, (sums.height + 2) * (sums.width + 2), boxes.device)
    places = rows[..., None, None] + columns[:, :, None, None]
    corners = sums.flat.index_select(0, places.flatten()).view(*places.shape, 3)
    stripes = corners[:, :, 1] - corners[:, :, 0]
    totals = stripes[..., 1, :, :] - stripes[..., 0, :, :]
    averages = totals / (counts[:, :, 1, :, None] * counts[:, :, 0, None, :])[..., None]
    return averages.flatten(0, 1).permute(0, 3, 1, 2), missing


@lru_cache
def _beaten(device: torch.device) -> tuple[Tensor, Tensor]:
    """BEATEN and 0: in half precision, which is slow on a CPU and enough to tell one from none."""
    kind = torch.float16 if device.type == "cuda" else torch.float32
    return torch.full((), BEATEN, dtype=kind, device=device), torch.zeros((), dtype=kind, device=device)


@lru_cache
def _order(places: int, device: torch.device) -> Tensor:
    """float64[places]: as a canvas' order."""
    return (torch.arange(places, dtype=torch.float64) * TIE).to(device)


@lru_cache
def _limits(height: int, width: int, device: torch.device) -> Tensor:
    """int32[3, 4]: the least and the greatest that a box's sides become, and what then counts from 0."""
    low = np.iinfo(np.int32).min
    return torch.tensor(
        [[1, 1, low, low], [width + 1, height + 1, width, height], [1, 1, 0, 0]], dtype=torch.int32
    ).to(device)


@lru_cache
def _steps(side: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Of interpolate's windows: start i * length / side rounded down, end (i + 1) * length / side up."""
    index = torch.arange(side, dtype=torch.int32)
    steps = torch.stack([index, index + 1])
    rounding = torch.tensor([[0], [side - 1]], dtype=torch.int32)
    return steps.to(device), rounding.to(device)


@lru_cache
def _starts(pictures: int, pixels: int, device: torch.device) -> Tensor:
    """int32[b, 1, 1, 1]: where each picture's integral image begins."""
    return (torch.arange(pictures, dtype=torch.int32) * pixels).view(-1, 1, 1, 1).to(device)
