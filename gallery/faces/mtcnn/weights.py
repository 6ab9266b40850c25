"""Finds the weights of MTCNN's three nets inside facenet-pytorch, without importing it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

NetName = Literal["pnet", "rnet", "onet"]
PACKAGE = "facenet_pytorch"


class WeightsMissing(FileNotFoundError):
    """The package that carries the nets is not installed, or not whole."""


def path_of(net: NetName) -> Path:
    """The file of one net. `import facenet_pytorch` would cost seconds: it imports torchvision."""
    spec = importlib.util.find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "data" / f"{net}.pt"
        if path.is_file():
            return path
    raise WeightsMissing(f"{PACKAGE} does not carry data/{net}.pt here: install facenet-pytorch")


def load(net: NetName) -> dict[str, torch.Tensor]:
    """A net's tensors by facenet-pytorch's names, on the CPU."""
    import torch

    tensors: dict[str, torch.Tensor] = torch.load(path_of(net), map_location="cpu", weights_only=True)
    return tensors
