"""What moved, where, and whether the scene was cut."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from daemon.motion import MotionWatch

NOBODY = np.zeros((0, 4), np.float32)
SIZE = (360, 640, 3)


def street() -> NDArray[np.uint8]:
    """A picture with something to correlate with."""
    return np.random.default_rng(1).integers(40, 200, (*SIZE[:2], 1), np.uint8).repeat(3, axis=2)


def with_block(picture: NDArray[np.uint8], left: int, top: int, side: int = 64) -> NDArray[np.uint8]:
    changed = picture.copy()
    changed[top : top + side, left : left + side] = 255
    return changed


def watching(picture: NDArray[np.uint8]) -> MotionWatch:
    watch = MotionWatch()
    watch.see(picture, NOBODY)
    watch.looked()
    return watch


def test_the_first_picture_is_all_news_but_no_cut() -> None:
    motion = MotionWatch().see(street(), NOBODY)
    assert (motion.still, motion.elsewhere, motion.cut) == (False, True, False)


def test_the_same_picture_is_still() -> None:
    motion = watching(street()).see(street(), NOBODY)
    assert (motion.still, motion.elsewhere, motion.cut) == (True, False, False)


@pytest.mark.parametrize("size", [SIZE, (1080, 1920, 3)], ids=["360p", "1080p"])
@pytest.mark.parametrize("levels", [4, 8])
def test_the_noise_of_a_night_camera_is_no_news_and_the_picture_still(
    size: tuple[int, int, int], levels: int
) -> None:
    noise = np.random.default_rng(2)
    pictures = [np.clip(noise.normal(40, levels, size), 0, 255).astype(np.uint8) for _ in range(10)]
    watch = watching(pictures[0])
    seen = [watch.see(picture, NOBODY) for picture in pictures[1:]]
    assert [(motion.still, motion.elsewhere, motion.cut) for motion in seen] == [(True, False, False)] * 9


def test_somebody_in_dark_clothes_is_news_also_in_the_noise_of_a_night_camera() -> None:
    noise = np.random.default_rng(3)
    pictures = [np.clip(noise.normal(40, 8, SIZE), 0, 255).astype(np.uint8) for _ in range(3)]
    watch = watching(pictures[0])
    watch.see(pictures[1], NOBODY)
    pictures[2][100:164, 300:364] += 24
    motion = watch.see(pictures[2], NOBODY)
    assert (motion.still, motion.elsewhere) == (False, True)


def test_a_camera_that_pans_is_always_news() -> None:
    wide = np.repeat(np.random.default_rng(4).integers(40, 200, (SIZE[0], 90, 1), np.uint8), 16, axis=1)
    views = [np.repeat(wide[:, left : left + SIZE[1]], 3, axis=2) for left in range(0, 320, 40)]
    watch = watching(views[0])
    for view in views[1:]:
        motion = watch.see(view, NOBODY)
        assert (motion.still, motion.elsewhere) == (False, True)
        watch.looked()


def test_something_that_appears_is_news_until_the_frame_was_searched() -> None:
    watch = watching(street())
    newcomer = with_block(street(), 300, 100)
    assert watch.see(newcomer, NOBODY).elsewhere
    assert watch.see(newcomer, NOBODY).elsewhere
    watch.looked()
    assert not watch.see(newcomer, NOBODY).elsewhere


def test_what_moves_at_a_known_face_is_no_news_but_not_still() -> None:
    face = np.array([[300, 100, 364, 164]], np.float32)
    motion = watching(street()).see(with_block(street(), 300, 100), face)
    assert (motion.still, motion.elsewhere) == (False, False)


def test_a_slow_drift_adds_up_until_the_faces_are_measured_again() -> None:
    watch = watching(np.full(SIZE, 100, np.uint8))
    assert watch.see(np.full(SIZE, 104, np.uint8), NOBODY).still
    assert not watch.see(np.full(SIZE, 108, np.uint8), NOBODY).still
    watch.measured()
    assert watch.see(np.full(SIZE, 108, np.uint8), NOBODY).still


def test_a_light_that_goes_on_is_no_cut_and_another_scene_is() -> None:
    brighter = np.clip(street().astype(np.int16) + 40, 0, 255).astype(np.uint8)
    assert not watching(street()).see(brighter, NOBODY).cut
    checkered = np.zeros(SIZE, np.uint8)
    checkered[:180, :320] = checkered[180:, 320:] = 255
    assert watching(street()).see(checkered, NOBODY).cut


def test_a_picture_of_another_size_is_another_scene() -> None:
    motion = watching(street()).see(np.zeros((48, 64, 3), np.uint8), NOBODY)
    assert (motion.elsewhere, motion.cut) == (True, True)


def test_a_picture_smaller_than_a_cell_is_looked_at_too() -> None:
    tiny = np.zeros((5, 7, 3), np.uint8)
    assert watching(tiny).see(tiny, NOBODY).still


@pytest.mark.parametrize(
    ("clip", "cuts"),
    [
        ("short_hamilton_clip.mp4", [20, 82, 211]),
        ("asl_again.mkv", []),
        ("headpose_woman.mp4", []),
        ("three_people_walk_and_pause.mp4", []),
    ],
)
def test_the_cuts_of_real_clips_are_found_and_no_others(
    shared_data: Path, clip: str, cuts: list[int]
) -> None:
    capture = cv2.VideoCapture(str(shared_data / "fixtures" / "clips" / clip))
    watch, found, number = MotionWatch(), [], 0
    while True:
        read, bgr = capture.read()
        if not read:
            break
        if watch.see(np.asarray(bgr, np.uint8), NOBODY).cut:
            found.append(number)
        number += 1
    assert found == cuts
