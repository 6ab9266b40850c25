"""The compiled nets, held against the same on PyTorch, for this processor's vectors and for shorter ones."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from numpy.typing import NDArray
from torch.nn.functional import conv2d

from gallery.faces.mtcnn.compiled.nets import CompiledNets
from gallery.faces.mtcnn.compiled.winograd import WEIGHTS, transformed
from gallery.faces.mtcnn.integral import IntegralImage
from gallery.faces.mtcnn.pyramid import strips
from gallery.faces.mtcnn.torch_nets import TorchNets
from tests.conftest import REPOSITORY

side = some.integers(12, 140)


@cache
def compiled() -> CompiledNets:
    return CompiledNets()


@cache
def reference() -> TorchNets:
    return TorchNets()


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def crops(count: int, px: int) -> NDArray[np.float32]:
    return np.random.default_rng(count).uniform(0, 255, (count, px, px, 3)).astype(np.float32)


def assert_same_proposals(height: int, width: int, smallest: int, threshold: float) -> None:
    integral = IntegralImage(noise(height, width))
    for level in strips(height, width, smallest):
        for strip in level:
            expected = reference().propose(integral, strip, threshold)
            found = compiled().propose(integral, strip, threshold)
            np.testing.assert_array_equal(found[0], expected[0])
            np.testing.assert_allclose(found[1], expected[1], atol=1e-5)
            np.testing.assert_allclose(found[2], expected[2], atol=1e-5)


@settings(deadline=None, max_examples=60)
@given(height=side, width=side, smallest=some.integers(12, 40))
def test_every_cell_of_pnet_is_pytorchs_whatever_the_pictures_size(
    height: int, width: int, smallest: int
) -> None:
    assert_same_proposals(height, width, smallest, threshold=0.0)


@pytest.mark.parametrize("threshold", [0.0001, 0.05])
def test_only_cells_that_pass_are_told_also_over_many_strips(threshold: float) -> None:
    assert len(strips(300, 500, 12)[0]) > 1
    assert_same_proposals(300, 500, 12, threshold)


def test_no_cell_passes_a_threshold_of_one() -> None:
    integral = IntegralImage(noise(60, 70))
    for level in strips(60, 70, 12):
        for strip in level:
            cells, scores, offsets = compiled().propose(integral, strip, 1.0)
            assert (cells.shape, scores.shape, offsets.shape) == ((0,), (0,), (0, 4))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 11, 12, 13, 32, 33])
def test_rnet_and_onet_are_pytorchs_for_any_number_of_crops(count: int) -> None:
    small, large = crops(count, 24), crops(count, 48)
    expected = [*reference().refine(small), *reference().decide(large)]
    found = [*compiled().refine(small), *compiled().decide(large)]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


def test_what_a_crop_gets_does_not_depend_on_its_neighbours() -> None:
    pixels = crops(20, 48)
    together = compiled().decide(pixels)
    for index in (0, 7, 19):
        alone = compiled().decide(pixels[index : index + 1])
        for one, several in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one[0], several[index])


@pytest.mark.parametrize("results", [2, 3, 4])
def test_winograds_tiles_are_the_convolution(results: int) -> None:
    """A' [(G g G') * (B' d B)] A with the matrices of the paper; B' and A' as the compiled code has them."""
    random = np.random.default_rng(results)
    pixels = random.normal(size=(results + 2, results + 2))
    weight = random.normal(size=(1, 1, 3, 3)).astype(np.float32)
    before, after = matrices(results)
    places = transformed(weight, results).reshape(results + 2, results + 2)
    found = after @ (places * (before @ pixels @ before.T)) @ after.T
    expected = conv2d(torch.from_numpy(pixels)[None, None], torch.from_numpy(weight).double())[0, 0]
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-12)
    assert WEIGHTS[results].shape == (results + 2, 3)


def matrices(results: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """B' and A' from what winograd.py writes down for a processor, here with numbers."""
    from gallery.faces.mtcnn.compiled import winograd

    class Arithmetic:
        def add(self, a: float, b: float) -> float:
            return a + b

        def subtract(self, a: float, b: float) -> float:
            return a - b

        def multiply_add(self, a: float, b: float, c: float) -> float:
            return a * b + c

    unit = np.eye(results + 2)
    code = Arithmetic()
    before = [winograd.of_pixels(code, row, results) for row in unit]  # type: ignore[arg-type]
    after = [winograd.of_products(code, row, results) for row in unit]  # type: ignore[arg-type]
    return np.array(before).T, np.array(after).T


def test_crops_that_are_not_in_one_piece_are_judged_too() -> None:
    small = crops(6, 24)
    for ours, theirs in zip(compiled().refine(small[::2]), reference().refine(small[::2]), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


OTHER_PROCESSORS = {
    "8 lanes": ("x86-64-v3", "+avx,+avx2,+fma,+sse4.2"),
    "4 lanes": ("x86-64", "+sse2"),
}


@pytest.mark.skipif(sys.platform != "linux" or os.uname().machine != "x86_64", reason="for x86 processors")
@pytest.mark.parametrize("processor", OTHER_PROCESSORS)
def test_processors_with_shorter_vectors_compute_the_same(processor: str, tmp_path: Path) -> None:
    name, features = OTHER_PROCESSORS[processor]
    code = """
import sys
from tests.gallery.faces import test_compiled_nets as tests
from gallery.faces.machine_code.processor import LANES
tests.assert_same_proposals(75, 90, 20, 0.0)
tests.test_rnet_and_onet_are_pytorchs_for_any_number_of_crops(5)
print(LANES)
"""
    variables = {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features, "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env=os.environ | variables,
    )
    assert (done.stdout.split(), done.returncode) == ([processor.split()[0]], 0), done.stderr
