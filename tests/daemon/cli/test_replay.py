"""`replay-decisions`: what another threshold would have decided on a clip."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.conftest import REPOSITORY
from tests.daemon.cli.conftest import Shell

SAMPLES = REPOSITORY / "samples"


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Two seconds of Barack Obama, who sways."""
    portrait = cv2.resize(np.asarray(cv2.imread(str(SAMPLES / "barack-obama-2.jpg")), np.uint8), (288, 360))
    for number in range(50):
        picture = np.full((360, 640, 3), 96, np.uint8)
        picture[:, 100 + number : 388 + number] = portrait
        cv2.imwrite(str(tmp_path / f"{number:02}.jpg"), picture)
    return tmp_path


def test_a_stricter_threshold_would_have_made_an_unknown_of_him(visaged: Shell, clip: Path) -> None:
    assert visaged("enroll", "Barack", SAMPLES / "barack-obama.jpg").code == 0
    done = visaged("replay-decisions", clip, "--threshold", "0.2", "--json")
    assert done.code == 0
    first, last = done.document
    assert (first["configured"]["kind"], first["configured"]["name"]) == ("recognized", "Barack")
    assert (first["tried"]["kind"], first["tried"]["name"]) == ("unknown", None)
    assert first["tried"]["frame"] > first["configured"]["frame"]
    assert (last["configured"]["kind"], last["tried"]["kind"]) == ("left", "left")


def test_the_same_threshold_changes_nothing(visaged: Shell, clip: Path) -> None:
    assert visaged("enroll", "Barack", SAMPLES / "barack-obama.jpg").code == 0
    done = visaged("replay-decisions", clip, "--threshold", "0.52")
    assert done.code == 0
    assert done.out == ""
    assert "0 of 2 would have been told otherwise" in done.err


def test_a_clip_that_is_not_there_is_refused(visaged: Shell, tmp_path: Path) -> None:
    done = visaged("replay-decisions", tmp_path / "nowhere.mp4", "--threshold", "0.5")
    assert done.code == 2
    assert "no such file" in done.err
