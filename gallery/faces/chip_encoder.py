"""What every encoder does: cut upright squares out of images, run a net on them, share out the encodings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from gallery.faces import aligner
from gallery.faces.aligner import Chips, Template
from gallery.faces.types import BgrImage, Encodings, Faces

if TYPE_CHECKING:
    from torch import Tensor

Batch: TypeAlias = "Chips | Tensor"
"""uint8[n, size, size, 3], red, green, blue, in memory or on a GPU."""

Cut = Callable[[Sequence[BgrImage], Sequence[Faces]], Batch]
"""One chip a face, the faces of the first image first."""

Net = Callable[[Batch], Encodings]
"""One encoding a chip; there is at least one."""


@dataclass(frozen=True, slots=True)
class Space:
    """The space of an encoder: what its distances mean."""

    dimensions: int
    """Numbers an encoding."""
    threshold: float
    """Euclidean distance up to which two encodings count as one person."""
    mirror_threshold: float
    """The same where an encoding is the mean of the face's and its mirror image's."""
    unit_length: bool
    """Every encoding has length 1."""


class ChipEncoder:
    """An encoder with a way to cut and a net to run."""

    def __init__(
        self,
        name: str,
        engine: str,
        alignment: str,
        model: str,
        space: Space,
        cut: Cut,
        net: Net,
        mirror: bool,
    ) -> None:
        self.name = name
        self.engine = engine
        self.alignment = alignment
        self.model = model
        self.mirror = mirror
        self.dimensions = space.dimensions
        self.threshold = space.mirror_threshold if mirror else space.threshold
        self._space, self._cut, self._net = space, cut, net

    def encode(self, bgr: BgrImage, faces: Faces) -> Encodings:
        """float32[n, d], row i for face i of this image."""
        return self.encode_many([bgr], [faces])[0]

    def encode_many(self, images: Sequence[BgrImage], faces: Sequence[Faces]) -> list[Encodings]:
        """What encode gives for each image, with as few runs of the net as there can be."""
        counts = [len(found) for found in faces]
        if sum(counts) == 0:
            return [np.zeros((0, self.dimensions), np.float32) for _ in counts]
        chips = self._cut(images, faces)
        encodings = self._mirrored(chips) if self.mirror else self._net(chips)
        return np.split(encodings, np.cumsum(counts)[:-1])

    def _mirrored(self, chips: Batch) -> Encodings:
        means = self._net(_with_mirror_images(chips)).reshape(2, len(chips), -1).mean(axis=0)
        if self._space.unit_length:
            means /= np.linalg.norm(means, axis=1, keepdims=True)
        return np.asarray(means, np.float32)


def one_by_one(cut_one: Callable[[BgrImage, Faces], Chips]) -> Cut:
    """Cuts several images with what cuts one."""

    def cut(images: Sequence[BgrImage], faces: Sequence[Faces]) -> Chips:
        return np.concatenate([cut_one(bgr, found) for bgr, found in zip(images, faces, strict=True)])

    return cut


def landmark_cut(template: Template, size_px: int, device: str) -> Cut:
    """Cuts by the landmarks that come with the faces, on the device that encodes them."""
    if device == "cpu":
        return one_by_one(lambda bgr, faces: aligner.cut(bgr, faces.landmarks, template, size_px))
    from gallery.faces import torch_aligner

    return partial(torch_aligner.cut, template=template, size_px=size_px, device=device)


def one_of(key: str, value: str, allowed: Sequence[str]) -> None:
    """ValueError unless this setting is one of these."""
    if value not in allowed:
        choice = " or ".join(f'"{each}"' for each in allowed)
        raise ValueError(f'{key} must be {choice}, not "{value}"')


def openvino_is_missing(engine: str) -> ValueError:
    """What to tell who asks for this engine and has it not."""
    return ValueError(f'encoder.engine "{engine}" is not installed: uv sync --extra openvino')


def _with_mirror_images(chips: Batch) -> Batch:
    if isinstance(chips, np.ndarray):
        return np.concatenate([chips, chips[:, :, ::-1]])
    from torch import cat

    return cat([chips, chips.flip(2)])
