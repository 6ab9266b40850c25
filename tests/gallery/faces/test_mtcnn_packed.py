"""The GPU's path, run on the CPU: the same boxes, few operations, and nothing that a GPU's host waits for."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from benchmarks.agreement import agreement
from benchmarks.operations import Operations
from benchmarks.scenes import SAMPLES, compose, portraits
from gallery.faces.detector import MtcnnDetector
from gallery.faces.mtcnn import packed_stages
from gallery.faces.mtcnn.canvas import canvas
from gallery.faces.mtcnn.nets import PackedProposalNet, ProposalNet
from gallery.faces.mtcnn.packed import PackedCascade
from gallery.faces.mtcnn.packed_stages import Room, Stages
from gallery.faces.mtcnn.pyramid import cells, sizes
from gallery.faces.types import BgrImage, Faces

THRESHOLDS = (0.6, 0.7, 0.7)


def packed() -> PackedCascade:
    return PackedCascade(20, THRESHOLDS, "cpu")


@cache
def people() -> list[BgrImage]:
    return portraits(SAMPLES)


def scene(height: int, width: int, faces: int) -> BgrImage:
    return compose(people(), height, width, faces, np.random.default_rng(faces))


def assert_same(expected: list[Faces], found: list[Faces]) -> None:
    for each, ours in zip(expected, found, strict=True):
        agreed = agreement(each, ours)
        assert agreed.complete, agreed
        assert agreed.farthest_px < 0.01, agreed


def unclipped(pictures: list[BgrImage]) -> list[Faces]:
    return MtcnnDetector(engine="torch")._cascade.detect(pictures)


def test_a_batch_of_mixed_sizes_gives_the_faces_of_the_cpus_path() -> None:
    pictures = [
        scene(360, 640, 0),
        scene(360, 640, 5),
        np.zeros((16, 16, 3), np.uint8),
        scene(241, 333, 3),
        scene(360, 640, 15),
        scene(480, 270, 1),
        np.full((61, 400, 3), 255, np.uint8),
    ]
    assert_same(unclipped(pictures), packed().detect(pictures))


def test_more_pictures_than_fit_at_once_are_all_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gallery.faces.mtcnn.packed.PIXELS_AT_ONCE", 2 * 200 * 300)
    pictures = [scene(200, 300, faces) for faces in (1, 2, 3, 4, 5)]
    assert_same(unclipped(pictures), packed().detect(pictures))


@pytest.mark.parametrize(
    "room", [Room(cells=8), Room(proposed=4), Room(refined=1), Room(rounds=1), Room(1, 1, 1, 1)]
)
def test_room_that_is_too_small_grows_and_no_face_is_lost(room: Room) -> None:
    cascade = packed()
    cascade._room = room
    pictures = [scene(240, 320, 4), scene(240, 320, 0), scene(200, 200, 1)]
    assert_same(unclipped(pictures), cascade.detect(pictures))
    grown = cascade._room
    cascade.detect(pictures)
    assert cascade._room == grown, "room is kept, so that no batch runs twice again"


def test_300_faces_are_found() -> None:
    picture = compose(people(), 600, 800, 300, np.random.default_rng(3))
    cascade = packed()
    cascade._room = Room(cells=4096, proposed=2048, refined=1024, rounds=16)
    found = cascade.detect([picture])
    assert len(found[0]) > 100
    assert_same(unclipped([picture]), found)


@pytest.mark.parametrize("faces", [0, 1, 5, 15])
def test_a_720p_frame_takes_few_operations_and_asks_nothing(faces: int) -> None:
    cascade = packed()
    picture = scene(720, 1280, faces)
    cascade.detect([picture])
    with Operations() as operations:
        cascade.detect([picture])
    assert operations.computing <= 195
    assert operations.waiting == 0


def test_the_counter_sees_what_a_gpu_would_wait_for() -> None:
    values = torch.arange(4.0)
    with Operations() as operations:
        values[values > 1]
        (values + 1).max().item()
        values.view(2, 2).transpose(0, 1)
    assert operations.waiting == 2
    assert operations.computing == 5


@pytest.mark.parametrize("height_width", [(720, 1280), (97, 131)])
def test_on_cuda_the_stages_never_look_at_a_value(height_width: tuple[int, int]) -> None:
    """PyTorch's fake tensors have a device and a shape but no values: who asks for one raises."""
    caches = (packed_stages._beaten, packed_stages._limits, packed_stages._steps, packed_stages._starts)
    constants = canvas(*height_width, 20, "cpu")
    assert constants is not None
    try:
        with FakeTensorMode(allow_non_fake_inputs=True) as mode, torch.inference_mode():
            stages = Stages(THRESHOLDS).to("cuda")
            tensors = {
                name: mode.from_tensor(value).to("cuda")
                for name in type(constants).__slots__
                if isinstance(value := getattr(constants, name), torch.Tensor)
            }
            on_cuda = replace(constants, **tensors)  # type: ignore[arg-type]
            pixels = torch.empty((2, *height_width, 3), dtype=torch.uint8, device="cuda")
            numbers = stages(pixels, on_cuda, Room())
            assert numbers.device.type == "cuda"
            assert len(numbers) == 2
    finally:
        for each in caches:
            each.cache_clear()


@pytest.mark.parametrize(("height", "width"), [(48, 64), (49, 65), (50, 65), (97, 131), (240, 426)])
def test_pnet_on_the_canvas_equals_pnet_on_each_level(height: int, width: int) -> None:
    """Also in a level's last windows, which are cut by a pixel where a side is odd."""
    picture = torch.from_numpy(cv2.resize(people()[2], (width, height))).permute(2, 0, 1)[None].float()
    constants = canvas(height, width, 20, "cpu")
    assert constants is not None
    integral = packed_stages._integrate(picture.byte().permute(0, 2, 3, 1))
    corners = integral.flat.view(1, -1, 3).index_select(1, constants.places).view(1, 4, -1, 3)
    levels = (corners[:, 0] - corners[:, 1] - corners[:, 2] + corners[:, 3]) / constants.areas
    levels = levels.view(1, constants.height, constants.width, 3).permute(0, 3, 1, 2)
    logits = PackedProposalNet()(levels, constants.cut)[0, 0].flatten()[~constants.outside]
    expected = []
    for _, level_height, level_width in sizes(height, width, 20):
        level = torch.nn.functional.interpolate(picture, (level_height, level_width), mode="area")
        found, _ = ProposalNet()(level.contiguous(memory_format=torch.channels_last))
        assert len(found) == cells(level_height) * cells(level_width)
        expected.append(found)
    assert len(logits) == sum(map(len, expected))
    torch.testing.assert_close(logits.sort().values, torch.cat(expected).sort().values, atol=1e-4, rtol=1e-4)
