"""The picture of a comparison: faces on both sides, a distance for each two, its colour by the thresholds."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from daemon.comparison_plot import FAR_RGB, INK_RGB, MOST_FACES, NEAR_RGB, colour, save
from daemon.errors import UsageError
from daemon.lettering import draw_line, set_line
from gallery.preparing.comparing import ComparedFace, Comparison, Pair

THRESHOLDS = (0.5, 0.52, 0.6)
SIDE = 160


def face(number: int, name: str) -> ComparedFace:
    portrait = np.full((100, 80, 3), (number * 20, 0, 255 - number * 20), np.uint8)
    return ComparedFace(number, name, (0, 0, 80, 100), ((0.0, 0.0),) * 5, 0.9, (), portrait)


def comparison(names: list[str], distances: list[float]) -> Comparison:
    faces = tuple(face(number, name) for number, name in enumerate(names, 1))
    places = combinations(range(1, len(names) + 1), 2)
    pairs = tuple(Pair(*two, distance) for two, distance in zip(places, distances, strict=True))
    return Comparison("dlib", faces, pairs, (), ())


def drawn(file: Path) -> NDArray[np.uint8]:
    found = cv2.imread(str(file))
    assert found is not None
    return np.asarray(found[:, :, ::-1], np.uint8)


def test_the_colour_tells_which_thresholds_a_distance_is_under() -> None:
    assert [colour(distance, THRESHOLDS) for distance in (0.5, 0.51, 0.52, 0.6, 0.601)] == [
        *(NEAR_RGB[0], NEAR_RGB[1], NEAR_RGB[1], NEAR_RGB[2], FAR_RGB),
    ]
    assert [colour(distance, (0.5, 0.6)) for distance in (0.5, 0.6, 0.7)] == [*NEAR_RGB[:2], FAR_RGB]


def test_faces_stand_side_by_side_and_their_distances_between(tmp_path: Path) -> None:
    file = tmp_path / "faces.png"
    assert save(file, comparison(["a.jpg", "b.jpg", "c.jpg"], [0.31, 0.55, 0.9]), THRESHOLDS) == []
    picture = drawn(file)
    assert picture.shape[1] == 4 * SIDE
    for number in (1, 2, 3):
        for x, y in ((number, 0), (0, number)):
            middle = picture[y * SIDE + 60, x * SIDE + SIDE // 2]
            assert tuple(middle) == (255 - number * 20, 0, number * 20)
    expected = {(1, 2): (0.31, NEAR_RGB[0]), (1, 3): (0.55, NEAR_RGB[2]), (2, 3): (0.9, FAR_RGB)}
    for (one, other), (distance, ground) in expected.items():
        for x, y in ((one, other), (other, one)):
            cell = picture[y * SIDE : (y + 1) * SIDE, x * SIDE : (x + 1) * SIDE]
            assert tuple(cell[10, 10]) == ground
            assert is_written(f"{distance:.3f}", cell, ground)
    # Nothing is told of a face and itself.
    assert (picture[SIDE : 2 * SIDE, SIDE : 2 * SIDE] == 255).all()


def is_written(text: str, cell: NDArray[np.uint8], ground: tuple[int, int, int]) -> bool:
    line = set_line(text, SIDE // 5, 10_000, [])
    picture = Image.new("RGB", (round(line.width_px) + 2, line.height_px), ground)
    draw_line(ImageDraw.Draw(picture), (1, 0), line, INK_RGB)
    found = cv2.matchTemplate(cell, np.asarray(picture, np.uint8), cv2.TM_CCOEFF_NORMED)
    return float(found.max()) > 0.99


def test_long_names_and_names_that_no_font_has_stay_in_their_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.fonts.shutil.which", lambda program: None)
    monkeypatch.setattr("daemon.fonts.FONT_FOLDERS", ())
    from daemon.fonts import _font_files, font_for

    font_for.cache_clear()
    _font_files.cache_clear()
    names = ["a name that is much longer than the face is wide.jpg", "김철수.jpg"]
    notices = save(tmp_path / "a.png", comparison(names, [0.4]), THRESHOLDS)
    font_for.cache_clear()
    _font_files.cache_clear()
    assert len(notices) == 1
    assert "김철수" in notices[0]
    assert drawn(tmp_path / "a.png").shape[1] == 3 * SIDE


def test_of_very_many_faces_the_first_are_shown_and_that_is_told(tmp_path: Path) -> None:
    count = MOST_FACES + 2
    names = [f"{number}.jpg" for number in range(count)]
    notices = save(tmp_path / "a.png", comparison(names, [0.7] * (count * (count - 1) // 2)), THRESHOLDS)
    assert notices == [f"{tmp_path / 'a.png'}: shows the first {MOST_FACES} of {count} faces"]
    assert drawn(tmp_path / "a.png").shape[1] < 2_500


def test_where_it_cannot_be_saved_the_error_says_why(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        save(tmp_path / "nowhere" / "a.png", comparison(["a", "b"], [0.4]), THRESHOLDS)
