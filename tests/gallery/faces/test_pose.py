"""Where a head looks, from five points of a head that is turned in space."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gallery.faces.pose import NOSE_DEPTH, NOSE_DOWN, pose

# Right, down and towards the camera; halves of the distance between the eyes.
MOUTH_DOWN = 1 / 0.46
HEAD = np.array(
    [
        [-1, 0, 0],
        [1, 0, 0],
        [0, NOSE_DOWN * MOUTH_DOWN, NOSE_DEPTH],
        [-0.8, MOUTH_DOWN, 0],
        [0.8, MOUTH_DOWN, 0],
    ]
)


def seen(yaw: float = 0, pitch: float = 0, roll: float = 0, size_px: float = 30) -> NDArray[np.float32]:
    """The head's landmarks from far away, turned to the right as seen, up, and sideways."""
    y, p, r = np.radians([yaw, pitch, roll])
    side = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    up = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    tilt = np.array([[np.cos(r), -np.sin(r)], [np.sin(r), np.cos(r)]])
    points = (HEAD @ side.T @ up.T)[:, :2] @ tilt.T
    return np.asarray(points * size_px + 100, np.float32)


def test_a_head_that_looks_into_the_camera_has_no_turn() -> None:
    assert pose(seen()).yaw == pytest.approx(0, abs=0.1)
    assert pose(seen()).pitch == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("degrees", [-40, -20, 20, 40])
def test_a_turn_to_the_side_is_measured_and_is_no_turn_upwards(degrees: float) -> None:
    assert pose(seen(yaw=degrees)).yaw == pytest.approx(degrees, abs=1)
    assert pose(seen(yaw=degrees)).pitch == pytest.approx(0, abs=1)


@pytest.mark.parametrize("degrees", [-30, -15, 15, 30])
def test_a_turn_up_or_down_is_measured_and_is_no_turn_to_the_side(degrees: float) -> None:
    assert pose(seen(pitch=degrees)).pitch == pytest.approx(degrees, abs=1)
    assert pose(seen(pitch=degrees)).yaw == pytest.approx(0, abs=1)


def test_neither_a_tilt_nor_the_size_matters() -> None:
    straight, tilted = pose(seen(yaw=25, pitch=10)), pose(seen(yaw=25, pitch=10, roll=30, size_px=80))
    assert tilted.yaw == pytest.approx(straight.yaw, abs=0.1)
    assert tilted.pitch == pytest.approx(straight.pitch, abs=0.1)


def test_points_that_coincide_have_some_pose() -> None:
    assert np.isfinite(
        [pose(np.zeros((5, 2), np.float32)).yaw, pose(np.zeros((5, 2), np.float32)).pitch]
    ).all()
