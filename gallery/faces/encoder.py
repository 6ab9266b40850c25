"""Turns faces into the vectors that tell people apart: dlib's encoder, and the choice among all encoders."""

from __future__ import annotations

import logging

from gallery.faces import aligner, dlib_structure, models
from gallery.faces.chip_encoder import (
    ChipEncoder,
    Cut,
    Net,
    Space,
    landmark_cut,
    one_by_one,
    one_of,
    openvino_is_missing,
)
from gallery.faces.device import resolve

logger = logging.getLogger(__name__)

ALIGNMENTS = ("mtcnn", "dlib")
ENGINES = ("auto", "compiled", "torch", "dlib", "openvino")

DLIB_SPACE = Space(dimensions=128, threshold=0.6, mirror_threshold=0.588, unit_length=False)
"""0.6 is what dlib's author trained for. Means of a face and its mirror image lie nearer together: at 0.588
as many pairs of strangers of LFW pass."""


class DlibEncoder(ChipEncoder):
    """dlib's ResNet of 128 dimensions, in the space of face_recognition's encodings."""

    def __init__(
        self,
        device: str = "cpu",
        alignment: str = "mtcnn",
        engine: str = "auto",
        mirror: bool = False,
    ) -> None:
        """alignment: mtcnn takes the landmarks that come with a face, dlib predicts its own inside the box.
        engine: compiled is machine code for this CPU; torch; dlib itself, as the reference; openvino, if that
        is installed; auto is compiled on a CPU and torch on a GPU.
        """
        one_of("encoder.alignment", alignment, ALIGNMENTS)
        one_of("encoder.engine", engine, ENGINES)
        place = resolve(device) if engine in ("auto", "torch") else "cpu"
        if engine == "auto":
            engine = "compiled" if place == "cpu" else "torch"
        digests = [*models.detector_digests(), models.DLIB_RESNET.sha256]
        if alignment == "dlib":
            digests.append(models.DLIB_FIVE_POINTS.sha256)
        super().__init__(
            name="dlib",
            engine=engine,
            alignment=alignment,
            model=models.model_text("dlib", alignment, digests, mirror),
            space=DLIB_SPACE,
            cut=_dlib_cut() if alignment == "dlib" else landmark_cut(aligner.DLIB_TEMPLATE, 150, place),
            net=_dlib_net(engine, place),
            mirror=mirror,
        )


def build_encoder(
    name: str = "dlib",
    device: str = "cpu",
    alignment: str = "mtcnn",
    engine: str = "auto",
    weights: str | None = None,
    mirror: bool = False,
) -> ChipEncoder:
    """The encoder of this name; ValueError where the names do not fit together or its weights are missing."""
    one_of("encoder.name", name, ("dlib", "facenet", "sface"))
    if name == "dlib":
        if weights is not None:
            raise ValueError("encoder.weights: dlib's encoder brings its own; leave it out")
        return DlibEncoder(device, alignment, engine, mirror)
    if alignment != "mtcnn":
        raise ValueError(f'encoder.alignment must be "mtcnn" for encoder.name = "{name}"')
    if name == "sface":
        from gallery.faces.sface import SfaceEncoder

        return SfaceEncoder(device, engine, weights, mirror)
    from gallery.faces.facenet import FacenetEncoder

    return FacenetEncoder(device, engine, weights, mirror)


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
    return (_compiled_net(resnet) if engine == "compiled" else None) or _torch_net(resnet, device)


def _compiled_net(resnet: dlib_structure.Resnet) -> Net | None:
    from gallery.faces.machine_code import NoMachineCode

    try:
        # Where there is no LLVM, this import says so.
        from gallery.faces.dlib_compiled.net import CompiledResnet

        return CompiledResnet(resnet)
    except NoMachineCode as reason:
        logger.warning("encoding takes twice as long: %s", reason)
        return None


def _torch_net(resnet: dlib_structure.Resnet, device: str) -> Net:
    from gallery.faces.dlib_resnet import DlibResnet
    from gallery.faces.torch_runner import TorchRunner

    return TorchRunner(DlibResnet(resnet, device), device)


def _openvino_net(resnet: dlib_structure.Resnet) -> Net:
    try:
        from gallery.faces.dlib_openvino import graph
        from gallery.faces.openvino_runner import OpenvinoRunner
    except ModuleNotFoundError:
        raise openvino_is_missing("openvino") from None
    from gallery.faces import threads

    return OpenvinoRunner(graph(resnet), threads.count())
