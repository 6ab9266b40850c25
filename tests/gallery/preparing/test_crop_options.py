"""What may be asked of a crop, and which rectangle of an image it is then."""

from __future__ import annotations

import numpy as np
import pytest

from gallery.faces.types import Faces
from gallery.preparing.errors import PreparingRefused
from gallery.preparing.geometry import centred, chosen, mean_size, with_margin
from gallery.preparing.options import CropOptions, Fallback, Margin, Size

BOX = (100.0, 100.0, 140.0, 180.0)


def faces(*found: tuple[tuple[float, float, float, float], float]) -> Faces:
    boxes = np.array([box for box, _ in found], np.float32).reshape(-1, 4)
    scores = np.array([score for _, score in found], np.float32)
    return Faces(boxes, scores, np.zeros((len(found), 5, 2), np.float32))


@pytest.mark.parametrize(
    ("margin", "cut"),
    [
        ("0,0,0,0", (100, 100, 140, 180)),
        ("1,2,3,4", (99, 98, 143, 184)),
        ("10px,0,0,0", (90, 100, 140, 180)),
        ("50%,50%,25%,0", (80, 60, 150, 180)),
        (" 10% , 0 , 5.5 , 0 ", (96, 100, 146, 180)),
        ("10000,10000,10000,10000", (0, 0, 200, 190)),
    ],
)
def test_a_margin_is_pixels_or_percent_of_the_box_and_ends_at_the_border(
    margin: str, cut: tuple[int, ...]
) -> None:
    assert with_margin(BOX, Margin.parse(margin), 200, 190) == cut


@pytest.mark.parametrize(
    "text", ["", "10", "1,2,3", "1,2,3,4,5", "1,2,3,-4", "1,2,3,a", "1,2,3,4%%", "1e9,0,0,0"]
)
def test_what_is_no_margin_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(PreparingRefused, match=r"--margin.* 10,40%,10,0"):
        Margin.parse(text)
    with pytest.raises(PreparingRefused, match="at most"):
        Margin.parse("10001,0,0,0")


def test_edges_are_rounded_to_the_nearest_pixel_halves_up() -> None:
    assert with_margin((10.5, 11.49, 20.5, 21.5), Margin(), 100, 100) == (11, 11, 21, 22)


def test_a_crop_is_never_empty() -> None:
    assert with_margin((50.2, 50.2, 50.3, 50.3), Margin(), 100, 100) == (50, 50, 51, 51)
    assert with_margin((100.0, 99.9, 100.0, 100.0), Margin(), 100, 100) == (99, 99, 100, 100)


def test_the_middle_is_as_large_as_asked_or_as_the_image() -> None:
    assert centred((100, 50), 200, 150) == (50, 50, 150, 100)
    assert centred((101, 51), 200, 150) == (49, 49, 150, 100)
    assert centred((300, 50), 200, 150) == (0, 50, 200, 100)
    assert centred((0.2, 0.2), 3, 3) == (1, 1, 2, 2)


def test_the_mean_size_is_of_widths_and_heights_apart() -> None:
    assert mean_size([(0, 0, 10, 20), (5, 5, 25, 15)]) == (15, 15)
    assert mean_size([]) is None


def test_the_best_is_the_surest_and_of_equally_sure_ones_the_larger() -> None:
    small, large, sure = ((0, 0, 10, 10), 0.9), ((0, 0, 30, 30), 0.9), ((0, 0, 20, 20), 0.95)
    assert chosen(faces(small, large, sure), "best") == [2]
    assert chosen(faces(small, large, sure), "largest") == [1]
    assert chosen(faces(small, large, sure), "all") == [1, 2, 0]
    assert chosen(faces(small, large), "best") == [1]
    assert chosen(Faces.none(), "best") == []
    assert chosen(Faces.none(), "all") == []


def test_sizes_are_width_by_height_in_pixels() -> None:
    assert Size.parse("160x120", "--size") == Size(160, 120)
    assert Size.parse("160×120", "--size") == Size(160, 120)
    for text in ("160", "0x10", "10x0", "12001x10", "axb", "10x10x10", "-5x5", ""):
        with pytest.raises(PreparingRefused, match="--size"):
            Size.parse(text, "--size")


def test_a_fallback_is_skip_the_middle_or_the_mean() -> None:
    assert Fallback.parse("skip") == Fallback()
    assert Fallback.parse("center:64x80") == Fallback("center", Size(64, 80))
    assert Fallback.parse("mean:1.5") == Fallback("mean", factor=1.5)
    for text in (
        "",
        "middle",
        "skip:1",
        "center",
        "center:64",
        "mean",
        "mean:0",
        "mean:-1",
        "mean:nan",
        "mean:inf",
    ):
        with pytest.raises(PreparingRefused, match="--fallback"):
            Fallback.parse(text)


def test_options_are_described_as_they_are_given() -> None:
    options = CropOptions(Margin.parse("1,2.5%,3px,40%"), Size(5, 6), "all", Fallback.parse("mean:1.5"))
    assert options.described() == {
        "--margin": "1,2.5%,3,40%",
        "--size": "5x6",
        "--faces": "all",
        "--fallback": "mean:1.5",
        "--align": "no",
    }
    for text in ("skip", "center:64x80", "mean:2"):
        assert str(Fallback.parse(text)) == text


def test_what_does_not_go_with_aligning_is_refused() -> None:
    with pytest.raises(PreparingRefused, match="--margin is not for --align"):
        CropOptions(margin=Margin.parse("1,0,0,0"), align=True)
    with pytest.raises(PreparingRefused, match="square"):
        CropOptions(size=Size(10, 20), align=True)
    assert CropOptions(size=Size(20, 20), align=True).size == Size(20, 20)
