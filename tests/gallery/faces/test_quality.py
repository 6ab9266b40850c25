"""Why a face is not fit to decide, on a real portrait made worse in one way at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from gallery.faces.detector import MtcnnDetector
from gallery.faces.quality import Quality, assess
from gallery.faces.types import BgrImage, Faces


@cache
def portrait(shared_data: Path, width_px: int = 100) -> tuple[BgrImage, Faces]:
    """A man who looks into the camera; his face is about as wide as asked."""
    large = np.asarray(cv2.imread(str(shared_data / "fixtures" / "gallery" / "biden.jpg")), np.uint8)
    (faces,) = MtcnnDetector(device="cpu").detect([large])
    scale = width_px / float(faces.boxes[0, 2] - faces.boxes[0, 0])
    small = cv2.resize(large, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    points = (faces.landmarks[:1] + np.float32(0.5)) * np.float32(scale) - np.float32(0.5)
    return np.asarray(small, np.uint8), Faces(faces.boxes[:1] * np.float32(scale), faces.scores[:1], points)


def judged(bgr: BgrImage, faces: Faces) -> Quality:
    (quality,) = assess(bgr, faces)
    return quality


def test_a_good_portrait_has_no_reason_against_it(shared_data: Path) -> None:
    quality = judged(*portrait(shared_data))
    assert quality.reasons == ()
    assert quality.value > 0.8
    assert 95 < quality.size_px < 130
    assert abs(quality.yaw) < 20
    assert quality.clipped == 0


def horizontal_motion(bgr: BgrImage) -> BgrImage:
    return np.asarray(cv2.filter2D(bgr, -1, np.full((1, 31), 1 / 31, np.float32)), np.uint8)


def vertical_motion(bgr: BgrImage) -> BgrImage:
    return np.asarray(cv2.filter2D(bgr, -1, np.full((31, 1), 1 / 31, np.float32)), np.uint8)


def defocus(bgr: BgrImage) -> BgrImage:
    return np.asarray(cv2.GaussianBlur(bgr, (0, 0), 5), np.uint8)


@pytest.mark.parametrize("blur", [horizontal_motion, vertical_motion, defocus])
def test_blur_in_any_direction_is_told(shared_data: Path, blur: Callable[[BgrImage], BgrImage]) -> None:
    bgr, faces = portrait(shared_data)
    assert judged(blur(bgr), faces).reasons == ("blurred",)


def test_darkness_is_told(shared_data: Path) -> None:
    bgr, faces = portrait(shared_data)
    noise = np.random.default_rng(0).normal(0, 3, bgr.shape)
    night = np.clip(bgr * 0.1 + noise, 0, 255).astype(np.uint8)
    assert judged(night, faces).reasons == ("dark",)


def test_a_small_face_is_told(shared_data: Path) -> None:
    assert "too_small" in judged(*portrait(shared_data, width_px=15)).reasons


def test_a_face_cut_by_the_edge_is_told(shared_data: Path) -> None:
    bgr, faces = portrait(shared_data)
    top = int(faces.landmarks[0, :2, 1].mean())
    shift = np.array([0, top], np.float32)
    below = Faces(np.maximum(faces.boxes - np.tile(shift, 2), 0), faces.scores, faces.landmarks - shift)
    quality = judged(np.ascontiguousarray(bgr[top:]), below)
    assert "clipped" in quality.reasons
    assert 0.25 < quality.clipped < 0.45


def test_an_unsure_detector_is_told_exactly_below_the_limit(shared_data: Path) -> None:
    bgr, faces = portrait(shared_data)
    for score, reasons in ((0.901, ()), (0.899, ("low_confidence",))):
        assert (
            judged(bgr, Faces(faces.boxes, np.array([score], np.float32), faces.landmarks)).reasons == reasons
        )


def test_heads_seen_from_the_side_are_told_and_the_sides_differ_in_sign() -> None:
    right = turned(60)
    assert "profile" in right.reasons
    assert right.yaw == pytest.approx(60, abs=1)
    assert turned(-60).yaw == pytest.approx(-60, abs=1)
    assert "profile" not in turned(30).reasons


def turned(degrees: float, tilt_degrees: float = 20) -> Quality:
    """Landmarks of an average head turned to the right as seen, the picture tilted."""
    head = np.array([[-1, -1, 0], [1, -1, 0], [0, 0, 0.82], [-0.8, 1, 0], [0.8, 1, 0]])
    turn, tilt = np.radians(degrees), np.radians(tilt_degrees)
    flat = np.stack([head[:, 0] * np.cos(turn) + head[:, 2] * np.sin(turn), head[:, 1]], axis=1)
    spin = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
    points = (flat @ spin * 30 + 100).astype(np.float32)
    box = np.array([[60, 50, 140, 150]], np.float32)
    return judged(np.full((200, 200, 3), 128, np.uint8), Faces(box, np.ones(1, np.float32), points[None]))


def test_a_face_without_contrast_is_blurred_and_its_numbers_are_finite() -> None:
    quality = turned(0)
    assert quality.reasons == ("blurred",)
    assert quality.value == 0


def test_landmarks_on_one_point_give_finite_numbers() -> None:
    point = Faces(np.zeros((1, 4), np.float32), np.ones(1, np.float32), np.zeros((1, 5, 2), np.float32))
    quality = judged(np.zeros((16, 16, 3), np.uint8), point)
    numbers = (quality.sharpness, quality.brightness, quality.yaw, quality.clipped, quality.value)
    assert np.isfinite(numbers).all()
    assert quality.value == 0


def test_no_face_has_no_quality() -> None:
    assert assess(np.zeros((16, 16, 3), np.uint8), Faces.none()) == []
