"""FaceNet: Inception-ResNet v1 of facenet-pytorch, 512 numbers a face; the user fetches its weights."""

from __future__ import annotations

import os
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from gallery.faces import models
from gallery.faces.aligner import Chips
from gallery.faces.chip_encoder import ChipEncoder, Space, one_by_one, one_of
from gallery.faces.convolution import Convolution
from gallery.faces.device import resolve
from gallery.faces.models import ModelUnusable
from gallery.faces.torch_runner import TorchRunner
from gallery.faces.types import BgrImage, Faces

SIZE_PX = 160
MARGIN_PX = 32
"""Of the 160, what the box is widened by; facenet-pytorch's default of 0 cuts chins and brows off."""

FILE_NAME = "20180402-114759-vggface2.pt"
SHA256 = "281cebca8662831adb987a874bdcb36e73f5b1c6dc5ee5878f305e985625d99b"
"""Of facenet-pytorch's release v2.2.9, trained on VGGFace2."""

SPACE = Space(dimensions=512, threshold=1.0, mirror_threshold=1.0, unit_length=True)
"""At dlib's 0.6, let alone 0.5, hardly anybody is recognised: 0.5 refuses 96.5 % of LFW's genuine pairs."""

State = Mapping[str, Tensor]
Doubles = NDArray[np.float64]


class FacenetEncoder(ChipEncoder):
    """Looks at the box as MTCNN gives it, widened but not turned, as it was trained."""

    def __init__(
        self,
        device: str = "cpu",
        engine: str = "auto",
        weights: str | None = None,
        mirror: bool = False,
    ) -> None:
        """weights: the file; None looks where facenet-pytorch puts what it downloads."""
        one_of("encoder.engine", engine, ("auto", "torch"))
        place = resolve(device)
        content, digest = models.read_one_of(_file(weights), (SHA256,))
        state = torch.load(BytesIO(content), map_location="cpu", weights_only=True)
        super().__init__(
            name="facenet",
            engine="torch",
            alignment="mtcnn",
            model=models.model_text("facenet", "mtcnn", [*models.detector_digests(), digest], mirror),
            space=SPACE,
            cut=one_by_one(cut),
            net=TorchRunner(InceptionResnet(state, place), place),
            mirror=mirror,
        )


