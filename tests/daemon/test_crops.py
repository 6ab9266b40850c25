"""Faces cut out of frames: with a margin, never beyond the frame, small, and the best of a stay."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from daemon.crops import MOST_BYTES, SIDE_PX, Shot, best_of, picture_of, take
from daemon.frame import Frame
from daemon.track import Track


def frame_of(bgr: NDArray[np.uint8]) -> Frame:
    return Frame("door", 7, 1_000, 2_000, 2_000, bgr)


def picture(width: int, height: int) -> NDArray[np.uint8]:
    """Each pixel says where it is."""
    across, down = np.meshgrid(np.arange(width) % 256, np.arange(height) % 256)
    return np.stack([across, down, np.zeros_like(across)], axis=-1).astype(np.uint8)


def track_at(
    left: float, top: float, right: float, bottom: float, quality: float = 1.0, reasons: tuple[str, ...] = ()
) -> Track:
    box = np.array([left, top, right, bottom], np.float32)
    return Track("t", box, np.zeros((5, 2), np.float32), 1.0, 0.0, 0.0, reasons=reasons, quality=quality)


def shot_of(frame: Frame, track: Track) -> Shot:
    shot = take(frame, track)
    assert shot is not None
    return shot


def test_a_face_is_cut_with_two_fifths_of_its_size_on_each_side() -> None:
    shot = shot_of(frame_of(picture(200, 200)), track_at(50, 60, 100, 110))
    assert shot.cut_px == (30, 40, 120, 130)
    assert shot.bgr.shape == (90, 90, 3)
    assert shot.bgr[0, 0].tolist() == [30, 40, 0]
    assert shot.bgr[-1, -1].tolist() == [119, 129, 0]
    assert shot.face_px == (50, 60, 100, 110)
    assert (shot.frame_index, shot.frame_size_px, shot.captured_unix_ns) == (7, (200, 200), 1_000)


@pytest.mark.parametrize(
    ("box", "cut"),
    [
        ((-10, -20, 40, 30), (0, 0, 60, 50)),
        ((180, 150, 220, 190), (164, 134, 200, 200)),
        ((-500, -500, 900, 900), (0, 0, 200, 200)),
        ((10.5, 10.5, 11.0, 11.0), (10, 10, 12, 12)),
    ],
)
def test_what_lies_beyond_the_frame_is_left_out(
    box: tuple[float, float, float, float], cut: tuple[int, int, int, int]
) -> None:
    shot = shot_of(frame_of(picture(200, 200)), track_at(*box))
    assert shot.cut_px == cut
    assert shot.bgr.shape[:2] == (cut[3] - cut[1], cut[2] - cut[0])


@pytest.mark.parametrize("box", [(300, 0, 340, 40), (0, -90, 40, -50), (-100, 0, -60, 40)])
def test_a_face_that_is_not_on_the_frame_gives_no_picture(box: tuple[float, float, float, float]) -> None:
    assert take(frame_of(picture(200, 200)), track_at(*box)) is None


@pytest.mark.parametrize(("width", "height"), [(4000, 3000), (3000, 4000), (4000, 60)])
def test_a_large_face_is_made_small_and_keeps_its_shape(width: int, height: int) -> None:
    shot = shot_of(frame_of(picture(width, height)), track_at(0, 0, width, height))
    assert max(shot.bgr.shape[:2]) == SIDE_PX
    assert shot.bgr.shape[1] / shot.bgr.shape[0] == pytest.approx(width / height, rel=0.1)


def test_the_frame_is_not_held_by_a_picture_cut_from_it() -> None:
    frame = frame_of(picture(200, 200))
    shot = shot_of(frame, track_at(50, 60, 100, 110))
    frame.bgr[:] = 0
    assert shot.bgr.any()
    assert not np.shares_memory(shot.bgr, frame.bgr)


def test_the_jpeg_is_what_was_cut() -> None:
    made = picture_of(shot_of(frame_of(picture(200, 200)), track_at(50, 60, 100, 110)))
    assert made.jpeg.startswith(b"\xff\xd8\xff")
    decoded = cv2.imdecode(np.frombuffer(made.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert (made.width, made.height, made.cut) == (90, 90, (30, 40, 120, 130))
    assert (made.frame_index, made.frame_width, made.frame_height) == (7, 200, 200)
    expected = picture(200, 200)[40:130, 30:120]
    assert np.abs(decoded.astype(int) - expected.astype(int)).mean() < 8


def test_also_the_worst_picture_is_small_enough_to_be_sent() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), np.uint8)
    # Each pixel its own noise also after shrinking.
    shot = shot_of(frame_of(noise[:SIDE_PX, :SIDE_PX]), track_at(0, 0, SIDE_PX, SIDE_PX))
    assert len(cv2.imencode(".jpg", shot.bgr)[1]) > MOST_BYTES
    assert 0 < len(picture_of(shot).jpeg) <= MOST_BYTES


def test_the_best_is_a_fit_face_of_the_highest_quality_and_of_two_alike_the_first() -> None:
    frame = frame_of(picture(200, 200))
    box = (50, 60, 100, 110)

    def after(*sights: tuple[float, tuple[str, ...]]) -> float:
        best = None
        for quality, reasons in sights:
            best = best_of(best, frame, track_at(*box, quality=quality, reasons=reasons))
        assert best is not None
        return best.quality

    assert after((0.2, ()), (0.9, ())) == 0.9
    assert after((0.9, ()), (0.2, ())) == 0.9
    assert after((0.2, ()), (0.95, ("profile",))) == 0.2
    assert after((0.95, ("profile",)), (0.0, ())) == 0.0
    assert after((0.3, ("dark",)), (0.4, ("dark",))) == pytest.approx(-0.6)
    first = best_of(None, frame, track_at(*box, quality=0.5))
    assert best_of(first, frame, track_at(*box, quality=0.5)) is first
    assert best_of(first, frame, track_at(900, 900, 940, 940, quality=1.0)) is first
