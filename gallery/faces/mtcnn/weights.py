"""The weights of MTCNN's three nets, out of facenet-pytorch's files, without importing it or PyTorch.

The files are of PyTorch's old kind: names and shapes as pickle, then the numbers of each tensor behind their
count. No pickle is read. A file that has the digest we expect holds these tensors, in this order.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gallery.faces import models
from gallery.faces.models import ModelFile

NetName = Literal["pnet", "rnet", "onet"]
Weights = dict[str, NDArray[np.float32]]
"""By facenet-pytorch's names."""
Shapes = dict[str, tuple[int, ...]]

COUNT_BYTES = 8
"""Before each tensor's numbers."""

FILES: dict[NetName, tuple[ModelFile, int, Shapes]] = {
    "pnet": (
        models.MTCNN_PNET,
        1938,
        {
            "conv2.weight": (16, 10, 3, 3),
            "conv4_1.weight": (2, 32, 1, 1),
            "conv4_2.bias": (4,),
            "conv4_2.weight": (4, 32, 1, 1),
            "conv3.bias": (32,),
            "prelu3.weight": (32,),
            "conv4_1.bias": (2,),
            "conv3.weight": (32, 16, 3, 3),
            "prelu1.weight": (10,),
            "conv1.bias": (10,),
            "conv2.bias": (16,),
            "conv1.weight": (10, 3, 3, 3),
            "prelu2.weight": (16,),
        },
    ),
    "rnet": (
        models.MTCNN_RNET,
        2307,
        {
            "conv1.bias": (28,),
            "dense5_2.weight": (4, 128),
            "conv2.bias": (48,),
            "conv1.weight": (28, 3, 3, 3),
            "conv3.bias": (64,),
            "prelu2.weight": (48,),
            "conv3.weight": (64, 48, 2, 2),
            "dense5_1.weight": (2, 128),
            "dense4.weight": (128, 576),
            "dense5_2.bias": (4,),
            "prelu3.weight": (64,),
            "dense4.bias": (128,),
            "conv2.weight": (48, 28, 3, 3),
            "prelu4.weight": (128,),
            "prelu1.weight": (28,),
            "dense5_1.bias": (2,),
        },
    ),
    "onet": (
        models.MTCNN_ONET,
        2941,
        {
            "dense6_2.bias": (4,),
            "prelu5.weight": (256,),
            "dense6_2.weight": (4, 256),
            "dense6_1.bias": (2,),
            "conv2.bias": (64,),
            "dense6_3.weight": (10, 256),
            "dense6_3.bias": (10,),
            "dense6_1.weight": (2, 256),
            "conv3.bias": (64,),
            "conv4.weight": (128, 64, 2, 2),
            "prelu2.weight": (64,),
            "conv3.weight": (64, 64, 3, 3),
            "conv4.bias": (128,),
            "prelu4.weight": (128,),
            "prelu3.weight": (64,),
            "dense5.bias": (256,),
            "conv1.weight": (32, 3, 3, 3),
            "conv1.bias": (32,),
            "conv2.weight": (64, 32, 3, 3),
            "prelu1.weight": (32,),
            "dense5.weight": (256, 1152),
        },
    ),
}
"""Each net's file, where its numbers begin, and its tensors as they follow each other."""


def load(net: NetName) -> Weights:
    """A net's tensors; ModelUnusable where its file is missing, damaged or another."""
    file, place, shapes = FILES[net]
    content = file.read()
    tensors = {}
    for name, shape in shapes.items():
        count, place = math.prod(shape), place + COUNT_BYTES
        # They came from another framework, and lie with the first axis innermost.
        flat = np.frombuffer(content, "<f4", count, place)
        tensors[name] = np.array(flat.reshape(shape, order="F"), np.float32, order="C")
        place += flat.nbytes
    return tensors
