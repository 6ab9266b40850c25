"""`calibrate`: what it tells, writes and refuses, on portraits."""

from __future__ import annotations

import importlib.util
import resource
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from daemon.control import ControlServer, Facts, Live
from gallery.people import NewReference
from gallery.store import Gallery
from tests.conftest import REPOSITORY
from tests.daemon.cli.conftest import Shell

SAMPLES = REPOSITORY / "samples"
OBAMA, AGAIN, BIDEN, COLLINS = (
    SAMPLES / f"{name}.jpg" for name in ("barack-obama", "barack-obama-2", "joe-biden", "eileen-collins")
)
MODEL = "dlib-mtcnn-0123456789abcdef"


@pytest.fixture
def enrolled(visaged: Shell) -> Shell:
    """Three people, one photo each."""
    for name, file in (("Barack", OBAMA), ("Joe", BIDEN), ("김", COLLINS)):
        assert visaged("enroll", name, file).code == 0
    return visaged


def gallery_of(shell: Shell) -> Gallery:
    return Gallery.open(shell.folder / "state" / "gallery.db")


def enrol_points(shell: Shell, people: dict[str, list[float]], model: str = MODEL) -> None:
    """People whose encodings are written out."""
    (shell.folder / "state").mkdir(exist_ok=True)
    with gallery_of(shell) as gallery:
        for number, (name, point) in enumerate(people.items()):
            face = NewReference(np.array(point, np.float32), model, f"{number:064}", "a.jpg", 0.9)
            gallery.add(name, [face], 1)


def test_everybody_gets_a_threshold_that_identify_applies_and_tells(enrolled: Shell) -> None:
    done = enrolled("calibrate", "--fmr", "0.0001", "--json")
    assert done.code == 0, done.err
    told = done.document
    assert (told["fmr"], told["written"], told["cap"]) == (0.0001, True, 0.52)
    assert told["stranger"] <= 0.0001 < told["stranger_before"]
    own = {each["person"]["name"]: each["threshold"] for each in told["people"]}
    assert set(own) == {"Barack", "Joe", "김"}
    assert all(0.3 < threshold < 0.52 for threshold in own.values())
    kept = {each["name"]: each["threshold"] for each in enrolled("people", "--json").document}
    assert kept == own
    (face,) = enrolled("identify", AGAIN, "--json").document[0]["faces"]
    assert face["threshold"] == own["Barack"]
    (face,) = enrolled("identify", AGAIN, "--threshold", "0.6", "--json").document[0]["faces"]
    assert face["threshold"] == 0.6


def test_the_table_names_everybody_and_says_what_it_promises(enrolled: Shell) -> None:
    done = enrolled("calibrate")
    assert done.code == 0
    for words in (
        "Barack",
        "김",
        "at most 0.1 %",
        "Labeled Faces in the Wild",
        "3 thresholds are in the gallery",
    ):
        assert words in done.out
    assert "too few to tell" in done.err


def test_a_dry_run_changes_nothing_and_clear_takes_everything_back(enrolled: Shell) -> None:
    def kept() -> set[float | None]:
        return {each["threshold"] for each in enrolled("people", "--json").document}

    assert enrolled("calibrate", "--dry-run", "--json").document["written"] is False
    assert kept() == {None}
    assert enrolled("calibrate", "--fmr", "0.0001").code == 0
    assert None not in kept()
    done = enrolled("calibrate", "--clear", "--json")
    assert done.document == {"people": [], "written": True}
    assert kept() == {None}


def test_nothing_is_loosened_unless_it_is_asked_for(visaged: Shell) -> None:
    enrol_points(visaged, {"Ann": [0.0, 0.0], "Bea": [9.0, 0.0]})
    capped = visaged("calibrate", "--fmr", "0.1", "--json")
    assert [each["threshold"] for each in capped.document["people"]] == [0.52, 0.52]
    assert "--allow-looser" in capped.err
    looser = visaged("calibrate", "--fmr", "0.1", "--allow-looser", "--json").document["people"]
    assert all(each["threshold"] > 0.55 for each in looser)
    visaged.configure("[encoder]\nthreshold = 0.4\n")
    stricter = visaged("calibrate", "--fmr", "0.1", "--json").document["people"]
    assert [each["threshold"] for each in stricter] == [0.4, 0.4]
    visaged.configure("[encoder]\nthreshold = 0.7\n")
    default = visaged("calibrate", "--fmr", "0.1", "--json").document["people"]
    assert [each["threshold"] for each in default] == [0.52, 0.52]


def test_who_could_be_taken_for_one_another_is_warned_of_once(visaged: Shell) -> None:
    enrol_points(visaged, {"Ann": [0.0], "Bea": [0.3], "Cleo": [9.0]})
    warned = [line for line in visaged("calibrate").err.splitlines() if "taken for one another" in line]
    assert len(warned) == 1
    assert "Ann and Bea are 0.300 apart" in warned[0]


