"""`compare` on portraits: what it tells, draws and refuses."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import REPOSITORY
from tests.daemon.cli.conftest import Shell
from tests.daemon.cli.photographs import read

SAMPLES = REPOSITORY / "samples"
OBAMA, AGAIN, BIDEN = (SAMPLES / f"{name}.jpg" for name in ("barack-obama", "barack-obama-2", "joe-biden"))


def test_the_same_person_is_under_the_thresholds_and_others_are_not(visaged: Shell, tmp_path: Path) -> None:
    wall = tmp_path / "wall.png"
    import cv2

    cv2.imwrite(str(wall), np.full((200, 200, 3), 99, np.uint8))
    done = visaged("compare", OBAMA, tmp_path / "nowhere.jpg", BIDEN, wall, AGAIN, "--json")
    assert done.code == 0, done.err
    told = done.document
    assert (told["threshold"], told["thresholds"]) == (0.52, [0.5, 0.52, 0.6])
    assert [(face["number"], face["image"]) for face in told["faces"]] == [
        *((1, str(OBAMA)), (2, str(BIDEN)), (3, str(AGAIN))),
    ]
    assert all(len(face["box"]) == 4 and len(face["landmarks"]) == 5 for face in told["faces"])
    assert {(pair["first"], pair["second"]) for pair in told["pairs"]} == set(combinations((1, 2, 3), 2))
    near, *far = told["pairs"]
    assert (near["first"], near["second"], near["under"]) == (1, 3, [0.5, 0.52, 0.6])
    assert near["distance"] < 0.5
    assert all(pair["under"] == [] and pair["distance"] > 0.6 for pair in far)
    assert [(each["image"], each["reason"]) for each in told["refused"]] == [
        (str(tmp_path / "nowhere.jpg"), "not_found")
    ]
    assert told["faceless"] == [str(wall)]
    assert "nowhere.jpg: not_found" in done.err


def test_distances_are_those_that_identify_tells(visaged: Shell) -> None:
    visaged("enroll", "Barack", OBAMA)
    (image,) = visaged("identify", AGAIN, "--json").document
    told = visaged("compare", OBAMA, AGAIN, "--json").document
    assert told["pairs"][0]["distance"] == pytest.approx(image["faces"][0]["distance"], abs=1e-4)


def test_the_table_says_which_threshold_is_the_configured_one(visaged: Shell) -> None:
    done = visaged("compare", OBAMA, AGAIN, BIDEN)
    assert done.code == 0
    for words in ("under 0.5", "under 0.52 (configured)", "under 0.6", "1 barack-obama.jpg", "yes", "no"):
        assert words in done.out
    visaged.configure("[encoder]\nthreshold = 0.6\n")
    assert "under 0.5  under 0.6 (configured)" in visaged("compare", OBAMA, AGAIN).out
    done = visaged("compare", OBAMA, AGAIN, "--threshold", "0.1", "--json")
    assert done.document["thresholds"] == [0.1, 0.5, 0.6]
    assert done.document["pairs"][0]["under"] == [0.5, 0.6]


def test_the_plot_has_a_row_and_a_column_for_each_face(visaged: Shell, tmp_path: Path) -> None:
    done = visaged("compare", OBAMA, AGAIN, BIDEN, "--plot", tmp_path / "faces.png")
    assert done.code == 0
    assert f"saved {tmp_path / 'faces.png'}" in done.err
    picture = read(tmp_path / "faces.png")
    assert picture.shape[1] == 4 * 160
    assert picture.shape[0] > 4 * 160


def test_without_two_faces_it_exits_1_and_wrong_usage_2(visaged: Shell, tmp_path: Path) -> None:
    alone = visaged("compare", OBAMA)
    assert alone.code == 1
    assert "no two faces" in alone.err
    assert visaged("compare", tmp_path / "nowhere.jpg", "--json").document["faces"] == []
    for arguments in (
        (),
        (OBAMA, "--plot", tmp_path / "a.jpg"),
        (OBAMA, "--plot", tmp_path / "no" / "a.png"),
    ):
        done = visaged("compare", *arguments)
        assert done.code == 2
        assert done.err.startswith("visaged: ")
        assert len(done.err.strip().splitlines()) == 1
