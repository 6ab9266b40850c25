"""Who comes into the gallery from files and folders, and why an image does not."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from gallery.enrolment import EnrolmentReport, Rules, enroll
from gallery.enrolment_plan import Plan, plan_folder, plan_person
from gallery.errors import DuplicateImage, GalleryError, ModelMismatch, NameRefused
from gallery.people import NewReference, Person, PersonName
from gallery.store import Gallery
from tests.gallery.builders import ENROLLED_UNIX_NS, MODEL, reference
from tests.gallery.painted import DOUBTFUL, GREEN, RED, YELLOW, PaintedDetector, paint, painted_engine

FACE = (50, 30, 130, 130)
SMALL = (150, 10, 189, 60)
"""39 pixels wide."""


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with Gallery.open(tmp_path / "gallery.db") as opened:
        yield opened


def run(gallery: Gallery, plan: Plan, rules: Rules | None = None) -> EnrolmentReport:
    return enroll(gallery, painted_engine(), plan, ENROLLED_UNIX_NS, rules)


def reasons(report: EnrolmentReport) -> dict[str, str]:
    return {Path(refused.image).name: refused.reason for refused in report.refused}


def test_a_person_is_enrolled_from_images(gallery: Gallery, tmp_path: Path) -> None:
    images = [paint(tmp_path / "a.png", (FACE, RED)), paint(tmp_path / "b.png", (FACE, (201, 10, 10)))]
    report = run(gallery, plan_person("Ann", images))
    person = gallery.person("Ann")
    assert [(each.person, each.image) for each in report.enrolled] == [
        (PersonName(person.id, "Ann"), str(image)) for image in images
    ]
    assert report.refused == ()
    kept = gallery.references("Ann")
    assert [each.source_name for each in kept] == ["a.png", "b.png"]
    assert kept[0].encoding.tolist() == [np.float32(value / 255) for value in RED]
    assert {each.enrolled_unix_ns for each in kept} == {ENROLLED_UNIX_NS}
    assert all(0 <= each.quality <= 1 for each in kept)


def test_an_image_without_a_face_with_several_or_with_a_small_one_is_refused(
    gallery: Gallery, tmp_path: Path
) -> None:
    images = [
        paint(tmp_path / "none"),
        paint(tmp_path / "two", (FACE, RED), (SMALL, GREEN)),
        paint(tmp_path / "small", (SMALL, RED)),
        tmp_path / "missing",
    ]
    (tmp_path / "text").write_text("no picture")
    report = run(gallery, plan_person("Ann", [*images, tmp_path / "text"]))
    assert reasons(report) == {
        "none": "no_face",
        "two": "several_faces",
        "small": "face_too_small",
        "missing": "not_found",
        "text": "not_an_image",
    }
    assert [refused.image for refused in report.refused] == [
        str(path) for path in [*images, tmp_path / "text"]
    ]
    assert gallery.people() == []


def test_a_face_of_exactly_40_pixels_is_large_enough(gallery: Gallery, tmp_path: Path) -> None:
    report = run(gallery, plan_person("Ann", [paint(tmp_path / "a", ((10, 10, 50, 70), RED))]))
    assert len(report.enrolled) == 1


def test_the_largest_of_several_faces_is_taken_when_asked(gallery: Gallery, tmp_path: Path) -> None:
    image = paint(tmp_path / "two", (SMALL, GREEN), (FACE, RED))
    assert len(run(gallery, plan_person("Ann", [image]), Rules(largest=True)).enrolled) == 1
    assert gallery.references("Ann")[0].encoding.tolist() == [np.float32(value / 255) for value in RED]


def test_even_the_largest_face_may_be_too_small(gallery: Gallery, tmp_path: Path) -> None:
    image = paint(tmp_path / "two", (SMALL, GREEN), ((0, 0, 30, 30), RED))
    assert reasons(run(gallery, plan_person("Ann", [image]), Rules(largest=True))) == {
        "two": "face_too_small"
    }


def test_what_the_detector_doubts_beside_a_sure_face_is_no_second_face(
    gallery: Gallery, tmp_path: Path
) -> None:
    image = paint(tmp_path / "a", (SMALL, DOUBTFUL), (FACE, RED))
    assert len(run(gallery, plan_person("Ann", [image])).enrolled) == 1
    assert gallery.references("Ann")[0].encoding.tolist() == [np.float32(value / 255) for value in RED]


def test_a_doubtful_face_that_is_the_only_one_is_taken(gallery: Gallery, tmp_path: Path) -> None:
    report = run(gallery, plan_person("Ann", [paint(tmp_path / "a", (FACE, DOUBTFUL))]))
    assert len(report.enrolled) == 1


def test_the_same_image_is_taken_once(gallery: Gallery, tmp_path: Path) -> None:
    image = paint(tmp_path / "a", (FACE, RED))
    copy = tmp_path / "copy"
    copy.write_bytes(image.read_bytes())
    first = run(gallery, plan_person("Ann", [image, copy, image]))
    assert len(first.enrolled) == 1
    assert [refused.reason for refused in first.refused] == ["duplicate_image"] * 2
    again = run(gallery, plan_person("Bea", [copy]))
    assert again.enrolled == ()
    assert reasons(again) == {"copy": "duplicate_image"}
    assert "Ann" in again.refused[0].detail


def test_a_name_that_is_none_is_refused_before_anything_is_opened(tmp_path: Path) -> None:
    with pytest.raises(NameRefused):
        plan_person("  ", [tmp_path / "a"])


def test_a_gallery_of_another_model_is_refused_before_anything_is_opened(
    gallery: Gallery, tmp_path: Path
) -> None:
    gallery.add("Ann", [reference("a.jpg", [0.0, 0.0, 0.0])], ENROLLED_UNIX_NS)
    told: list[str] = []
    with pytest.raises(ModelMismatch, match="sface"):
        enroll(
            gallery,
            painted_engine("sface-1"),
            plan_person("Bea", [paint(tmp_path / "b", (FACE, RED))]),
            ENROLLED_UNIX_NS,
            progress=told.append,
        )
    assert told == []


def test_a_folder_of_people_enrols_each_under_the_folders_name(gallery: Gallery, tmp_path: Path) -> None:
    people = tmp_path / "people"
    paint(people / "Ann Lee" / "1.png", (FACE, RED))
    paint(people / "Ann Lee" / "2.png", (FACE, (210, 10, 10)))
    paint(people / "김연아" / "x", (FACE, GREEN))
    paint(people / "Jose\u0301" / "y", (FACE, YELLOW))
    paint(people / "Ann Lee" / ".hidden.png", (FACE, (220, 10, 10)))
    paint(people / ".trash" / "z", (FACE, (230, 10, 10)))
    (people / ".DS_Store").write_bytes(b"x")
    plan = plan_folder(people)
    assert plan.image_count == 4
    report = run(gallery, plan)
    assert report.refused == ()
    assert [(each.person.name, Path(each.image).name) for each in report.enrolled] == [
        ("Ann Lee", "1.png"),
        ("Ann Lee", "2.png"),
        ("Jos\u00e9", "y"),
        ("김연아", "x"),
    ]
    assert [(person.name, person.references) for person in gallery.people()] == [
        ("Ann Lee", 2),
        ("Jos\u00e9", 1),
        ("김연아", 1),
    ]


def test_what_is_nobodys_image_in_a_folder_of_people_is_told(gallery: Gallery, tmp_path: Path) -> None:
    people = tmp_path / "people"
    paint(people / "stray.png", (FACE, RED))
    (people / "Nobody").mkdir()
    (people / "a\nb").mkdir()
    (people / "Ann" / "deeper").mkdir(parents=True)
    paint(people / "Ann" / "1.png", (FACE, GREEN))
    report = run(gallery, plan_folder(people))
    assert reasons(report) == {
        "stray.png": "stray_file",
        "Nobody": "empty_folder",
        "a\nb": "bad_name",
        "deeper": "not_a_file",
    }
    assert [each.person.name for each in report.enrolled] == ["Ann"]


def test_a_folder_without_anybody_is_told(gallery: Gallery, tmp_path: Path) -> None:
    people = tmp_path / "people"
    people.mkdir()
    (people / ".hidden").touch()
    report = run(gallery, plan_folder(people))
    assert report.enrolled == ()
    assert [(each.image, each.reason) for each in report.refused] == [(str(people), "empty_folder")]


def test_two_folders_whose_names_are_one_in_unicode_are_one_person(gallery: Gallery, tmp_path: Path) -> None:
    paint(tmp_path / "people" / "Jose\u0301" / "a", (FACE, RED))
    paint(tmp_path / "people" / "Jos\u00e9" / "b", (FACE, (210, 10, 10)))
    if len(list((tmp_path / "people").iterdir())) == 1:
        pytest.skip("this file system takes both names for one")
    report = run(gallery, plan_folder(tmp_path / "people"))
    assert len({each.person.id for each in report.enrolled}) == 1
    assert gallery.person("Jos\u00e9").references == 2


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    for name in ("missing", "file"):
        with pytest.raises(GalleryError, match=name):
            plan_folder(tmp_path / name)


def test_names_on_disk_that_are_no_text_are_told_as_text(gallery: Gallery, tmp_path: Path) -> None:
    (tmp_path / "people" / "Ann").mkdir(parents=True)
    try:
        image = paint(tmp_path / "people" / "Ann" / os.fsdecode(b"\xff\x1b.png"), (FACE, RED))
        (tmp_path / "people" / os.fsdecode(b"\xfe")).mkdir()
    except OSError:
        pytest.skip("this file system takes only names in UTF-8")
    report = run(gallery, plan_folder(tmp_path / "people"))
    assert [each.image for each in report.enrolled] == [str(image).replace("\udcff", "\\udcff")]
    assert [refused.reason for refused in report.refused] == ["bad_name"]
    assert gallery.references("Ann")[0].source_name == "\\udcff\\x1b.png"


def test_progress_is_told_an_image_at_a_time_whatever_becomes_of_it(gallery: Gallery, tmp_path: Path) -> None:
    images = [paint(tmp_path / "a", (FACE, RED)), tmp_path / "missing", paint(tmp_path / "none")]
    told: list[str] = []
    enroll(gallery, painted_engine(), plan_person("Ann", images), ENROLLED_UNIX_NS, progress=told.append)
    assert told == [str(image) for image in images]


def test_images_are_analysed_together_across_people_but_only_so_many_at_once(
    gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gallery.enrolment.BATCH_IMAGES", 4)
    monkeypatch.setattr("gallery.enrolment.BATCH_PIXELS", 3 * 200 * 160)
    people = tmp_path / "people"
    for i in range(7):
        paint(people / f"person {i}" / "1.png", (FACE, (100 + i, 10, 10)))
    (people / "person 3" / "0.txt").write_text("none")
    paint(people / "wide" / "1.png", (FACE, GREEN), size=(2000, 1600))
    engine = painted_engine()
    report = enroll(gallery, engine, plan_folder(people), ENROLLED_UNIX_NS)
    assert len(report.enrolled) == 8
    assert isinstance(engine.detector, PaintedDetector)
    assert engine.detector.batches == [3, 3, 1, 1]


class LateDuplicate:
    """A store in which somebody else enrols an image between our question and our adding."""

    model: str | None = MODEL

    def __init__(self) -> None:
        self.taken: str | None = None
        self.added: list[str] = []

    def owner(self, source_digest: str) -> PersonName | None:
        self.taken = self.taken or source_digest
        return None

    def add(self, name: str, references: Sequence[NewReference], enrolled_unix_ns: int) -> Person:
        digests = [each.source_digest for each in references]
        if self.taken in digests:
            raise DuplicateImage(self.taken or "", "Zoe")
        self.added += digests
        return Person("id", name, len(digests), enrolled_unix_ns, enrolled_unix_ns)


def test_an_image_that_somebody_enrolled_meanwhile_is_refused_and_the_others_are_taken(
    tmp_path: Path,
) -> None:
    images = [paint(tmp_path / "a", (FACE, RED)), paint(tmp_path / "b", (FACE, GREEN))]
    store = LateDuplicate()
    report = enroll(store, painted_engine(), plan_person("Ann", images), ENROLLED_UNIX_NS)
    assert [Path(each.image).name for each in report.enrolled] == ["b"]
    assert reasons(report) == {"a": "duplicate_image"}
    alone = enroll(store, painted_engine(), plan_person("Ann", images[:1]), ENROLLED_UNIX_NS)
    assert (alone.enrolled, len(alone.refused)) == ((), 1)


ENROLLING = """
import sys
from pathlib import Path
from gallery.enrolment import enroll
from gallery.enrolment_plan import plan_folder
from gallery.store import Gallery
from tests.gallery.painted import painted_engine
with Gallery.open(Path(sys.argv[1])) as gallery:
    print("open", flush=True)
    enroll(gallery, painted_engine(), plan_folder(Path(sys.argv[2])), 1)
"""


def test_a_kill_in_the_middle_leaves_whole_people_and_the_rest_can_follow(tmp_path: Path) -> None:
    people = tmp_path / "people"
    for i in range(40):
        for j in range(3):
            paint(people / f"person {i:02}" / f"{j}.png", (FACE, (100 + i, 10 + j, 10)), size=(400, 300))
    path = tmp_path / "gallery.db"
    draw = random.Random(2)
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", ENROLLING, str(path), str(people)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        time.sleep(draw.uniform(0.1, 0.6))
        process.kill()
        process.wait(30)
        process.stdout.close()
        with Gallery.open(path, create=False) as gallery:
            assert {person.references for person in gallery.people()} <= {3}
    with Gallery.open(path) as gallery:
        run(gallery, plan_folder(people))
        assert [person.references for person in gallery.people()] == [3] * 40
