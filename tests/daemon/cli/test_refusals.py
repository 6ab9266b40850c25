"""Why pictures were not enrolled is said once for all of which the same is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from daemon.cli.life import tell
from daemon.cli.refusals import refusals
from gallery.enrolment import EnrolmentReport
from gallery.enrolment_plan import Refused
from tests.conftest import REPOSITORY
from tests.daemon.cli.conftest import Shell

OBAMA = REPOSITORY / "samples" / "barack-obama.jpg"


def samples(*numbers: float) -> list[Refused]:
    return [
        Refused(f"stranger e2d1c0b9, {place}", "look_alikes", f"{number:.3f} from Joe 2: one may be named")
        for place, number in enumerate(numbers, 1)
    ]


def test_samples_of_one_face_are_counted_and_their_numbers_go_from_the_least_to_the_most() -> None:
    assert list(refusals(samples(0.51, 0.492, 0.6), "stranger e2d1c0b9")) == [
        "refused 3 samples of stranger e2d1c0b9: look_alikes: 0.492 to 0.600 from Joe 2: one may be named"
    ]


def test_what_is_different_is_said_of_each_and_one_alone_keeps_its_name() -> None:
    other = Refused("stranger e2d1c0b9, 9", "look_alikes", "0.510 from Ann: one may be named")
    poor = Refused("stranger e2d1c0b9, 10", "low_quality", "quality 0.10, below 0.3: small")
    assert list(refusals([*samples(0.5, 0.5), other, poor], "stranger e2d1c0b9")) == [
        "refused 2 samples of stranger e2d1c0b9: look_alikes: 0.500 from Joe 2: one may be named",
        "refused stranger e2d1c0b9, 9: look_alikes: 0.510 from Ann: one may be named",
        "refused stranger e2d1c0b9, 10: low_quality: quality 0.10, below 0.3: small",
    ]
    assert list(refusals([])) == []


def test_a_stranger_who_is_refused_gets_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    tell(EnrolmentReport((), tuple(samples(0.5, 0.5, 0.5, 0.5))))
    told = capsys.readouterr()
    assert told.err == (
        "refused 4 samples of stranger e2d1c0b9: look_alikes: 0.500 from Joe 2: one may be named\n"
    )
    assert told.out == "enrolled 0, refused 4\n"


def test_strict_says_what_is_wrong_once_and_names_each_image(visaged: Shell, tmp_path: Path) -> None:
    assert visaged("enroll", "Barack", OBAMA).code == 0
    copies = [tmp_path / "first.jpg", tmp_path / "second.jpg"]
    with Image.open(OBAMA) as opened:
        for copy, quality in zip(copies, (95, 60), strict=True):
            opened.save(copy, quality=quality)
    done = visaged("enroll", "Somebody", *copies, "--strict")
    assert done.code == 1
    head, *names = done.err.splitlines()[-3:]
    assert head.startswith("refused 2 images: same_person: 0.")
    assert head.endswith(" from Barack (median): one person under two names, or twins")
    assert names == [f"  {copy}" for copy in copies]
    assert len([line for line in done.err.splitlines() if "same_person" in line]) == 1
    # Programs get each as before.
    rows = visaged("enroll", "Somebody", *copies, "--strict", "--json").document["refused"]
    assert [row["image"] for row in rows] == [str(copy) for copy in copies]
