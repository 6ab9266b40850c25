"""Faces brought forward by ONet alone: near to what a detection finds, and doubtful where there is none."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from gallery.faces.detector import MtcnnDetector
from gallery.faces.types import BgrImage
from tests.conftest import REPOSITORY

NONE = np.zeros((0, 4), np.float32)


@pytest.fixture(scope="module")
def detector() -> MtcnnDetector:
    return MtcnnDetector(min_face_px=40)


@pytest.fixture(scope="module")
def portrait() -> BgrImage:
    bgr = cv2.imread(str(REPOSITORY / "samples" / "eileen-collins.jpg"))
    assert bgr is not None
    return np.asarray(bgr, np.uint8)


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    low, high = np.maximum(first[:2], second[:2]), np.minimum(first[2:], second[2:])
    shared = np.clip(high - low, 0, None).prod()
    return float(shared / ((first[2:] - first[:2]).prod() + (second[2:] - second[:2]).prod() - shared))


def test_a_face_that_moved_a_little_is_found_again(detector: MtcnnDetector, portrait: BgrImage) -> None:
    (faces,) = detector.detect([portrait])
    moved = np.roll(portrait, (6, -8), axis=(0, 1))
    (refined,) = detector.refine([moved], [faces.boxes])
    assert refined.scores[0] > 0.99
    assert overlap(refined.boxes[0], faces.boxes[0] + np.array([-8, 6, -8, 6], np.float32)) > 0.8
    expected = faces.landmarks[0] + np.array([-8, 6], np.float32)
    assert np.abs(refined.landmarks[0] - expected).max() < 5


def test_where_no_face_is_the_score_says_so_and_the_row_stays(
    detector: MtcnnDetector, portrait: BgrImage
) -> None:
    (faces,) = detector.detect([portrait])
    wall = np.array([[10, 400, 90, 480]], np.float32)
    (refined,) = detector.refine([portrait], [np.concatenate([wall, faces.boxes[:1]])])
    assert refined.scores[0] < 0.5
    assert refined.scores[1] > 0.99


@pytest.mark.parametrize("name", ["barack-obama", "joe-biden"])
def test_a_face_around_which_the_box_has_grown_is_found_at_the_second_look(
    detector: MtcnnDetector, name: str
) -> None:
    bgr = np.asarray(cv2.imread(str(REPOSITORY / "samples" / f"{name}.jpg")), np.uint8)
    box = detector.detect([bgr])[0].boxes[:1]
    grown = np.concatenate([1.25 * box[:, :2] - 0.25 * box[:, 2:], 1.25 * box[:, 2:] - 0.25 * box[:, :2]], 1)
    wall = np.array([[2, 2, 60, 60]], np.float32)
    (refined,) = detector.refine([bgr], [np.concatenate([grown, wall, box])])
    # Half as large again: the first look alone gives 0.02 and 0.26.
    assert refined.scores[0] > 0.9
    assert overlap(refined.boxes[0], box[0]) > 0.7
    assert refined.scores[1] < 0.1
    assert overlap(refined.boxes[2], box[0]) > 0.7


def test_images_are_batched_and_may_have_no_boxes(detector: MtcnnDetector, portrait: BgrImage) -> None:
    (faces,) = detector.detect([portrait])
    half = np.ascontiguousarray(portrait[::2, ::2])
    refined = detector.refine(
        [portrait, half, portrait], [faces.boxes[:1], faces.boxes[:1] / np.float32(2), NONE]
    )
    assert [len(each) for each in refined] == [1, 1, 0]
    assert refined[1].scores[0] > 0.9
    (alone,) = detector.refine([portrait], [faces.boxes[:1]])
    np.testing.assert_allclose(refined[0].boxes, alone.boxes, atol=1e-3)
    assert detector.refine([], []) == []


@pytest.mark.parametrize(
    "box", [(-50, -50, 30, 30), (480, 480, 600, 600), (900, 900, 950, 950), (5, 5, 5, 5)]
)
def test_boxes_at_and_beyond_the_edge_stay_finite_and_inside(
    detector: MtcnnDetector, portrait: BgrImage, box: tuple[int, ...]
) -> None:
    (refined,) = detector.refine([portrait], [np.array([box], np.float32)])
    assert len(refined) == 1
    assert np.isfinite(refined.boxes).all()
    assert (refined.boxes >= 0).all()
    assert (refined.boxes <= 512).all()


def test_on_a_clip_faces_are_carried_for_half_a_second(detector: MtcnnDetector, shared_data: Path) -> None:
    capture = cv2.VideoCapture(str(shared_data / "fixtures" / "clips" / "asl_milk.mkv"))
    frames = [np.asarray(capture.read()[1], np.uint8) for _ in range(16)]
    (faces,) = detector.detect(frames[:1])
    for frame in frames[1:]:
        (faces,) = detector.refine([frame], [faces.boxes])
        assert faces.scores[0] > 0.9
    (last,) = detector.detect(frames[-1:])
    assert overlap(faces.boxes[0], last.boxes[0]) > 0.7
