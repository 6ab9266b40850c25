"""MTCNN's three nets as facenet-pytorch trained them, rearranged so that they run fast with the same results.

What is rearranged, everywhere exactly but for the last bits of float32:
- What folding.py folds into the weights.
- Channels are padded to a multiple of 16 with zeros where a CPU is faster so.
- Tensors are channels-last; the first dense layer takes them in that order.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from gallery.faces.mtcnn import folding
from gallery.faces.mtcnn.weights import NetName

COLOURS = 3
BELOW_ALL = -1e4
"""Less than anything that the first convolution gives, and far from overflowing in the next."""


class ProposalNet(nn.Module):
    """PNet: looks at every 12x12 window of a pyramid level."""

    face_weight: Tensor
    face_bias: Tensor
    offset_weight: Tensor
    offset_bias: Tensor

    def __init__(self) -> None:
        super().__init__()
        tensors = _tensors("pnet")
        self.conv1 = Convolution(
            tensors["conv1.weight"], tensors["conv1.bias"], tensors["prelu1.weight"], padded=False
        )
        self.conv2 = Convolution(
            tensors["conv2.weight"], tensors["conv2.bias"], tensors["prelu2.weight"], padded=False
        )
        self.conv3 = Convolution(tensors["conv3.weight"], tensors["conv3.bias"], tensors["prelu3.weight"])
        hold(self, "face_weight", tensors["conv4_1.weight"].flatten())
        hold(self, "face_bias", tensors["conv4_1.bias"])
        hold(self, "offset_weight", tensors["conv4_2.weight"].flatten(1))
        hold(self, "offset_bias", tensors["conv4_2.bias"])

    def forward(self, bgr: Tensor) -> tuple[Tensor, Tensor]:
        """float32[n, 3, h, w] -> logits[n * rows * columns] and features[n * rows * columns, 32]."""
        hidden = self.conv3(self.conv2(self.conv1.pooled(bgr, 2)))
        features = hidden.permute(0, 2, 3, 1).flatten(0, 2)
        return torch.addmv(self.face_bias, features, self.face_weight), features

    def offsets(self, features: Tensor) -> Tensor:
        """float32[k, 32] of the cells that are candidates -> [k, 4], in parts of the box's sides."""
        return functional.linear(features, self.offset_weight, self.offset_bias)


class PackedProposalNet(nn.Module):
    """PNet on a canvas of several levels: plain, and with offsets for every cell."""

    weight: Tensor
    bias: Tensor

    def __init__(self) -> None:
        super().__init__()
        tensors = _tensors("pnet")
        self.conv1 = Convolution(
            tensors["conv1.weight"], tensors["conv1.bias"], tensors["prelu1.weight"], padded=False
        )
        self.conv2 = Convolution(
            tensors["conv2.weight"], tensors["conv2.bias"], tensors["prelu2.weight"], padded=False
        )
        self.conv3 = Convolution(tensors["conv3.weight"], tensors["conv3.bias"], tensors["prelu3.weight"])
        for part in ("weight", "bias"):
            hold(self, part, torch.cat([tensors[f"conv4_1.{part}"], tensors[f"conv4_2.{part}"]]))

    def forward(self, bgr: Tensor, cut: Tensor) -> Tensor:
        """float32[n, 3, h, w] -> [n, 5, rows, columns]: logit, four offsets."""
        # What lies beyond a level must not win in its last windows, which the level alone would cut short.
        hidden = maximum(self.conv1(bgr).masked_fill_(cut, BELOW_ALL), 2)
        return functional.conv2d(self.conv3(self.conv2(hidden)), self.weight, self.bias)


class RefinementNet(nn.Module):
    """RNet: is this 24x24 crop a face, and where exactly?"""

    def __init__(self) -> None:
        super().__init__()
        tensors = _tensors("rnet")
        self.conv1 = Convolution(tensors["conv1.weight"], tensors["conv1.bias"], tensors["prelu1.weight"])
        self.conv2 = Convolution(tensors["conv2.weight"], tensors["conv2.bias"], tensors["prelu2.weight"])
        self.conv3 = Convolution(tensors["conv3.weight"], tensors["conv3.bias"], tensors["prelu3.weight"])
        self.dense = _Dense(tensors, "dense4", "prelu4", channels=64, side=3)
        self.outputs = _Outputs(tensors, "dense5_1", ["dense5_2"])

    def forward(self, bgr: Tensor) -> Tensor:
        """float32[n, 3, 24, 24] -> [n, 5]: logit, four offsets."""
        hidden = self.conv2.pooled(self.conv1.pooled(bgr, 3), 3)
        output: Tensor = self.outputs(self.dense(self.conv3(hidden)))
        return output


