"""Enrolment and identification with the real detector and encoder on real photographs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gallery import decision
from gallery.enrolment import Rules, enroll
from gallery.enrolment_plan import plan_folder, plan_person
from gallery.faces.engine import FaceEngine
from gallery.identification import identify
from gallery.store import Gallery
from tests.gallery.builders import ENROLLED_UNIX_NS

NEAR = decision.Rules(threshold=0.6, margin=0.0, hysteresis=0.0)


@pytest.fixture(scope="module")
def engine() -> FaceEngine:
    from gallery.faces.detector import MtcnnDetector
    from gallery.faces.encoder import DlibEncoder

    return FaceEngine(MtcnnDetector(device="cpu"), DlibEncoder(device="cpu"))


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with Gallery.open(tmp_path / "gallery.db") as opened:
        yield opened


@pytest.fixture
def fixtures(shared_data: Path) -> Path:
    return shared_data / "fixtures"


def test_people_enrolled_from_one_portrait_are_named_on_another(
    gallery: Gallery, engine: FaceEngine, fixtures: Path
) -> None:
    for name in ("obama", "biden"):
        plan = plan_person(name, [fixtures / "gallery" / f"{name}.jpg"])
        report = enroll(gallery, engine, plan, ENROLLED_UNIX_NS)
        assert (len(report.enrolled), report.refused) == (1, ())
    for name, other in (("obama", "biden"), ("biden", "obama")):
        found = identify(fixtures / "gallery" / f"{name}2.jpg", engine, gallery, NEAR)
        (face,) = found.faces
        assert face.person is not None
        assert face.person.name == name
        assert face.runner_up is not None
        assert face.runner_up.name == other
        assert face.distance is not None
        assert face.distance < 0.6 < face.runner_up.distance
        assert face.reasons == ()
    (stranger,) = identify(fixtures / "gallery" / "lin-manuel-miranda.png", engine, gallery, NEAR).faces
    assert stranger.person is None


def test_a_photograph_of_two_people_is_no_reference_unless_the_largest_is_asked_for(
    gallery: Gallery, engine: FaceEngine, fixtures: Path
) -> None:
    plan = plan_person("One of two", [fixtures / "stills" / "two_people.jpg"])
    (refused,) = enroll(gallery, engine, plan, ENROLLED_UNIX_NS).refused
    assert refused.reason == "several_faces"
    assert len(enroll(gallery, engine, plan, ENROLLED_UNIX_NS, Rules(largest=True)).enrolled) == 1


def test_a_folder_of_people_is_enrolled(
    gallery: Gallery, engine: FaceEngine, fixtures: Path, tmp_path: Path
) -> None:
    for name, images in {"Барак": ("obama.jpg", "obama2.jpg"), "Joe": ("biden.jpg", "biden2.jpg")}.items():
        (tmp_path / "people" / name).mkdir(parents=True)
        for image in images:
            shutil.copy(fixtures / "gallery" / image, tmp_path / "people" / name)
    report = enroll(gallery, engine, plan_folder(tmp_path / "people"), ENROLLED_UNIX_NS)
    assert report.refused == ()
    assert [(person.name, person.references) for person in gallery.people()] == [("Joe", 2), ("Барак", 2)]