def test_of_many_look_alikes_the_nearest_are_told(visaged: Shell) -> None:
    enrol_points(visaged, {str(i): [i * (0.1 + i / 1000)] for i in range(40)})
    told = [line for line in visaged("calibrate").err.splitlines() if line.startswith("warning: ")]
    assert "0 and 1 are 0.101 apart" in told[0]
    assert "more such pairs" in told[10]


def test_after_an_enrolment_it_is_told_that_thresholds_are_of_before(enrolled: Shell) -> None:
    assert "calibrate" not in enrolled("enroll", "Barack", AGAIN).err
    enrolled("calibrate")
    assert enrolled("forget", "Joe").code == 0
    assert "run visaged calibrate again" in enrolled("enroll", "Joe", BIDEN).err


def test_the_plot_is_a_picture(enrolled: Shell, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / "distances.png"
    done = enrolled("calibrate", "--plot", file, "--json")
    assert done.code == 0, done.err
    assert done.document["written"]
    picture = cv2.imread(str(file))
    assert picture is not None
    assert picture.shape[1] == 960
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 3


def test_on_a_full_disk_the_plot_of_before_stays(visaged: Shell, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    enrol_points(visaged, {"Ann": [0.0, 0.0], "Bea": [9.0, 0.0]})
    file = tmp_path / "distances.png"
    assert visaged("calibrate", "--plot", file).code == 0
    before = file.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # SQLite's shared memory beside the gallery is as large, also where nothing is written.
    resource.setrlimit(resource.RLIMIT_FSIZE, (min(1 << 15, len(before) - 1), hard))
    try:
        done = visaged("calibrate", "--dry-run", "--plot", file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert done.code == 2
    assert done.err.splitlines()[-1].endswith(f"{file}: can't be written: File too large")
    assert list(tmp_path.iterdir()) == [file]
    assert file.read_bytes() == before


def test_a_plot_that_cannot_be_made_is_refused_before_anything_is_written(
    enrolled: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file, told in ((tmp_path / "x.svg", ".png"), (tmp_path / "nowhere" / "x.png", "no folder")):
        done = enrolled("calibrate", "--plot", file)
        assert (done.code, told in done.err) == (2, True)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    done = enrolled("calibrate", "--plot", tmp_path / "x.png")
    assert (done.code, "uv sync --extra plots" in done.err) == (2, True)
    with gallery_of(enrolled) as gallery:
        assert gallery.thresholds() == []


@pytest.mark.parametrize("fmr", ["0", "1", "-0.1", "nan"])
def test_what_is_no_probability_is_refused_in_one_line(visaged: Shell, fmr: str) -> None:
    done = visaged("calibrate", "--fmr", fmr)
    assert done.code == 2
    assert "--fmr must be a probability" in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_an_empty_gallery_and_one_of_another_encoder_are_refused_in_one_line(visaged: Shell) -> None:
    assert visaged("calibrate").code == 2
    enrol_points(visaged, {"Ann": [0.0]}, model="sface-mtcnn-0123456789abcdef")
    done = visaged("calibrate")
    assert (done.code, "[encoder] asks for dlib-mtcnn" in done.err) == (2, True)
    visaged.configure('[encoder]\nname = "sface"\n')
    done = visaged("calibrate", "--json")
    assert (done.code, done.document["cap"]) == (0, 1.05)


def test_of_an_encoder_that_was_not_measured_no_threshold_is_made_up(visaged: Shell) -> None:
    enrol_points(visaged, {"Ann": [0.0]}, model="facenet-mtcnn-0123456789abcdef")
    visaged.configure('[encoder]\nname = "facenet"\n')
    done = visaged("calibrate")
    assert (done.code, "benchmarks.impostors" in done.err) == (2, True)


def test_a_running_daemons_gallery_is_calibrated_over_its_socket(visaged: Shell) -> None:
    enrol_points(visaged, {"Ann": [0.0, 0.0], "Bea": [9.0, 0.0]})
    state = visaged.folder / "state"
    facts = Facts("1.0", str(state / "gallery.db"), MODEL, str(state))
    live = Live(lambda camera: None, lambda track: None, dict)
    with ControlServer(state / "control.sock", facts, live):
        assert visaged("calibrate", "--fmr", "0.0001").code == 0
    with gallery_of(visaged) as gallery:
        assert [each.fmr for each in gallery.thresholds()] == [0.0001, 0.0001]
        assert gallery.index(MODEL).thresholds is not None


def test_no_net_is_loaded_to_calibrate(visaged: Shell) -> None:
    enrol_points(visaged, {"Ann": [0.0]})
    code = (
        "import sys; from daemon.cli.app import run_command_line as run; "
        f"assert run(['calibrate', '--config', {str(visaged.config)!r}]) == 0; "
        "print([name for name in ('torch', 'cv2', 'dlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
