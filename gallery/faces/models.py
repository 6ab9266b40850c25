"""Finds the files of weights inside installed packages, without importing them, and checks their digests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path


class ModelUnusable(ValueError):
    """A file of weights is missing, damaged or another than the one expected."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """Weights that come inside a Python package."""

    package: str
    """The import name of the package; it is never imported."""
    path: str
    """Where the file lies inside the package."""
    sha256: str
    """Of the only file we accept."""
    comes_with: str
    """What to install to get it."""

    def locate(self) -> Path:
        """The file's place on disk, whatever it holds."""
        spec = find_spec(self.package)
        folders = spec.submodule_search_locations if spec is not None else None
        for folder in folders or ():
            file = Path(folder) / self.path
            if file.is_file():
                return file
        raise ModelUnusable(f"{Path(self.path).name} is not installed: it comes with {self.comes_with}")

    def read(self) -> bytes:
        """The file's bytes, which are the expected ones."""
        return read_one_of(self.locate(), [self.sha256])[0]

    def checked(self) -> Path:
        """The file's place, for a library that opens it by itself; its bytes are the expected ones."""
        file = self.locate()
        read_one_of(file, [self.sha256])
        return file


MTCNN_PNET = ModelFile(
    "facenet_pytorch",
    "data/pnet.pt",
    "a2a71925e0b9996a42f63e47efc1ca19043e69558b5c523b978d611dfae49c8f",
    "facenet-pytorch",
)
MTCNN_RNET = ModelFile(
    "facenet_pytorch",
    "data/rnet.pt",
    "bbb937de72efc9ef83b186c49f5f558467a1d7e3453a8ece0d71a886633f6a86",
    "facenet-pytorch",
)
MTCNN_ONET = ModelFile(
    "facenet_pytorch",
    "data/onet.pt",
    "165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d",
    "facenet-pytorch",
)
DLIB_RESNET = ModelFile(
    "face_recognition_models",
    "models/dlib_face_recognition_resnet_model_v1.dat",
    "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
    "face-recognition-models",
)
DLIB_FIVE_POINTS = ModelFile(
    "face_recognition_models",
    "models/shape_predictor_5_face_landmarks.dat",
    "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
    "face-recognition-models",
)
DETECTOR = (MTCNN_PNET, MTCNN_RNET, MTCNN_ONET)
"""The nets whose boxes and landmarks every encoding rests on."""


def read_one_of(file: Path, digests: Sequence[str]) -> tuple[bytes, str]:
    """The file's bytes and its SHA-256, which is one of these; else ModelUnusable."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ModelUnusable(f"{file}: {error.strerror}") from None
    found = hashlib.sha256(content).hexdigest()
    if found not in digests:
        expected = " or ".join(digests)
        raise ModelUnusable(f"{file}: damaged or another model: its SHA-256 is {found}, not {expected}")
    return content, found


def detector_digests() -> list[str]:
    """Of the nets whose boxes and landmarks every encoding rests on."""
    return [file.sha256 for file in DETECTOR]


def model_text(
    name: str, alignment: str, digests: Iterable[str], mirror: bool = False, variant: str = ""
) -> str:
    """What an encoding came from, e.g. dlib-mtcnn-1a2b3c4d5e6f7a8b; equal text, comparable encodings.

    variant: an arithmetic that moves encodings so far that they are not to be mixed, e.g. int8.
    """
    joined = hashlib.sha256("".join(digests).encode("ascii")).hexdigest()
    marks = [name, alignment, *(["mirror"] if mirror else []), *([variant] if variant else [])]
    return "-".join([*marks, joined[:16]])
