"""Faces cut upright, at every scale and at the borders of the image."""

from __future__ import annotations

import numpy as np

from gallery.faces.aligner import DLIB_SIZE_PX, DLIB_TEMPLATE, cut, similarities
from gallery.faces.types import BgrImage


def colours(height: int, width: int) -> BgrImage:
    """Red rises to the right, green downwards, blue stands still: a pixel tells where it came from."""
    image = np.empty((height, width, 3), np.uint8)
    image[:, :, 0] = 7
    image[:, :, 1] = np.linspace(0, 255, height).round()[:, None]
    image[:, :, 2] = np.linspace(0, 255, width).round()[None]
    return image


def test_landmarks_already_at_the_template_move_nothing() -> None:
    matrices = similarities(DLIB_TEMPLATE[None], DLIB_TEMPLATE)
    np.testing.assert_allclose(matrices[0], [[1, 0, 0], [0, 1, 0]], atol=1e-5)


def test_a_turned_scaled_and_shifted_face_comes_back_to_the_template() -> None:
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    landmarks = (2.5 * DLIB_TEMPLATE @ turn.T + [300, 40]).astype(np.float32)
    (matrix,) = similarities(landmarks[None], DLIB_TEMPLATE)
    np.testing.assert_allclose(landmarks @ matrix[:, :2].T + matrix[:, 2], DLIB_TEMPLATE, atol=1e-3)


def test_a_mirrored_face_is_turned_but_never_reflected() -> None:
    mirrored = DLIB_TEMPLATE * np.array([-1, 1], np.float32)
    (matrix,) = similarities(mirrored[None], DLIB_TEMPLATE)
    assert np.linalg.det(matrix[:, :2]) > 0


def test_a_chip_is_red_green_blue() -> None:
    chips = cut(colours(150, 150), DLIB_TEMPLATE[None], DLIB_TEMPLATE, DLIB_SIZE_PX)
    np.testing.assert_allclose(chips[0], colours(150, 150)[:, :, ::-1], atol=1)


def test_a_face_ten_times_too_large_is_averaged_not_skipped() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1600, 1600, 3), np.uint8)
    chips = cut(noise, DLIB_TEMPLATE[None] * 10, DLIB_TEMPLATE, DLIB_SIZE_PX)
    assert chips[0].std() < 20


def test_halving_keeps_every_pixel_in_its_place() -> None:
    large = colours(1200, 1200)
    for offset in (0, 1, 3):
        landmarks = DLIB_TEMPLATE[None] * 6 + np.float32(50 + offset)
        chips = cut(large, landmarks, DLIB_TEMPLATE, DLIB_SIZE_PX).astype(float)
        # A chip's pixel x shows the image's pixel 6 x + 50 + offset.
        expected = (6 * np.arange(150) + 50 + offset) * 255 / 1199
        np.testing.assert_allclose(chips[0, 75, :, 0], expected, atol=1.01)
        np.testing.assert_allclose(chips[0, :, 75, 1], expected, atol=1.01)


def test_outside_the_image_is_black() -> None:
    white = np.full((150, 150, 3), 255, np.uint8)
    for scale in (1, 4):
        chips = cut(white, scale * (DLIB_TEMPLATE[None] - np.float32(75)), DLIB_TEMPLATE, DLIB_SIZE_PX)
        assert chips[0, :70, :70].max() == 0
        assert chips[0, 77 : 75 + 150 // scale - 2, 77 : 75 + 150 // scale - 2].min() == 255


def test_a_face_that_lies_outside_altogether_is_black() -> None:
    white = np.full((150, 150, 3), 255, np.uint8)
    for scale in (1, 4):
        far = scale * DLIB_TEMPLATE[None] + np.float32(5000)
        assert cut(white, far, DLIB_TEMPLATE, DLIB_SIZE_PX).max() == 0


def test_landmarks_on_one_point_give_finite_chips() -> None:
    chips = cut(colours(100, 100), np.full((1, 5, 2), 50, np.float32), DLIB_TEMPLATE, DLIB_SIZE_PX)
    assert chips.shape == (1, 150, 150, 3)


def test_no_face_gives_no_chip() -> None:
    none = np.zeros((0, 5, 2), np.float32)
    assert cut(colours(16, 16), none, DLIB_TEMPLATE, DLIB_SIZE_PX).shape == (0, 150, 150, 3)
