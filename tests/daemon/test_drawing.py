"""Names on pictures: drawn in any script, or a notice that says which font is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from PIL.ImageFont import FreeTypeFont

from daemon.drawing import KNOWN_RGB, UNKNOWN_RGB, Label, annotate
from daemon.errors import UsageError
from daemon.fonts import NoFont, _font_files, font_for, has_letters, runs
from daemon.image_file import save
from daemon.lettering import draw_line, set_line

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


@pytest.fixture
def fresh_fonts() -> Iterator[None]:
    """What was found before is forgotten, and what is found here after."""
    font_for.cache_clear()
    _font_files.cache_clear()
    yield
    font_for.cache_clear()
    _font_files.cache_clear()


def hangul(size_px: int) -> FreeTypeFont:
    try:
        return font_for("김철수", size_px)
    except NoFont as missing:
        pytest.skip(str(missing))


def place_of(text: str, size_px: int, drawn: NDArray[np.uint8], ground: tuple[int, int, int]) -> float:
    """How well some place of the picture agrees with the text as it is set by itself: 1 where it is there."""
    line = set_line(text, size_px, 10_000, [])
    picture = Image.new("RGB", (round(line.width_px) + 2, round(line.height_px)), ground)
    draw_line(ImageDraw.Draw(picture), (1, 0), line, (0, 0, 0))
    wanted = np.asarray(picture)[:, :, ::-1].astype(np.uint8)
    return float(cv2.matchTemplate(drawn, wanted, cv2.TM_CCOEFF_NORMED).max())


def test_a_name_that_no_font_can_draw_is_told_once_and_drawn_by_its_code_points(
    monkeypatch: pytest.MonkeyPatch, fresh_fonts: None
) -> None:
    monkeypatch.setattr("daemon.fonts.shutil.which", lambda program: None)
    monkeypatch.setattr("daemon.fonts.FONT_FOLDERS", ())
    label = Label((50, 60, 150, 180), [], "김철수")
    drawn, notices = annotate(GREY, [label, label])
    assert len(notices) == 1
    assert "김철수" in notices[0]
    assert "install" in notices[0]
    assert place_of("\\uae40\\ucca0\\uc218", 12, drawn, KNOWN_RGB) > 0.99


def test_hangul_is_drawn_letter_by_letter_as_its_font_has_it(fresh_fonts: None) -> None:
    font = hangul(12)
    assert has_letters(font, "김철수")
    drawn, notices = annotate(GREY, [Label((50, 60, 150, 180), [], "김철수")])
    assert notices == []
    wanted = np.full((24, 50, 3), KNOWN_RGB[::-1], np.uint8)
    picture = Image.fromarray(wanted)
    ImageDraw.Draw(picture).text((4, 4), "김철수", font=font, fill=(0, 0, 0))
    ink = np.argwhere((np.asarray(picture) != KNOWN_RGB[::-1]).any(axis=2))
    (top, left), (bottom, right) = ink.min(axis=0), ink.max(axis=0) + 1
    letters = np.asarray(picture)[top:bottom, left:right]
    assert cv2.matchTemplate(drawn, letters, cv2.TM_CCOEFF_NORMED).max() > 0.99
    # Another name is another picture, so these are letters and not boxes for what is missing.
    assert place_of("김철수", 12, drawn, KNOWN_RGB) > 0.99
    assert place_of("이영희", 12, drawn, KNOWN_RGB) < 0.9
    # And they differ from one another.
    assert len({bytes(font.getmask(letter)) for letter in "김철수"}) == 3


def test_without_fontconfig_fonts_are_found_in_their_folders(
    monkeypatch: pytest.MonkeyPatch, fresh_fonts: None
) -> None:
    hangul(12)
    font_for.cache_clear()
    monkeypatch.setattr("daemon.fonts.shutil.which", lambda program: None)
    _, notices = annotate(GREY, [Label((50, 60, 150, 180), [], "김철수")])
    assert notices == []


def test_a_name_of_two_scripts_takes_a_font_for_each(fresh_fonts: None) -> None:
    hangul(20)
    text = "김철수 Aleksandr Ωμέγα מרים"
    pieces = runs(text, 20)
    assert "".join(piece for piece, _ in pieces) == text
    for piece, font in pieces:
        assert has_letters(font, piece)
    drawn, notices = annotate(GREY, [Label((50, 60, 150, 180), [], text)])
    assert notices == []
    assert drawn.shape == GREY.shape


def test_all_lines_are_readable_at_the_bottom_of_the_picture() -> None:
    notes = ("0.312 of 0.52", "blurred", "profile")
    drawn, _ = annotate(GREY, [Label((100, 150, 160, 239), [], "Ann", notes)])
    for text in ("Ann", *notes):
        assert place_of(text, 12, drawn, KNOWN_RGB) > 0.99, text


def test_neighbours_do_not_write_over_each_other() -> None:
    labels = [
        Label((60 + 40 * i, 60, 95 + 40 * i, 100), [], f"Somebody Else {i}", (f"0.{i}21 of 0.52",))
        for i in range(4)
    ]
    drawn, _ = annotate(GREY, labels)
    for label in labels:
        assert label.name is not None
        for text in (label.name, *label.notes):
            assert place_of(text, 12, drawn, KNOWN_RGB) > 0.99, text


def test_a_name_is_not_written_on_another_face_where_there_is_room() -> None:
    upper, lower = Label((100, 40, 160, 100), [], "Ann"), Label((100, 104, 160, 160), [], "Bob")
    drawn, _ = annotate(GREY, [upper, lower])
    inside = drawn[110:155, 106:155]
    assert (inside == 128).all()
    assert place_of("Ann", 12, drawn, KNOWN_RGB) > 0.99


def test_a_name_wider_than_the_picture_is_set_smaller() -> None:
    text = "A name that goes on and on and on and on and on and on and on"
    drawn, _ = annotate(GREY, [Label((100, 60, 160, 120), [], text)])
    line = set_line(text, 12, 318, [])
    assert line.size_px < 12
    assert line.width_px <= 318
    assert place_of(text, line.size_px, drawn, KNOWN_RGB) > 0.99


def test_what_is_no_letter_is_written_as_its_code_point() -> None:
    notices: list[str] = []
    line = set_line("a\x07b\n\ue000", 12, 10_000, notices)
    assert "".join(piece for piece, _ in line.pieces) == r"a\x07b\n\ue000"
    assert len(notices) == 1


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
