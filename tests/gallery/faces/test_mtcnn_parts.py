"""The detector's parts, each held against what it replaces."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from facenet_pytorch.models.mtcnn import ONet, PNet, RNet
from facenet_pytorch.models.utils.detect_face import nms_numpy
from hypothesis import given, settings
from hypothesis import strategies as some
from numpy.typing import NDArray
from torch.nn.functional import interpolate
from torchvision.ops import batched_nms

from gallery.faces import models
from gallery.faces.mtcnn import weights
from gallery.faces.mtcnn.boxes import of_cells, pixels, suppressed, suppressed_by_smaller
from gallery.faces.mtcnn.compiled.nets import CompiledNets
from gallery.faces.mtcnn.folding import logit
from gallery.faces.mtcnn.geometry import CELL_PX
from gallery.faces.mtcnn.integral import IntegralImage
from gallery.faces.mtcnn.nets import OutputNet, ProposalNet, RefinementNet
from gallery.faces.mtcnn.pyramid import CELLS_A_TILE, SCALE_STEP, SMALLEST_FACE_PX, cells, sizes, strips
from gallery.faces.mtcnn.torch_nets import channels_last

side = some.integers(12, 150)


@cache
def compiled() -> CompiledNets:
    return CompiledNets()


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def as_tensor(picture: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None].float()


def for_facenet(bgr: torch.Tensor) -> torch.Tensor:
    return (bgr.flip(1) - 127.5) * 0.0078125


@settings(deadline=None, max_examples=40)
@given(height=side, width=side, smallest=some.integers(12, 40))
def test_levels_are_interpolates_area_to_the_last_bit(height: int, width: int, smallest: int) -> None:
    picture = noise(height, width)
    integral = IntegralImage(picture)
    levels = strips(height, width, smallest)
    for (scale, level_height, level_width), level in zip(sizes(height, width, smallest), levels, strict=True):
        assert (level_height, level_width) == (int(height * scale + 1), int(width * scale + 1))
        expected = interpolate(as_tensor(picture), (level_height, level_width), mode="area")
        for strip in level:
            first = 2 * strip.first_cell
            part = expected[:, :, first : first + len(strip.rows.starts)]
            assert torch.equal(channels_last(integral.strip(strip)), part)


def test_strips_hold_every_row_of_cells_once() -> None:
    for (_, height, width), level in zip(sizes(1080, 1920, 20), strips(1080, 1920, 20), strict=True):
        rows = [strip.first_cell + row for strip in level for row in range(cells(len(strip.rows.starts)))]
        assert rows == list(range(cells(height)))
        assert all(strip.first_cell % CELLS_A_TILE == 0 for strip in level)
        assert {strip.cells_across for strip in level} == {cells(width)}


@pytest.mark.parametrize("by", ["machine code", "numpy"])
@settings(deadline=None, max_examples=30)
@given(
    corners=some.lists(some.tuples(side, side, side, side), min_size=1, max_size=20),
    crop=some.sampled_from([24, 48]),
)
def test_crops_are_interpolates_area_to_the_last_bit(
    by: str, corners: list[tuple[int, int, int, int]], crop: int
) -> None:
    picture = noise(160, 170)
    boxes = np.array([(min(a, c), min(b, d), max(a, c) + 1, max(b, d) + 1) for a, b, c, d in corners])
    expected = torch.cat(
        [
            interpolate(as_tensor(picture)[:, :, top:bottom, left:right], (crop, crop), mode="area")
            for left, top, right, bottom in boxes.tolist()
        ]
    )
    integral = IntegralImage(picture)
    found = integral.crops(boxes, crop) if by == "numpy" else compiled().crops(integral, boxes, crop)
    assert torch.equal(channels_last(found), expected)


@pytest.mark.parametrize(("height", "width"), [(12, 12), (12, 13), (13, 12), (13, 13), (41, 60), (60, 41)])
def test_pnet_gives_facenet_pytorchs_scores_and_offsets(height: int, width: int) -> None:
    bgr = as_tensor(noise(height, width)).contiguous(memory_format=torch.channels_last)
    net = ProposalNet()
    with torch.inference_mode():
        logits, features = net(bgr)
        offsets, scores = PNet()(for_facenet(bgr))
        torch.testing.assert_close(torch.sigmoid(logits), scores[0, 1].flatten(), atol=1e-5, rtol=0)
        torch.testing.assert_close(net.offsets(features), offsets[0].flatten(1).T, atol=1e-5, rtol=0)


def test_rnet_and_onet_give_facenet_pytorchs_outputs() -> None:
    small, large = (
        torch.cat([as_tensor(noise(px, px, seed)) for seed in range(5)]).contiguous(
            memory_format=torch.channels_last
        )
        for px in (24, 48)
    )
    with torch.inference_mode():
        refined = RefinementNet()(small)
        offsets, scores = RNet()(for_facenet(small))
        torch.testing.assert_close(torch.sigmoid(refined[:, 0]), scores[:, 1], atol=1e-5, rtol=0)
        torch.testing.assert_close(refined[:, 1:], offsets, atol=1e-5, rtol=0)
        decided = OutputNet()(large)
        offsets, landmarks, scores = ONet()(for_facenet(large))
        torch.testing.assert_close(torch.sigmoid(decided[:, 0]), scores[:, 1], atol=1e-5, rtol=0)
        torch.testing.assert_close(decided[:, 1:], torch.cat([offsets, landmarks], 1), atol=1e-5, rtol=0)


def crowd(count: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    random = np.random.default_rng(seed)
    first = random.integers(0, 60, (count, 2))
    boxes = np.concatenate([first, first + random.integers(15, 30, (count, 2))], axis=1)
    # Many are equal, as the scores of sure faces are.
    scores = random.integers(1, 1 + count // 3, count) / np.float32(count)
    return boxes.astype(np.float32), scores.astype(np.float32)


@pytest.mark.parametrize("overlap", [0.5, 0.7])
@pytest.mark.parametrize("seed", range(5))
def test_suppression_keeps_what_torchvisions_keeps_in_its_order(overlap: float, seed: int) -> None:
    boxes, scores = crowd(200, seed)
    owners = np.random.default_rng(seed).integers(0, 3, 200).astype(np.int32)
    kept = suppressed(boxes, scores, owners, overlap)
    expected = batched_nms(*map(torch.from_numpy, (boxes, scores, owners)), overlap)
    assert kept.tolist() == expected.tolist()


def test_two_boxes_that_overlap_by_exactly_the_limit_both_stay() -> None:
    boxes = np.array([[0, 0, 30, 30], [0, 10, 30, 40]], np.float32)
    scores, owners = np.array([0.9, 0.8], np.float32), np.zeros(2, np.int32)
    assert suppressed(boxes, scores, owners, 0.5).tolist() == [0, 1]
    assert suppressed(boxes, scores, owners, 0.499).tolist() == [0]


@pytest.mark.parametrize("seed", range(5))
def test_suppression_by_the_smaller_box_is_facenet_pytorchs(seed: int) -> None:
    boxes, scores = crowd(60, seed)
    assert suppressed_by_smaller(boxes, scores, 0.7) == nms_numpy(boxes, scores, 0.7, "Min").tolist()


def test_a_box_beyond_the_picture_has_nothing_on_it() -> None:
    boxes = np.array([[-5, -5, 10, 10], [95, 40, 120, 60], [101, 0, 130, 30], [-40, 0, 0, 30]], np.float32)
    on_it = pixels(boxes, np.array([[50, 100]] * 4))
    assert on_it[:2].tolist() == [[0, 0, 10, 10], [94, 39, 100, 50]]
    assert (on_it[2:, 2] <= on_it[2:, 0]).all()


@pytest.mark.parametrize("smallest", [*range(SMALLEST_FACE_PX, 80), 100, 150, 300])
def test_boxes_of_different_levels_never_overlap_by_the_stages_limit(smallest: int) -> None:
    """Why one of facenet-pytorch's suppressions is left out: even one inside the other covers less."""
    cell = np.arange(2000)
    scale = CELL_PX / smallest
    widths = [np.ptp(of_cells(cell, cell, scale * step)[:, ::2], axis=1) for step in (1, SCALE_STEP)]
    assert (widths[0].max() / widths[1].min()) ** 2 < 0.7


def test_a_score_is_the_sigmoid_of_its_logit_also_at_the_ends() -> None:
    assert 1 / (1 + np.exp(-logit(0.6))) == pytest.approx(0.6)
    assert (logit(0), logit(1)) == (-np.inf, np.inf)


@pytest.mark.parametrize("net", ["pnet", "rnet", "onet"])
def test_weights_are_those_that_pytorch_reads(net: weights.NetName) -> None:
    expected = torch.load(weights.FILES[net][0].locate(), weights_only=True)
    found = weights.load(net)
    assert found.keys() == expected.keys()
    for name, values in found.items():
        assert torch.equal(torch.from_numpy(values), expected[name]), name


def test_a_damaged_file_of_weights_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "pnet.pt"
    content = bytearray(weights.FILES["pnet"][0].read())
    content[-1] ^= 1
    file.write_bytes(content)
    monkeypatch.setattr(models.ModelFile, "locate", lambda self: file)
    with pytest.raises(models.ModelUnusable, match="damaged or another model"):
        weights.load("pnet")