class OutputNet(nn.Module):
    """ONet: the last word on a 48x48 crop, and the landmarks."""

    def __init__(self) -> None:
        super().__init__()
        tensors = _tensors("onet")
        self.conv1 = Convolution(tensors["conv1.weight"], tensors["conv1.bias"], tensors["prelu1.weight"])
        self.conv2 = Convolution(tensors["conv2.weight"], tensors["conv2.bias"], tensors["prelu2.weight"])
        self.conv3 = Convolution(tensors["conv3.weight"], tensors["conv3.bias"], tensors["prelu3.weight"])
        self.conv4 = Convolution(tensors["conv4.weight"], tensors["conv4.bias"], tensors["prelu4.weight"])
        self.dense = _Dense(tensors, "dense5", "prelu5", channels=128, side=3)
        self.outputs = _Outputs(tensors, "dense6_1", ["dense6_2", "dense6_3"])

    def forward(self, bgr: Tensor) -> Tensor:
        """float32[n, 3, 48, 48] -> [n, 15]: logit, four offsets, five x, five y."""
        hidden = self.conv2.pooled(self.conv1.pooled(bgr, 3), 3)
        hidden = self.conv3.pooled(hidden, 2)
        output: Tensor = self.outputs(self.dense(self.conv4(hidden)))
        return output


class Convolution(nn.Module):
    """A convolution and its PReLU."""

    weight: Tensor
    bias: Tensor
    slope: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, slope: Tensor, padded: bool = True) -> None:
        super().__init__()
        outputs = -len(weight) % 16 if padded else 0
        inputs = -weight.shape[1] % 16 if padded and weight.shape[1] > COLOURS else 0
        hold(self, "weight", functional.pad(weight, (0, 0, 0, 0, 0, inputs, 0, outputs)))
        hold(self, "bias", functional.pad(bias, (0, outputs)))
        hold(self, "slope", functional.pad(slope, (0, outputs)))

    def forward(self, hidden: Tensor) -> Tensor:
        return functional.prelu(functional.conv2d(hidden, self.weight, self.bias), self.slope)

    def pooled(self, hidden: Tensor, size: int) -> Tensor:
        """Followed by the maximum of each square of this size, two pixels apart, cut short at far edges."""
        return maximum(self(hidden), size)


class _Dense(nn.Module):
    """The first dense layer and its PReLU; trained on (width, height, channels), taken channels-last."""

    weight: Tensor
    bias: Tensor
    slope: Tensor

    def __init__(self, tensors: dict[str, Tensor], dense: str, prelu: str, channels: int, side: int) -> None:
        super().__init__()
        weight = tensors[f"{dense}.weight"].view(-1, side, side, channels).transpose(1, 2)
        hold(self, "weight", weight.flatten(1))
        hold(self, "bias", tensors[f"{dense}.bias"])
        hold(self, "slope", tensors[f"{prelu}.weight"])

    def forward(self, hidden: Tensor) -> Tensor:
        flat = hidden.permute(0, 2, 3, 1).flatten(1)
        return functional.prelu(functional.linear(flat, self.weight, self.bias), self.slope)


class _Outputs(nn.Module):
    """All of a net's outputs as one dense layer: the logit first, then the others."""

    weight: Tensor
    bias: Tensor

    def __init__(self, tensors: dict[str, Tensor], face: str, others: list[str]) -> None:
        super().__init__()
        for part in ("weight", "bias"):
            hold(self, part, torch.cat([tensors[f"{name}.{part}"] for name in (face, *others)]))

    def forward(self, hidden: Tensor) -> Tensor:
        return functional.linear(hidden, self.weight, self.bias)


def hold(module: nn.Module, name: str, tensor: Tensor) -> None:
    layout = torch.channels_last if tensor.dim() == 4 else torch.contiguous_format
    module.register_buffer(name, tensor.clone(memory_format=layout))


def _tensors(net: NetName) -> dict[str, Tensor]:
    return {name: torch.from_numpy(values) for name, values in folding.load(net).items()}


def maximum(hidden: Tensor, size: int) -> Tensor:
    """Of each square of this size, two pixels apart, cut short at the far edges."""
    return functional.max_pool2d(hidden, size, 2, ceil_mode=True)
