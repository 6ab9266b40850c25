"""A gallery of photographs with seven planted faults: audited to exactly these, mended, and brought back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from gallery import care
from gallery.audit import audit
from gallery.enrolment import Rules, enroll
from gallery.enrolment_plan import plan_folder
from gallery.faces.engine import FaceEngine
from gallery.people import NewReference
from gallery.store import Gallery
from gallery.strict import Strict
from tests.gallery.builders import ENROLLED_UNIX_NS
from tests.gallery.test_care import content

PEOPLE = ("Amelie_Mauresmo", "Ian_Thorpe", "Jacques_Chirac", "Alvaro_Uribe", "Tom_Cruise")
TWICE = "Donald_Rumsfeld"
STRANGER = "John_Bolton"
EACH = 4


@pytest.fixture(scope="module")
def engine() -> FaceEngine:
    from gallery.faces.detector import MtcnnDetector
    from gallery.faces.encoder import DlibEncoder

    return FaceEngine(MtcnnDetector(device="cpu"), DlibEncoder(device="cpu"))


@pytest.fixture(scope="module")
def images(shared_data: Path) -> Path:
    return shared_data / "lfw-view1" / "images"


def photograph(images: Path, name: str, number: int) -> Path:
    return sorted((images / name).iterdir())[number]


def lay_out(images: Path, folder: Path) -> None:
    """The folder of a careless person: five of the seven faults."""
    for name in PEOPLE:
        (folder / name).mkdir(parents=True)
        for number in range(EACH):
            shutil.copy(photograph(images, name, number), folder / name)
    for name, numbers in (("Don", (0, 1, 2)), ("Donald", (3, 4, 5))):
        (folder / name).mkdir()
        for number in numbers:
            shutil.copy(photograph(images, TWICE, number), folder / name)
    shutil.copy(photograph(images, "Jacques_Chirac", EACH), folder / "Ian_Thorpe" / "swapped.jpg")
    shutil.copy(photograph(images, STRANGER, 0), folder / "Amelie_Mauresmo" / "outlier.jpg")
    first = cv2.imread(str(photograph(images, "Tom_Cruise", 0)))
    cv2.imwrite(
        str(folder / "Tom_Cruise" / "duplicate.jpg"), np.asarray(first), [cv2.IMWRITE_JPEG_QUALITY, 60]
    )
    fifth = cv2.imread(str(photograph(images, "Alvaro_Uribe", EACH)))
    cv2.imwrite(str(folder / "Alvaro_Uribe" / "blurred.png"), cv2.GaussianBlur(np.asarray(fifth), (0, 0), 4))


def back_of_a_head(images: Path, engine: FaceEngine) -> NewReference:
    """What older tools enrolled: the hair above a face, taken for one."""
    bgr = np.asarray(cv2.imread(str(photograph(images, "Jacques_Chirac", 5))), np.uint8)
    (analysis,) = engine.analyse([bgr])
    faces = analysis.faces.take([0])
    up = np.array([0, 0.7 * float(faces.boxes[0, 2] - faces.boxes[0, 0])], np.float32)
    hair = replace(faces, landmarks=faces.landmarks - up, boxes=faces.boxes - np.tile(up, 2))
    from gallery.faces.encoder import DlibEncoder

    (row,) = DlibEncoder(device="cpu").encode_many([bgr], [hair])
    return NewReference(row[0], engine.model, "f" * 64, "back.jpg", 0.8)


@pytest.fixture(scope="module")
def gallery(engine: FaceEngine, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    folder = tmp_path_factory.mktemp("people")
    lay_out(images, folder / "people")
    with Gallery.open(folder / "gallery.db") as opened:
        report = enroll(opened, engine, plan_folder(folder / "people"), ENROLLED_UNIX_NS, Rules(largest=True))
        assert report.refused == ()
        opened.add("Jacques_Chirac", [back_of_a_head(images, engine)], ENROLLED_UNIX_NS)
        old = NewReference(np.ones(128, np.float32), engine.model, "e" * 64, "old.jpg", 0.8)
        opened.add("Alvaro_Uribe", [old], ENROLLED_UNIX_NS)
        opened.connection.execute(
            """UPDATE encoding SET model = 'dlib-mtcnn-of-old'
               WHERE reference_id = (SELECT id FROM reference WHERE source_name = 'old.jpg')"""
        )
        yield opened


def test_the_seven_planted_faults_are_found_and_nothing_else(gallery: Gallery) -> None:
    found = audit(care.material(gallery))
    told = [
        (each.code, *(person.name for person in each.people), *(one.image for one in each.references[:1]))
        for each in found.findings
        if each.code not in ("same_person", "duplicate")
    ]
    assert told == [
        ("no_face", "Jacques_Chirac", "back.jpg"),
        ("nearer_to_other", "Ian_Thorpe", "Jacques_Chirac", "swapped.jpg"),
        ("old_model", "Alvaro_Uribe", "old.jpg"),
        ("low_quality", "Alvaro_Uribe", "blurred.png"),
        ("outlier", "Amelie_Mauresmo", "outlier.jpg"),
    ]
    (twins,) = (each for each in found.findings if each.code == "same_person")
    assert {person.name for person in twins.people} == {"Don", "Donald"}
    # Which of the two is the better one is for their qualities to say.
    (doubled,) = (each for each in found.findings if each.code == "duplicate")
    assert {one.image for one in doubled.references} == {"Tom_Cruise_0001.jpg", "duplicate.jpg"}
    assert len(found.findings) == 7


def test_what_a_fix_sets_aside_is_audited_clean_and_reinstating_brings_it_back(gallery: Gallery) -> None:
    before = content(gallery)
    found = audit(care.material(gallery))
    codes = {reference: each.code for each in found.findings for reference in each.set_aside}
    assert care.set_aside(gallery, codes) == 6
    assert content(gallery) != before
    assert [each.code for each in audit(care.material(gallery)).findings] == ["same_person"]
    care.reinstate(gallery, list(codes))
    assert content(gallery) == before
    assert audit(care.material(gallery)) == found


def test_strict_enrolment_takes_the_sound_pictures_and_refuses_the_faults(
    engine: FaceEngine, images: Path, tmp_path: Path
) -> None:
    lay_out(images, tmp_path / "people")
    with Gallery.open(tmp_path / "gallery.db") as opened:
        report = enroll(
            opened,
            engine,
            plan_folder(tmp_path / "people"),
            ENROLLED_UNIX_NS,
            Rules(largest=True),
            strict=Strict(care.material(opened)),
        )
        refused = {Path(each.image).name: each.reason for each in report.refused}
        assert {name: reason for name, reason in refused.items() if "_0" not in name} == {
            "swapped.jpg": "outlier",
            "outlier.jpg": "outlier",
            "duplicate.jpg": "duplicate",
            "blurred.png": "low_quality",
        }
        # Whoever comes second under another name is refused whole.
        assert [name for name in refused if "_0" in name] == [
            photograph(images, TWICE, number).name for number in (3, 4, 5)
        ]
        assert not {each.code for each in audit(care.material(opened)).findings}
