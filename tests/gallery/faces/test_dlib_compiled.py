"""dlib's network as machine code gives dlib's answers."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from gallery.faces import threads as libraries
from gallery.faces.aligner import Chips
from gallery.faces.dlib_compiled.net import CHUNK, CompiledResnet
from gallery.faces.dlib_compiled.packing import pack
from gallery.faces.models import ModelUnusable
from tests.conftest import REPOSITORY
from tests.gallery.faces.test_dlib_resnet import dlibs_own, on_torch, real_faces, resnet

pytest.importorskip("llvmlite")


@cache
def compiled() -> CompiledResnet:
    return CompiledResnet(resnet())


def noise(count: int) -> Chips:
    return np.random.default_rng(count).integers(0, 256, (count, 150, 150, 3), np.uint8)


def test_machine_code_gives_dlibs_encodings_in_chunks_and_one_by_one(shared_data: Path) -> None:
    chips = real_faces(shared_data)
    assert len(chips) > 3 * CHUNK
    np.testing.assert_allclose(compiled()(chips), dlibs_own(shared_data), atol=1e-5)
    np.testing.assert_allclose(compiled()(chips[:1]), dlibs_own(shared_data)[:1], atol=1e-5)


@pytest.mark.parametrize("count", [1, 2, CHUNK - 1, CHUNK, CHUNK + 1])
def test_any_number_of_faces_gives_pytorchs_encodings(count: int) -> None:
    chips = noise(count)
    found = compiled()(chips)
    assert found.shape == (count, 128)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, on_torch()(chips), atol=1e-5)


def test_what_a_face_gets_depends_neither_on_its_neighbours_nor_on_the_number_of_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chips = noise(2 * CHUNK + 1)
    together = compiled()(chips)
    for index in (0, 7, 16):
        np.testing.assert_array_equal(compiled()(chips[index : index + 1])[0], together[index])
    for threads in (1, 2, 3):
        monkeypatch.setattr(libraries, "_given", threads)
        np.testing.assert_array_equal(compiled()(chips), together)


def test_chips_that_are_not_in_one_piece_are_encoded_too() -> None:
    chips = noise(2)
    np.testing.assert_array_equal(compiled()(chips[:, :, ::-1]), compiled()(chips[:, :, ::-1].copy()))


@pytest.mark.parametrize("shade", [0, 255])
def test_a_chip_of_one_shade_gives_finite_numbers(shade: int) -> None:
    assert np.isfinite(compiled()(np.full((2, 150, 150, 3), shade, np.uint8))).all()


def test_a_network_of_other_sizes_is_refused() -> None:
    first, *rest = resnet().blocks
    narrow = replace(first.first, weights=first.first.weights[:16], bias=first.first.bias[:16])
    with pytest.raises(ModelUnusable, match="its blocks have other sizes"):
        pack(replace(resnet(), blocks=(replace(first, first=narrow), *rest)))
    with pytest.raises(ModelUnusable, match="its blocks have other sizes"):
        pack(replace(resnet(), blocks=resnet().blocks[:-1]))


OTHER_PROCESSORS = {
    "8 lanes": ("x86-64-v3", "+avx,+avx2,+fma,+sse4.2"),
    "4 lanes": ("x86-64", "+sse2"),
}


@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.platform != "linux" or os.uname().machine != "x86_64", reason="for x86 processors")
@pytest.mark.parametrize("processor", OTHER_PROCESSORS)
def test_processors_with_shorter_vectors_compute_the_same(processor: str, tmp_path: Path) -> None:
    name, features = OTHER_PROCESSORS[processor]
    code = """
from gallery.faces.machine_code.processor import LANES
from tests.gallery.faces import test_dlib_compiled as tests
tests.test_any_number_of_faces_gives_pytorchs_encodings(3)
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
