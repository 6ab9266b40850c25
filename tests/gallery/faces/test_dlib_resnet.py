"""dlib's network on other engines gives dlib's answers; a file that is not its own is refused."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from gallery.faces import convolution, dlib_file, dlib_structure, models
from gallery.faces.aligner import Chips
from gallery.faces.convolution import Convolution
from gallery.faces.dlib_reference import DlibNet
from gallery.faces.dlib_resnet import DlibResnet
from gallery.faces.dlib_structure import Resnet
from gallery.faces.models import ModelUnusable
from gallery.faces.torch_runner import CPU_CHUNK, TorchRunner
from gallery.faces.types import Encodings


@cache
def real_faces(shared_data: Path) -> Chips:
    """LFW's faces stand upright in the middle: their squares serve as chips."""
    files = sorted((shared_data / "lfw-view1" / "images").glob("*/*.jpg"))[: 3 * CPU_CHUNK + 1]
    images = [np.asarray(cv2.imread(str(file)), np.uint8) for file in files]
    return np.ascontiguousarray([image[50:200, 50:200, ::-1] for image in images])


@cache
def dlibs_own(shared_data: Path) -> Encodings:
    return DlibNet()(real_faces(shared_data))


@cache
def content() -> bytes:
    return models.DLIB_RESNET.read()


@cache
def resnet() -> Resnet:
    return dlib_structure.read(content())


def on_torch() -> TorchRunner:
    return TorchRunner(DlibResnet(resnet()), "cpu")


def test_pytorch_gives_dlibs_encodings_in_chunks_and_one_by_one(shared_data: Path) -> None:
    chips = real_faces(shared_data)
    run = on_torch()
    np.testing.assert_allclose(run(chips), dlibs_own(shared_data), atol=1e-5)
    np.testing.assert_allclose(run(chips[:1]), dlibs_own(shared_data)[:1], atol=1e-5)


def test_without_onednns_operators_the_encodings_are_the_same(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convolution, "onednn_fuses", lambda: False)
    chips = real_faces(shared_data)[:8]
    np.testing.assert_allclose(on_torch()(chips), dlibs_own(shared_data)[:8], atol=1e-5)


def test_openvino_gives_dlibs_encodings(shared_data: Path) -> None:
    pytest.importorskip("openvino")
    from gallery.faces.dlib_openvino import graph
    from gallery.faces.openvino_runner import OpenvinoRunner

    run = OpenvinoRunner(graph(resnet()), threads=1)
    chips = real_faces(shared_data)
    np.testing.assert_allclose(run(chips), dlibs_own(shared_data), atol=1e-5)
    np.testing.assert_allclose(run(chips[:1]), dlibs_own(shared_data)[:1], atol=1e-5)


@pytest.mark.parametrize("shade", [0, 255])
def test_a_chip_of_one_shade_gives_finite_numbers(shade: int) -> None:
    assert np.isfinite(on_torch()(np.full((2, 150, 150, 3), shade, np.uint8))).all()


def test_the_files_own_numbers_are_read() -> None:
    net = dlib_file.parse(content())
    assert net.mean_rgb == pytest.approx((122.782, 117.001, 104.298), abs=1e-3)
    assert net.size_px == (150, 150)
    assert [layer.kind for layer in net.layers[:4]] == ["con_4", "affine_", "relu_", "max_pool_2"]
    assert net.layers[-1].kind == "fc_2"


@pytest.mark.parametrize("length", [0, 1, 10, 300, 5_000, 22_466_000])
def test_a_file_cut_short_is_refused_by_its_structure_too(length: int) -> None:
    with pytest.raises(ModelUnusable, match="not dlib's face encoder"):
        dlib_structure.read(content()[:length])


def test_another_file_of_dlibs_is_refused() -> None:
    with pytest.raises(ModelUnusable, match="not dlib's face encoder"):
        dlib_structure.read(models.DLIB_FIVE_POINTS.read())


def test_a_longer_file_is_refused() -> None:
    with pytest.raises(ModelUnusable, match="not dlib's face encoder"):
        dlib_structure.read(content() + b"\x01\x05hello")


def test_a_changed_layer_is_refused() -> None:
    stem = b"\x01\x20\x01\x07\x01\x07\x01\x02\x01\x02\x01\x00\x01\x00"  # 32 filters of 7 by 7, stride 2
    assert content().count(stem) == 1
    changed = content().replace(stem, stem[:7] + b"\x01" + stem[8:])
    with pytest.raises(ModelUnusable, match="layer 0 is no con_4"):
        dlib_structure.read(changed)


def test_a_flipped_bit_among_names_and_sizes_never_escapes_as_another_error() -> None:
    random = np.random.default_rng(0)
    for place in random.integers(0, 320, 100):
        damaged = bytearray(content())
        damaged[place] ^= 1 << int(random.integers(8))
        try:
            dlib_structure.read(bytes(damaged))
        except ModelUnusable:
            continue


@pytest.mark.parametrize(("stride", "padding", "groups"), [(1, (1, 1), 1), (2, (0, 0), 1), (1, (0, 1), 8)])
def test_the_fused_convolution_equals_the_plain_one(
    monkeypatch: pytest.MonkeyPatch, stride: int, padding: tuple[int, int], groups: int
) -> None:
    random = np.random.default_rng(0)
    weights = random.normal(size=(16, 16 // groups, 3, 3)).astype(np.float32)
    bias = random.normal(size=16).astype(np.float32)
    pixels = torch.from_numpy(random.normal(size=(3, 16, 9, 9)).astype(np.float32))
    fused = Convolution(weights, bias, stride, padding, groups)
    monkeypatch.setattr(convolution, "onednn_fuses", lambda: False)
    plain = Convolution(weights, bias, stride, padding, groups)
    addend = torch.linspace(-2, 2, plain(pixels).numel()).view_as(plain(pixels))
    torch.testing.assert_close(fused(pixels), plain(pixels), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(fused.relu(pixels), plain.relu(pixels), atol=1e-4, rtol=1e-4)
    expected = torch.relu(plain(pixels) + addend)
    for each in (fused, plain):
        written = addend.clone()
        torch.testing.assert_close(each.add_relu_(pixels, written), expected, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(written, expected, atol=1e-4, rtol=1e-4)
