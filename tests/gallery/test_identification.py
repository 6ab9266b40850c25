"""Who is on an image."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from gallery.decision import Rules
from gallery.enrolment import enroll
from gallery.enrolment_plan import plan_person
from gallery.errors import ModelMismatch
from gallery.identification import IdentifiedImage, identify
from gallery.matcher import RunnerUp
from gallery.people import PersonName
from gallery.store import Gallery
from tests.gallery.builders import ENROLLED_UNIX_NS
from tests.gallery.painted import DOUBTFUL, GREEN, RED, YELLOW, paint, painted_engine


def within(threshold: float) -> Rules:
    """Nothing but a threshold."""
    return Rules(threshold, margin=0.0, hysteresis=0.0)


LEFT, RIGHT = (10, 20, 80, 120), (110, 20, 180, 120)


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with Gallery.open(tmp_path / "gallery.db") as opened:
        yield opened


def enrol(gallery: Gallery, name: str, image: Path) -> PersonName:
    enroll(gallery, painted_engine(), plan_person(name, [image]), ENROLLED_UNIX_NS)
    return PersonName(gallery.person(name).id, name)


def test_everybody_on_an_image_is_told_from_left_to_right(gallery: Gallery, tmp_path: Path) -> None:
    red = enrol(gallery, "Red", paint(tmp_path / "red", (LEFT, RED)))
    green = enrol(gallery, "Green", paint(tmp_path / "green", (LEFT, GREEN)))
    image = paint(tmp_path / "both", (RIGHT, RED), (LEFT, YELLOW))
    found = identify(image, painted_engine(), gallery, within(0.1))
    assert (found.image, found.error, found.detail) == (str(image), None, None)
    left, right = found.faces
    assert left.box == (10.0, 20.0, 80.0, 120.0)
    assert left.landmarks[0] == (31.0, 60.0)
    assert (left.person, left.threshold) == (None, 0.1)
    assert (right.person, right.distance) == (red, 0.0)
    # (200, 10, 10) against (10, 200, 10), of 255.
    assert right.runner_up == RunnerUp(green.id, "Green", 1.053728)
    assert left.runner_up is not None


def test_a_face_exactly_at_the_threshold_is_named(gallery: Gallery, tmp_path: Path) -> None:
    enrol(gallery, "Black", paint(tmp_path / "a", (LEFT, (0, 0, 51))))
    image = paint(tmp_path / "b", (LEFT, (0, 0, 102)))
    for threshold, named in ((0.2, True), (0.199999, False)):
        (face,) = identify(image, painted_engine(), gallery, within(threshold)).faces
        assert (face.distance, face.person is not None) == (0.2, named)


def test_one_person_is_named_once_on_an_image_and_only_where_nobody_else_is_as_near(
    gallery: Gallery, tmp_path: Path
) -> None:
    enrol(gallery, "Black", paint(tmp_path / "a", (LEFT, (0, 0, 51))))
    enrol(gallery, "Grey", paint(tmp_path / "b", (LEFT, (0, 0, 204))))
    twice = paint(tmp_path / "c", (LEFT, (0, 0, 77)), (RIGHT, (0, 0, 51)))
    left, right = identify(twice, painted_engine(), gallery, within(0.4)).faces
    assert (left.person, left.why, right.person and right.person.name) == (None, "taken", "Black")
    between = paint(tmp_path / "d", (LEFT, (0, 0, 115)))
    (face,) = identify(between, painted_engine(), gallery, Rules(0.4, margin=0.2, hysteresis=0.0)).faces
    assert (face.person, face.why, face.runner_up and face.runner_up.name) == (None, "close_call", "Grey")


def test_a_threshold_of_ones_own_is_applied_and_told(gallery: Gallery, tmp_path: Path) -> None:
    black = enrol(gallery, "Black", paint(tmp_path / "a", (LEFT, (0, 0, 51))))
    gallery.set_thresholds(
        {black.id: 0.1}, model=painted_engine().model, fmr=0.01, calibrated_unix_ns=ENROLLED_UNIX_NS
    )
    (face,) = identify(
        paint(tmp_path / "b", (LEFT, (0, 0, 102))), painted_engine(), gallery, within(0.5)
    ).faces
    assert (face.person, face.distance, face.threshold) == (None, 0.2, 0.1)


def test_an_empty_gallery_names_nobody(gallery: Gallery, tmp_path: Path) -> None:
    (face,) = identify(paint(tmp_path / "a", (LEFT, RED)), painted_engine(), gallery, within(9.0)).faces
    assert (face.person, face.distance, face.runner_up) == (None, None, None)


def test_a_face_unfit_to_decide_by_is_decided_and_carries_its_reasons(
    gallery: Gallery, tmp_path: Path
) -> None:
    enrol(gallery, "Dim", paint(tmp_path / "a", (LEFT, DOUBTFUL)))
    (face,) = identify(paint(tmp_path / "b", (RIGHT, DOUBTFUL)), painted_engine(), gallery, within(0.1)).faces
    assert face.person is not None
    assert "low_confidence" in face.reasons


def test_an_image_without_a_face_is_no_error(gallery: Gallery, tmp_path: Path) -> None:
    image = paint(tmp_path / "a")
    assert identify(image, painted_engine(), gallery, within(0.6)) == IdentifiedImage(
        str(image), None, None, ()
    )


def test_an_image_that_cannot_be_opened_is_told_with_its_reason(gallery: Gallery, tmp_path: Path) -> None:
    found = identify(tmp_path / "missing", painted_engine(), gallery, within(0.6))
    assert (found.image, found.error, found.faces) == (str(tmp_path / "missing"), "not_found", ())
    assert found.detail


def test_a_gallery_of_another_model_is_not_compared(gallery: Gallery, tmp_path: Path) -> None:
    enrol(gallery, "Red", paint(tmp_path / "a", (LEFT, RED)))
    with pytest.raises(ModelMismatch):
        identify(tmp_path / "a", painted_engine("sface-1"), gallery, within(0.6))


def test_who_is_enrolled_between_two_images_is_known_on_the_second(gallery: Gallery, tmp_path: Path) -> None:
    image = paint(tmp_path / "a", (LEFT, RED))
    engine = painted_engine()
    assert identify(image, engine, gallery, within(0.1)).faces[0].person is None
    with Gallery.open(gallery.path) as other:
        red = enrol(other, "Red", image)
    assert identify(image, engine, gallery, within(0.1)).faces[0].person == red


def test_what_is_told_can_be_written_as_json(gallery: Gallery, tmp_path: Path) -> None:
    enrol(gallery, "Red", paint(tmp_path / "a", (LEFT, RED)))
    found = identify(paint(tmp_path / "b", (RIGHT, RED)), painted_engine(), gallery, within(0.1))
    told = json.loads(json.dumps(asdict(found)))
    assert list(told["faces"][0]) == [
        "box",
        "landmarks",
        "score",
        "person",
        "distance",
        "threshold",
        "runner_up",
        "reasons",
        "why",
    ]
