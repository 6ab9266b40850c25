"""Finds faces in pictures with MTCNN."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from gallery.faces.device import resolve
from gallery.faces.types import BgrImage, Faces

if TYPE_CHECKING:
    from gallery.faces.mtcnn.carry import OutputNet
    from gallery.faces.mtcnn.cascade import Nets

logger = logging.getLogger(__name__)

ENGINES = ("auto", "compiled", "torch", "openvino", "openvino-bf16")


class EngineUnavailable(ValueError):
    """The engine that was asked for is not installed, or not for this device."""


class Cascade(Protocol):
    """The three stages on some device and engine."""

    @property
    def nets(self) -> OutputNet:
        """Its nets, or at least the last."""

    def detect(self, pictures: Sequence[BgrImage]) -> list[Faces]:
        """One Faces a picture; boxes may reach beyond it and are in no order."""


class MtcnnDetector:
    """MTCNN with facenet-pytorch's weights: the boxes of its `MTCNN(keep_all=True).detect`, clipped."""

    def __init__(
        self,
        device: str = "cpu",
        min_face_px: int = 20,
        thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7),
        engine: str = "auto",
    ) -> None:
        from gallery.faces.mtcnn.pyramid import SMALLEST_FACE_PX

        if min_face_px < SMALLEST_FACE_PX:
            raise ValueError(f"min_face_px must be at least {SMALLEST_FACE_PX}, not {min_face_px}")
        self.device = resolve(device)
        self.engine = resolve_engine(engine, self.device)
        self._cascade = _cascade(self.device, self.engine, min_face_px, thresholds)

    def detect(self, images: Sequence[BgrImage]) -> list[Faces]:
        """One Faces an image, the largest face first; sizes may differ."""
        found = self._cascade.detect(images)
        return [_finished(faces, image) for faces, image in zip(found, images, strict=True)]

    def refine(self, images: Sequence[BgrImage], boxes: Sequence[NDArray[np.float32]]) -> list[Faces]:
        """Looks where faces were: row i is what is at boxes[i] now, with its score, however low.

        boxes: float32[n, 4] an image. About a millisecond a face; scores below 0.9 are mostly no face.
        """
        from gallery.faces.mtcnn.carry import carry

        found = carry(self._cascade.nets, images, boxes)
        return [_clipped(faces, image) for faces, image in zip(found, images, strict=True)]


def resolve_engine(engine: str, device: str) -> str:
    """The engine really used: "auto" is our compiled nets on a CPU, else PyTorch.

    "openvino" has RNet and ONet on OpenVINO. "openvino-bf16" screens windows with fewer digits, on CPUs that
    have them; "auto" never takes it.
    """
    if engine not in ENGINES:
        raise EngineUnavailable(f"engine must be one of {', '.join(ENGINES)}, not {engine!r}")
    installed = importlib.util.find_spec("openvino") is not None
    if engine == "auto":
        return "compiled" if device == "cpu" else "torch"
    if engine != "torch" and device != "cpu":
        raise EngineUnavailable(f"engine {engine} is for the CPU, not for {device}: use auto or torch")
    if engine.startswith("openvino") and not installed:
        raise EngineUnavailable(f"engine {engine} needs the package openvino: use auto or torch")
    if engine == "openvino-bf16" and not _has_bfloat16():
        raise EngineUnavailable(f"engine {engine} needs a CPU with bfloat16: use auto or openvino")
    return engine


def _has_bfloat16() -> bool:
    from gallery.faces.mtcnn.openvino_nets import has_bfloat16

    return has_bfloat16()


def _cascade(device: str, engine: str, min_face_px: int, thresholds: tuple[float, float, float]) -> Cascade:
    # Each engine's library is imported only where it runs.
    if device != "cpu":
        from gallery.faces.mtcnn.packed import PackedCascade

        return PackedCascade(min_face_px, thresholds, device)
    from gallery.faces.mtcnn.cascade import Cascade
    from gallery.faces.mtcnn.referee import Referee

    return Cascade(_nets(engine), min_face_px, thresholds, None if engine == "torch" else Referee())


def _nets(engine: str) -> Nets:
    compiled = _compiled() if engine in ("compiled", "openvino") else None
    if engine.startswith("openvino"):
        from gallery.faces.mtcnn.first_compiled import FirstCompiled
        from gallery.faces.mtcnn.openvino_nets import OpenVinoNets

        nets = OpenVinoNets(screened=engine == "openvino-bf16")
        return FirstCompiled(compiled, nets) if compiled else nets
    if compiled:
        return compiled
    from gallery.faces.mtcnn.torch_nets import TorchNets

    return TorchNets()


def _compiled() -> Nets | None:
    from gallery.faces.machine_code import NoMachineCode

    try:
        # Where there is no LLVM, this import says so.
        from gallery.faces.mtcnn.compiled.nets import CompiledNets

        return CompiledNets()
    except NoMachineCode as reason:
        logger.warning("finding faces takes twice as long: %s", reason)
        return None


def _finished(faces: Faces, image: BgrImage) -> Faces:
    """The largest face first, inside the image."""
    left, top, right, bottom = faces.boxes.T
    order = np.argsort((right - left) * (bottom - top))[::-1]
    return _clipped(faces, image).take(order)


def _clipped(faces: Faces, image: BgrImage) -> Faces:
    """MTCNN's boxes may reach beyond the image."""
    height, width = image.shape[:2]
    limits = np.array([width, height, width, height], np.float32)
    return Faces(np.clip(faces.boxes, 0, limits), faces.scores, faces.landmarks)
