"""Turns faces into the vectors that tell people apart: dlib's encoder, and the choice among all encoders."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from gallery.faces import aligner, dlib_structure, models
from gallery.faces.chip_encoder import ChipEncoder, Cut, Net, Space, one_by_one
from gallery.faces.device import resolve

ALIGNMENTS = ("mtcnn", "dlib")
ENGINES = ("torch", "dlib", "openvino")

DLIB_SPACE = Space(dimensions=128, threshold=0.6, mirror_threshold=0.588, unit_length=False)
"""0.6 is what dlib's author trained for. Means of a face and its mirror image lie nearer together: at 0.588
as many pairs of strangers of LFW pass."""


class DlibEncoder(ChipEncoder):
    """dlib's ResNet of 128 dimensions, in the space of face_recognition's encodings."""

    def __init__(
        self,
        device: str = "cpu",
        alignment: str = "mtcnn",
        engine: str = "torch",
        mirror: bool = False,
    ) -> None:
        """alignment: mtcnn takes the landmarks that come with a face, dlib predicts its own inside the box.
        engine: torch; dlib itself, as the reference; openvino, if it is installed.
        """
        one_of("encoder.alignment", alignment, ALIGNMENTS)
        one_of("encoder.engine", engine, ENGINES)
        place = resolve(device) if engine == "torch" else "cpu"
        files = [*models.DETECTOR, models.DLIB_RESNET]
        files += [models.DLIB_FIVE_POINTS] if alignment == "dlib" else []
        super().__init__(
            name="dlib",
            alignment=alignment,
            model=models.model_text("dlib", alignment, [file.sha256 for file in files], mirror),
            space=DLIB_SPACE,
            cut=_dlib_cut() if alignment == "dlib" else landmark_cut(aligner.DLIB_TEMPLATE, 150, place),
            net=_dlib_net(engine, place),
            mirror=mirror,
        )


def build_encoder(
    name: str = "dlib",
    device: str = "cpu",
    alignment: str = "mtcnn",
    engine: str = "torch",
    weights: str | None = None,
    mirror: bool = False,
) -> ChipEncoder:
    """The encoder of this name; ValueError where the names do not fit together or its weights are missing."""
    one_of("encoder.name", name, ("dlib", "facenet", "sface"))
    if name == "dlib":
        if weights is not None:
            raise ValueError(
                'encoder.weights is for encoder.name = "facenet" or "sface"; dlib brings its own'
            )
        return DlibEncoder(device, alignment, engine, mirror)
    raise ValueError(f"encoder.name {name} is not here yet")


def one_of(key: str, value: str, allowed: Sequence[str]) -> None:
    """ValueError unless this setting is one of these."""
    if value not in allowed:
        choice = ", ".join(f'"{each}"' for each in allowed)
        raise ValueError(f'{key} must be one of {choice}, not "{value}"')


def landmark_cut(template: aligner.Template, size_px: int, device: str) -> Cut:
    """Cuts by the landmarks that come with the faces, on the device that encodes them."""
    if device == "cpu":
        return one_by_one(lambda bgr, faces: aligner.cut(bgr, faces.landmarks, template, size_px))
    from gallery.faces import torch_aligner

    return partial(torch_aligner.cut, template=template, size_px=size_px, device=device)


def _dlib_cut() -> Cut:
    from gallery.faces.dlib_reference import PredictorAligner

    return one_by_one(PredictorAligner().cut)


def _dlib_net(engine: str, device: str) -> Net:
    if engine == "dlib":
        from gallery.faces.dlib_reference import DlibNet

        return DlibNet()
    resnet = dlib_structure.read(models.DLIB_RESNET.read())
    if engine == "openvino":
        return _openvino_net(resnet)
    from gallery.faces.dlib_resnet import DlibResnet
    from gallery.faces.torch_runner import TorchRunner

    return TorchRunner(DlibResnet(resnet, device), device)


def _openvino_net(resnet: dlib_structure.Resnet) -> Net:
    try:
        from gallery.faces.dlib_openvino import DlibOpenvino
    except ModuleNotFoundError:
        raise ValueError('encoder.engine "openvino" is not installed: uv sync --extra openvino') from None
    from torch import get_num_threads

    return DlibOpenvino(resnet, get_num_threads())