def cut(bgr: BgrImage, faces: Faces) -> Chips:
    """One square a face, from its widened box, as facenet-pytorch's extract_face does it."""
    chips = np.zeros((len(faces), SIZE_PX, SIZE_PX, 3), np.uint8)
    for chip, box in zip(chips, faces.boxes, strict=True):
        widen = (box[2:] - box[:2]) * MARGIN_PX / (SIZE_PX - MARGIN_PX) / 2
        left, top = np.maximum(box[:2] - widen, 0).astype(int)
        right, bottom = np.minimum(box[2:] + widen, [bgr.shape[1], bgr.shape[0]]).astype(int)
        if left < right and top < bottom:
            area = cv2.resize(bgr[top:bottom, left:right], (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA)
            cv2.cvtColor(area, cv2.COLOR_BGR2RGB, dst=chip)
    return chips


class InceptionResnet:
    """Inception-ResNet v1 (Szegedy et al., 2016) with the names of facenet-pytorch's weights."""

    def __init__(self, state: State, device: str) -> None:
        weights = _Weights(state, device)
        unit = weights.unit
        self._first = [unit("conv2d_1a", 2), unit("conv2d_2a"), unit("conv2d_2b", padding=(1, 1))]
        self._second = [unit("conv2d_3b"), unit("conv2d_4a"), unit("conv2d_4b", 2)]
        self._level_1 = [_Residual(weights, f"repeat_1.{i}", 3, (1, 1), 0.17) for i in range(5)]
        self._reduce_1 = [
            [unit("mixed_6a.branch0", 2)],
            [
                unit("mixed_6a.branch1.0"),
                unit("mixed_6a.branch1.1", padding=(1, 1)),
                unit("mixed_6a.branch1.2", 2),
            ],
        ]
        self._level_2 = [_Residual(weights, f"repeat_2.{i}", 2, (0, 3), 0.10) for i in range(10)]
        self._reduce_2 = [
            [unit("mixed_7a.branch0.0"), unit("mixed_7a.branch0.1", 2)],
            [unit("mixed_7a.branch1.0"), unit("mixed_7a.branch1.1", 2)],
            [
                unit("mixed_7a.branch2.0"),
                unit("mixed_7a.branch2.1", padding=(1, 1)),
                unit("mixed_7a.branch2.2", 2),
            ],
        ]
        self._level_3 = [_Residual(weights, f"repeat_3.{i}", 2, (0, 1), 0.20) for i in range(5)]
        self._last = _Residual(weights, "block8", 2, (0, 1), 1.0)
        self._dense, self._bias = weights.dense()

    def __call__(self, chips: Tensor) -> Tensor:
        """float32[n, 512] of length 1 for uint8[n, 160, 160, 3] red, green, blue."""
        pixels = chips.permute(0, 3, 1, 2).float().sub_(127.5).div_(128)
        pixels = functional.max_pool2d(_through(self._first, pixels), 3, 2)
        pixels = _through(self._second, pixels)
        for block in self._level_1:
            pixels = block(pixels).relu_()
        pixels = _reduced(self._reduce_1, pixels)
        for block in self._level_2:
            pixels = block(pixels).relu_()
        pixels = _reduced(self._reduce_2, pixels)
        for block in self._level_3:
            pixels = block(pixels).relu_()
        means = self._last(pixels).mean(dim=(2, 3))
        return functional.normalize(functional.linear(means, self._dense, self._bias))


class _Residual:
    """Branches side by side, brought together, scaled and added to what came in."""

    def __init__(
        self, weights: _Weights, name: str, branches: int, reach: tuple[int, int], scale: float
    ) -> None:
        """reach: padding of the first of a branch's later convolutions; the second has it turned round."""
        later = (reach, reach) if branches == 3 else (reach, reach[::-1])
        self._branches = [[weights.unit(f"{name}.branch0")]]
        for branch in range(1, branches):
            count = branch + 1 if branches == 3 else 3
            units = [weights.unit(f"{name}.branch{branch}.0")]
            units += [
                weights.unit(f"{name}.branch{branch}.{i}", padding=later[i - 1]) for i in range(1, count)
            ]
            self._branches.append(units)
        self._together = weights.plain(f"{name}.conv2d", scale)

    def __call__(self, pixels: Tensor) -> Tensor:
        found = torch.cat([_through(branch, pixels) for branch in self._branches], dim=1)
        return self._together(found).add_(pixels)


class _Weights:
    """Takes layers out of a state, with batch normalisation multiplied in."""

    def __init__(self, state: State, device: str) -> None:
        self._state, self._device = state, device

    def unit(self, name: str, stride: int = 1, padding: tuple[int, int] = (0, 0)) -> Convolution:
        scale, shift = self._normalisation(f"{name}.bn")
        weights = self._take(f"{name}.conv.weight") * scale[:, None, None, None]
        return Convolution(
            weights.astype(np.float32), shift.astype(np.float32), stride, padding, device=self._device
        )

    def plain(self, name: str, scale: float) -> Convolution:
        weights, bias = self._take(f"{name}.weight") * scale, self._take(f"{name}.bias") * scale
        return Convolution(weights.astype(np.float32), bias.astype(np.float32), device=self._device)

    def dense(self) -> tuple[Tensor, Tensor]:
        scale, shift = self._normalisation("last_bn")
        weights = self._take("last_linear.weight") * scale[:, None]
        return (
            torch.from_numpy(weights.astype(np.float32)).to(self._device),
            torch.from_numpy(shift.astype(np.float32)).to(self._device),
        )

    def _normalisation(self, name: str) -> tuple[Doubles, Doubles]:
        variance, mean = self._take(f"{name}.running_var"), self._take(f"{name}.running_mean")
        scale = self._take(f"{name}.weight") / np.sqrt(variance + 0.001)
        return scale, self._take(f"{name}.bias") - mean * scale

    def _take(self, name: str) -> Doubles:
        try:
            return np.asarray(self._state[name].numpy(), np.float64)
        except KeyError:
            raise ModelUnusable(f"not FaceNet's weights: {name} is missing") from None


def _through(units: list[Convolution], pixels: Tensor) -> Tensor:
    for unit in units:
        pixels = unit.relu(pixels)
    return pixels


def _reduced(branches: list[list[Convolution]], pixels: Tensor) -> Tensor:
    found = [_through(branch, pixels) for branch in branches]
    return torch.cat([*found, functional.max_pool2d(pixels, 3, 2)], dim=1)


def _file(weights: str | None) -> Path:
    if weights is not None:
        return Path(weights).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser()
    file = home / "checkpoints" / FILE_NAME
    if not file.is_file():
        raise ModelUnusable(
            f"FaceNet's weights are not here: fetch {FILE_NAME} from release v2.2.9 of "
            f"github.com/timesler/facenet-pytorch into {file.parent}, or name it in encoder.weights"
        )
    return file
