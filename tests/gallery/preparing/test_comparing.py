"""Every face against every face, numbered in the order of the images whatever their sizes are."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from gallery.preparing.comparing import Pair, compare
from tests.gallery.painted import GREEN, RED, YELLOW, paint, painted_engine

LEFT, RIGHT = (10, 20, 80, 120), (110, 20, 150, 70)


def test_faces_are_numbered_by_image_and_from_left_to_right_and_every_two_are_measured(
    tmp_path: Path,
) -> None:
    two = paint(tmp_path / "two.png", (RIGHT, RED), (LEFT, GREEN))
    one = paint(tmp_path / "one.png", (LEFT, (200, 10, 112)), size=(90, 130))
    same = paint(tmp_path / "same.png", (RIGHT, RED))
    found = compare([two, one, same], painted_engine())
    assert [(face.number, Path(face.image).name) for face in found.faces] == [
        (1, "two.png"),
        (2, "two.png"),
        (3, "one.png"),
        (4, "same.png"),
    ]
    assert [face.box[0] for face in found.faces] == [10.0, 110.0, 10.0, 110.0]
    assert found.faces[0].landmarks[0] == (31.0, 60.0)
    pairs = {(pair.first, pair.second): pair.distance for pair in found.pairs}
    assert set(pairs) == set(combinations(range(1, 5), 2))
    assert pairs[2, 4] == 0.0
    # (200, 10, 10) against (200, 10, 112), of 255.
    assert pairs[2, 3] == 0.4
    assert found.pairs[:2] == (Pair(2, 4, 0.0), Pair(2, 3, 0.4))
    assert [pair.distance for pair in found.pairs] == sorted(pairs.values())
    table = found.table()
    assert table[1, 2] == table[2, 1] == 0.4
    assert not np.diagonal(table).any()


def test_a_portrait_is_the_face_and_a_fifth_around_it(tmp_path: Path) -> None:
    (face,) = compare([paint(tmp_path / "a.png", (RIGHT, YELLOW))], painted_engine()).faces
    # 40 x 50 pixels, 8 more on each side and 10 above and below.
    assert face.portrait.shape == (70, 56, 3)
    assert (face.portrait[10:60, 8:48, ::-1] == YELLOW).all()


def test_images_that_are_none_and_without_a_face_are_told(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no image")
    images = [
        *(tmp_path / "text.jpg", tmp_path / "nowhere.jpg"),
        paint(tmp_path / "empty.png"),
        paint(tmp_path / "face.png", (LEFT, RED)),
    ]
    seen: list[object] = []
    found = compare(images, painted_engine(), seen.append)
    assert [(Path(each.image).name, each.reason) for each in found.refused] == [
        ("text.jpg", "not_an_image"),
        ("nowhere.jpg", "not_found"),
    ]
    assert found.faceless == (str(tmp_path / "empty.png"),)
    assert [face.number for face in found.faces] == [1]
    assert found.pairs == ()
    assert sorted(map(str, seen)) == sorted(map(str, images))


def test_many_images_of_all_sizes_keep_their_order(tmp_path: Path) -> None:
    images = [
        paint(tmp_path / f"{number}.png", (LEFT, (number + 1, 10, 10)), size=(100 + number % 3, 130))
        for number in range(50)
    ]
    found = compare(images, painted_engine())
    assert [face.image for face in found.faces] == [str(image) for image in images]
    assert len(found.pairs) == 50 * 49 / 2
    # Neighbours differ by one step of red.
    assert (found.pairs[0].first, found.pairs[0].second) == (1, 2)
    assert found.pairs[0].distance == pytest.approx(1 / 255, abs=1e-6)
    assert found.table()[0, 49] == pytest.approx(49 / 255, abs=1e-6)


def test_nothing_compares_to_nothing() -> None:
    found = compare([], painted_engine())
    assert (found.faces, found.pairs, found.table().shape) == ((), (), (0, 0))
