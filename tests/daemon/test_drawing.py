"""Names on pictures: drawn in any script, or a notice that says which font is missing."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from daemon.drawing import KNOWN_RGB, UNKNOWN_RGB, Label, annotate
from daemon.errors import UsageError
from daemon.fonts import NoFont, font_for, has_letters
from daemon.image_file import save

GREY = np.full((240, 320, 3), 128, np.uint8)


def colours(bgr: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(pixel[::-1]) for pixel in bgr.reshape(-1, 3).tolist()}


def test_a_known_face_gets_a_box_landmarks_and_a_name_and_the_picture_given_stays_as_it_was() -> None:
    before = GREY.copy()
    drawn, notices = annotate(GREY, [Label((50, 60, 150, 180), [(80, 100)], "Ann", ("0.31",))])
    np.testing.assert_array_equal(GREY, before)
    assert notices == []
    assert tuple(drawn[60, 100][::-1]) == KNOWN_RGB
    assert tuple(drawn[100, 80][::-1]) == KNOWN_RGB
    assert UNKNOWN_RGB not in colours(drawn)


def test_an_unknown_face_is_drawn_in_another_colour() -> None:
    drawn, _ = annotate(GREY, [Label((50, 60, 150, 180), [], None)])
    assert UNKNOWN_RGB in colours(drawn)
    assert KNOWN_RGB not in colours(drawn)


def test_a_face_at_the_border_keeps_its_name_inside_the_picture() -> None:
    drawn, _ = annotate(GREY, [Label((250, 180, 320, 240), [], "Somebody with a long name")])
    assert drawn.shape == GREY.shape
    ground = np.argwhere((drawn == KNOWN_RGB[::-1]).all(axis=2))
    # The face begins at 250: a name that began there would be cut by the edge at 320.
    assert ground[:, 1].min() < 200


def test_without_faces_nothing_is_drawn() -> None:
    drawn, notices = annotate(GREY, [])
    np.testing.assert_array_equal(drawn, GREY)
    assert notices == []


def test_a_name_that_no_font_can_draw_is_told_once_and_drawn_by_its_code_points(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("daemon.fonts.shutil.which", lambda program: None)
    font_for.cache_clear()
    label = Label((50, 60, 150, 180), [], "김철수")
    drawn, notices = annotate(GREY, [label, label])
    font_for.cache_clear()
    assert len(notices) == 1
    assert "김철수" in notices[0]
    assert "install" in notices[0]
    assert (drawn == 0).all(axis=2).any()


def test_hangul_is_drawn_with_a_font_of_the_system() -> None:
    font_for.cache_clear()
    try:
        font = font_for("김철수", 20)
    except NoFont as missing:
        pytest.skip(str(missing))
    assert has_letters(font, "김철수")
    drawn, notices = annotate(GREY, [Label((50, 60, 150, 180), [], "김철수")])
    assert notices == []
    assert (drawn == 0).all(axis=2).any()


def test_a_picture_is_saved_in_the_format_of_its_name(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "a.WEBP"):
        save(tmp_path / name, GREY)
        saved = cv2.imread(str(tmp_path / name))
        assert saved is not None
        assert saved.shape == GREY.shape


def test_where_a_picture_cannot_be_saved_the_error_says_why(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"must end in one of \.jpg"):
        save(tmp_path / "a.txt", GREY)
    with pytest.raises(UsageError, match="No such file"):
        save(tmp_path / "nowhere" / "a.png", GREY)
