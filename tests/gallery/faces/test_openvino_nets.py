"""The nets on OpenVINO, held against the same on PyTorch."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from gallery.faces.mtcnn.torch_nets import TorchNets
from tests.conftest import REPOSITORY

pytest.importorskip("openvino", reason="the extra openvino is not installed")

if TYPE_CHECKING:
    from gallery.faces.mtcnn.openvino_nets import OpenVinoNets


@cache
def nets() -> OpenVinoNets:
    from gallery.faces.mtcnn.openvino_nets import OpenVinoNets

    return OpenVinoNets(screened=False)


def crops(count: int, side: int) -> NDArray[np.float32]:
    return np.random.default_rng(count).uniform(0, 255, (count, side, side, 3)).astype(np.float32)


@pytest.mark.parametrize("count", [1, 7, 8, 9, 31, 32, 33])
def test_any_number_of_crops_gets_an_answer_each(count: int) -> None:
    expected = [*TorchNets().refine(crops(count, 24)), *TorchNets().decide(crops(count, 48))]
    found = [*nets().refine(crops(count, 24)), *nets().decide(crops(count, 48))]
    for ours, reference in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, reference, atol=1e-4)


def test_levels_of_ever_other_sizes_do_not_pile_up() -> None:
    """54 MB here, for which OpenVINO would take 266 if it kept what it prepared for every size."""
    code = """
import numpy as np
from pathlib import Path
from gallery.faces.mtcnn import openvino_models, openvino_nets

def megabytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

net = openvino_nets._Net(openvino_models.pnet(), "f32")
for index in range(70):
    net(np.zeros((1, 40 + index, 60, 3), np.float32))
before = megabytes()
for index in range(700):
    net(np.zeros((1, 40 + index % 50, 140 + index, 3), np.float32))
print(megabytes() - before < 150)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY)
    assert (done.stdout.strip(), done.returncode) == ("True", 0), done.stderr
