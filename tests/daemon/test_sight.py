"""Whether what a camera shows is real: pictures made of a portrait, and the clips of the shared data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count, islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from daemon.config import CameraConfig
from daemon.frame import CameraChange, CameraState, Frame
from daemon.seeing import Seeing
from daemon.sight_measures import blur
from tests.conftest import REPOSITORY

Picture = NDArray[np.uint8]
FPS = 10
RTSP = CameraConfig(name="door", source="rtsp://camera/door")


@pytest.fixture(scope="module")
def portrait() -> Picture:
    """uint8[256, 256, 3]: a photograph."""
    picture = cv2.imread(str(REPOSITORY / "samples" / "eileen-collins.jpg"))
    assert picture is not None
    return np.asarray(cv2.resize(picture, (256, 256), interpolation=cv2.INTER_AREA), np.uint8)


def still(picture: Picture, noise: float = 0.0, light: float = 1.0) -> Iterator[Picture]:
    """This picture for ever, as a sensor with such noise (in grey levels) sees it in such light."""
    pictures = np.random.default_rng(1)
    while True:
        grain = pictures.normal(0, noise, picture.shape) if noise else 0.0
        yield np.clip(picture * light + grain, 0, 255).astype(np.uint8)


def even(level: int) -> Picture:
    return np.full((256, 256, 3), level, np.uint8)


def seconds(pictures: Iterable[Picture], duration_s: float) -> list[Picture]:
    return list(islice(pictures, round(duration_s * FPS)))


def told(
    pictures: Iterable[Picture],
    damaged: frozenset[int] = frozenset(),
    fps: float = FPS,
    camera: CameraConfig = RTSP,
) -> list[tuple[float, CameraState]]:
    """What is told of these pictures, and after how many seconds."""
    seeing = Seeing([camera])
    happened = []
    for index, bgr in enumerate(pictures):
        time_ns = round(index * 1e9 / fps)
        frame = Frame("door", index, time_ns, time_ns, 0, bgr, damaged=int(index in damaged))
        for item in seeing.watch([frame]):
            if isinstance(item, CameraChange):
                assert (item.reason is None) == (item.state == "online")
                happened.append((index / fps, item.state))
    return happened


def states(happened: list[tuple[float, CameraState]]) -> list[CameraState]:
    return [state for _, state in happened]


@pytest.mark.parametrize("light", [1.0, 0.15, 0.05])
@pytest.mark.parametrize("noise", [0.7, 2.0, 8.0])
def test_a_still_scene_by_day_or_night_that_a_sensor_sees_with_noise_is_none_of_these(
    portrait: Picture, noise: float, light: float
) -> None:
    assert told(seconds(still(portrait, noise, light), 20)) == []


@pytest.mark.parametrize("noise", [1.0, 4.0])
def test_a_night_in_which_nothing_but_noise_is_seen_is_none_of_these(noise: float) -> None:
    assert told(seconds(still(even(30), noise), 20)) == []


def test_a_picture_without_even_noise_is_frozen_after_eight_seconds_until_it_moves(
    portrait: Picture,
) -> None:
    living = seconds(still(portrait, 2.0), 5)
    happened = told([*living, *seconds(still(portrait), 15), *living])
    assert states(happened) == ["frozen", "online"]
    assert 11 <= happened[0][0] <= 13.5
    assert 20 < happened[1][0] <= 21


def test_a_frozen_picture_that_is_coded_anew_now_and_then_is_still_frozen(portrait: Picture) -> None:
    """As key frames do it: all of the picture changes by a little at once, and then nothing."""
    anew = [
        np.asarray(
            cv2.imdecode(cv2.imencode(".jpg", portrait, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1), np.uint8
        )
        for quality in (60, 75, 90)
    ]
    assert states(told(anew[index // 20 % 3] for index in range(300))) == ["frozen"]


def test_a_person_in_a_corner_is_enough_to_live(portrait: Picture) -> None:
    def walking() -> Iterator[Picture]:
        for step in count():
            scene = portrait.copy()
            scene[200:240, step % 200 : step % 200 + 20] = 128
            yield scene

    assert told(seconds(walking(), 20)) == []
    assert states(told([*seconds(still(portrait), 10), *seconds(walking(), 3)])) == ["frozen", "online"]


def test_frames_of_a_frozen_camera_go_no_further(portrait: Picture) -> None:
    seeing = Seeing([RTSP])
    passed = []
    for index, bgr in enumerate(seconds(still(portrait), 12)):
        time_ns = index * 1_000_000_000 // FPS
        passed += seeing.watch([Frame("door", index, time_ns, time_ns, 0, bgr)])
    at = next(place for place, item in enumerate(passed) if isinstance(item, CameraChange))
    assert at > 70
    assert len(passed) == at + 1


@pytest.mark.parametrize(("realtime", "expected"), [(True, ["dark"]), (False, [])])
def test_a_file_is_never_frozen_and_one_that_is_read_in_step_is_not_watched(
    portrait: Picture, realtime: bool, expected: list[str]
) -> None:
    camera = CameraConfig(name="door", source="clip.mp4", realtime=realtime)
    assert told(seconds(still(portrait), 20), camera=camera) == []
    assert states(told(seconds(still(even(0)), 5), camera=camera)) == expected


@pytest.mark.parametrize(("level", "why"), [(0, "dark"), (10, "dark"), (120, "covered"), (250, "covered")])
@pytest.mark.parametrize("noise", [0.0, 6.0])
def test_a_covered_lens_is_dark_whatever_it_is_covered_with(level: int, why: str, noise: float) -> None:
    seeing = Seeing([RTSP])
    changes = []
    for index, bgr in enumerate(seconds(still(even(level), noise), 12)):
        time_ns = index * 1_000_000_000 // FPS
        changes += seeing.watch([Frame("door", index, time_ns, time_ns, 0, bgr)])
    (change,) = [item for item in changes if isinstance(item, CameraChange)]
    assert change.state == "dark"
    assert why in str(change.reason)


def test_dark_begins_and_ends_in_seconds(portrait: Picture) -> None:
    living = seconds(still(portrait, 2.0), 5)
    happened = told([*living, *seconds(still(even(3), 2.0), 6), *living])
    assert states(happened) == ["dark", "online"]
    assert 7 <= happened[0][0] < 7.5
    assert 12 <= happened[1][0] < 12.5


def test_a_lamp_in_the_dark_is_something_to_see() -> None:
    night = even(2)
    night[100:130, 100:130] = 90
    assert told(seconds(still(night, 2.0), 20)) == []


def test_a_lens_out_of_focus_is_blurred_and_sharp_again(portrait: Picture) -> None:
    out_of_focus = np.asarray(cv2.GaussianBlur(portrait, (0, 0), 6), np.uint8)
    sharp = seconds(still(portrait, 1.0), 4)
    blurred = seconds(still(out_of_focus, 0.5), 9)
    happened = told([*sharp, *blurred, *sharp])
    assert states(happened) == ["blurred", "online"]
    assert 9 <= happened[0][0] < 10
    assert 15 <= happened[1][0] < 16


def test_what_has_no_detail_is_neither_sharp_nor_blurred() -> None:
    assert blur(even(90)) is None
    slope = np.broadcast_to(np.linspace(20, 200, 256).astype(np.uint8)[None, :, None], (256, 256, 3))
    assert blur(np.ascontiguousarray(slope)) is None
    assert told(seconds(still(np.ascontiguousarray(slope), 0.3), 20)) == []


@pytest.mark.parametrize("size", [(1, 1), (9, 7), (16, 16), (64, 48), (2600, 20)])
def test_odd_sizes_are_measured_too(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    assert states(told(seconds(still(picture), 10))) == (["frozen"] if min(size) >= 16 else [])


def test_three_damaged_pictures_within_eight_seconds_are_lossy_until_eight_seconds_without(
    portrait: Picture,
) -> None:
    happened = told(seconds(still(portrait, 1.0), 40), damaged=frozenset({50, 80, 110}))
    assert happened == [(11.0, "lossy"), (19.1, "online")]


def test_two_damaged_pictures_or_one_burst_are_not_lossy(portrait: Picture) -> None:
    pictures = seconds(still(portrait, 1.0), 40)
    assert told(pictures, damaged=frozenset({50, 90, 140, 180, 230, 290})) == []
    assert told(pictures, damaged=frozenset({50, 51, 52, 53, 54, 55})) == []


def test_a_camera_that_was_lost_has_to_show_its_trouble_again(portrait: Picture) -> None:
    seeing = Seeing([RTSP])
    happened = []
    for index in range(60):
        frame = Frame("door", index, index * 10**8, index * 10**8, 0, even(0))
        if index in (0, 30):
            happened += seeing.watch([CameraChange("door", "online", None)])
        happened += seeing.watch([frame])
    changes = [item.state for item in happened if isinstance(item, CameraChange)]
    assert changes == ["online", "dark", "online", "dark"]


def test_no_clip_of_the_shared_data_is_any_of_these(shared_data: Path) -> None:
    clips = sorted((shared_data / "fixtures" / "clips").iterdir())
    assert clips
    for clip in clips:
        capture = cv2.VideoCapture(str(clip))
        fps = capture.get(cv2.CAP_PROP_FPS)
        pictures = []
        while (read := capture.read())[0]:
            pictures.append(np.asarray(read[1], np.uint8))
        repeated = (pictures[index % len(pictures)] for index in range(round(15 * fps)))
        assert told(repeated, fps=fps) == [], clip.name
