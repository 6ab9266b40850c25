"""The cascade for a GPU: every tensor's shape is fixed before the pixels are seen, so nothing waits.

A GPU that is asked how many boxes passed has to finish first, and the host to wait: facenet-pytorch asks 220
to 2,200 times a frame. Here each stage has room for so many boxes a picture; a place without a box is carried
along with a score of -inf. Whether the room was enough comes back with the boxes, in the only transfer; if it
wasn't, the batch runs again with twice as much, and so does every later one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gallery.faces.mtcnn.boxes import suppressed_by_smaller
from gallery.faces.mtcnn.canvas import canvas
from gallery.faces.mtcnn.cascade import STAGE_OVERLAP
from gallery.faces.mtcnn.nets import OutputNet
from gallery.faces.mtcnn.packed_stages import Room, Stages, told
from gallery.faces.mtcnn.torch_nets import Numbers, channels_last, decided
from gallery.faces.types import BgrImage, Faces

PIXELS_AT_ONCE = 8_000_000
"""Of pictures of one size; eight of 720p need about 2 GB."""


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """Pictures that the device works on."""

    pictures: list[int]
    """Their indices."""
    room: Room
    """For how many boxes there was room."""
    cells: int
    """Of their canvas."""
    numbers: Tensor
    """On the device: what the stages tell."""


class DeviceOutputNet:
    """ONet alone, for crops that lie on the host."""

    def __init__(self, onet: OutputNet, device: str) -> None:
        self._onet = onet
        self._device = device

    def decide(self, crops: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """float32[n, 48, 48, 3] -> scores[n], offsets[n, 4], landmarks[n, 5, 2] in parts of the box."""
        with torch.inference_mode(), _exact_float32():
            return decided(self._onet(channels_last(crops).to(self._device)).cpu())


class PackedCascade:
    """Proposes, refines and decides without asking the device anything in between."""

    def __init__(self, min_face_px: int, thresholds: tuple[float, float, float], device: str) -> None:
        self._min_face_px = min_face_px
        self._device = device
        self._stages = Stages(thresholds).to(device)
        self.nets = DeviceOutputNet(self._stages.onet, device)
        self._score = thresholds[2]
        self._room = Room()

    def detect(self, pictures: Sequence[BgrImage]) -> list[Faces]:
        """One Faces a picture; boxes may reach beyond it and are in no order."""
        faces = [Faces.none() for _ in pictures]
        with torch.inference_mode(), _exact_float32():
            waiting = [self._enqueue(pictures, group) for group in self._groups(pictures)]
            while waiting:
                batch = waiting.pop()
                found, short = told(batch.numbers.cpu().numpy(), batch.room, batch.cells)
                if any(short):
                    self._room = self._room.at_least(batch.room.doubled(short))
                    waiting.append(self._enqueue(pictures, batch.pictures))
                    continue
                for picture, rows in zip(batch.pictures, found, strict=True):
                    faces[picture] = self._faces(rows)
        return faces

    def _groups(self, pictures: Sequence[BgrImage]) -> Iterator[list[int]]:
        """The pictures that can run at once: of one size, not too many, large enough for a face."""
        of_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for index, picture in enumerate(pictures):
            of_size[picture.shape[:2]].append(index)
        for (height, width), group in of_size.items():
            if canvas(height, width, self._min_face_px, self._device) is None:
                continue
            count = max(1, PIXELS_AT_ONCE // (height * width))
            for first in range(0, len(group), count):
                yield group[first : first + count]

    def _enqueue(self, pictures: Sequence[BgrImage], group: list[int]) -> Waiting:
        """Start the work on some pictures of one size, and return at once."""
        height, width = pictures[group[0]].shape[:2]
        constants = canvas(height, width, self._min_face_px, self._device)
        assert constants is not None
        # Only from pinned memory does the copy run while the host goes on.
        pinned = torch.empty(
            (len(group), height, width, 3), dtype=torch.uint8, pin_memory=self._device != "cpu"
        )
        np.stack([pictures[index] for index in group], out=pinned.numpy())
        pixels = pinned.to(self._device, non_blocking=True)
        numbers = self._stages(pixels, constants, self._room)
        return Waiting(group, self._room, len(constants.boxes), numbers)

    def _faces(self, rows: NDArray[np.float32]) -> Faces:
        """Of a picture's boxes those that pass, without those that lie on a better one."""
        rows = rows[rows[:, 0] > self._score]
        rows = rows[suppressed_by_smaller(rows[:, 1:5], rows[:, 0], STAGE_OVERLAP)]
        return Faces(rows[:, 1:5].copy(), rows[:, 0].copy(), rows[:, 5:].reshape(-1, 5, 2).copy())


@contextmanager
def _exact_float32() -> Iterator[None]:
    """Convolutions without TF32, which keeps 10 bits of 23 and loses boxes."""
    cudnn = torch.backends.cudnn
    with cudnn.flags(
        enabled=True, benchmark=cudnn.benchmark, deterministic=cudnn.deterministic, allow_tf32=False
    ):
        yield
