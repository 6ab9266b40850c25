"""Pictures of one face, taken together, are judged together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gallery.audit_limits import DLIB
from gallery.errors import NameRefused
from gallery.people import NewReference
from gallery.together import Judged, judge
from tests.gallery.test_audit import Vector, material, person_at, point
from tests.gallery.test_strict import hair, new

ANN, BOB = person_at(0), person_at(1)
GALLERY = material({"ann": ANN, "bob": BOB})


def near(centre: Vector, count: int = 3, apart: float = 0.3) -> list[NewReference]:
    return [new(centre + point((120 + i, apart / np.sqrt(2)))) for i in range(count)]


def codes(found: Judged) -> tuple[int, list[str]]:
    return len(found.taken), [code for _, (code, _) in found.refused]


def test_a_new_face_is_taken() -> None:
    assert codes(judge(GALLERY, "cem", near(point((50, 0.6))))) == (3, [])
    assert codes(judge(material({}), "cem", near(point((50, 0.6))))) == (3, [])


def test_more_of_somebody_who_is_enrolled_is_taken_but_for_what_is_no_face_or_there_already() -> None:
    again = new(ANN[1] + point((100, DLIB.duplicate / 2)))
    assert codes(judge(GALLERY, "ann", [*near(ANN[0]), new(hair()), again])) == (3, ["no_face", "duplicate"])


def test_somebody_elses_face_under_a_new_name_is_refused_whole() -> None:
    far = new(point((0, 0.6), (100, 0.55)))
    found = judge(GALLERY, "cem", [far, *near(ANN[0])])
    assert codes(found) == (0, ["same_person"] * 4)
    assert "ann" in found.refused[0][1][1]


def test_one_look_alike_picture_is_enough_to_refuse_a_new_name() -> None:
    ann = [ANN[0], point((0, 0.6), (90, 0.5)), point((0, 0.6), (91, 0.5))]
    pictures = [new(ANN[0] + point((120, 0.4))), new(point((0, 0.6), (120, 0.8)))]
    assert codes(judge(material({"ann": ann}), "cem", pictures)) == (0, ["look_alikes"] * 2)


def test_who_is_enrolled_and_nearer_to_another_is_refused_whole_from_half_of_the_pictures_on() -> None:
    between = [new(BOB[0] + point((0, 0.5), (120 + i, 0.25))) for i in range(2)]
    own = near(ANN[0])
    assert codes(judge(GALLERY, "ann", [*own[:2], *between])) == (0, ["nearer_to_other"] * 4)
    assert codes(judge(GALLERY, "ann", [*own, *between])) == (3, ["nearer_to_other"] * 2)


def test_a_face_unlike_the_one_picture_that_is_there_is_not_added_to_it() -> None:
    # Alone a picture is nobody's outlier, so that each of these would be taken for itself.
    one = material({"ann": ANN[:1]})
    assert codes(judge(one, "ann", near(point((50, 0.6))))) == (0, ["outlier"] * 3)


def test_what_was_set_aside_is_no_measure() -> None:
    one = material({"ann": ANN[:1]})
    aside = replace(one, references=(replace(one.references[0], set_aside="outlier"),))
    assert codes(judge(aside, "ann", near(point((50, 0.6))))) == (3, [])


def test_a_name_that_is_none_is_refused_and_nothing_has_no_findings() -> None:
    with pytest.raises(NameRefused):
        judge(GALLERY, "\n", near(ANN[0]))
    assert codes(judge(GALLERY, "ann", [])) == (0, [])


def test_of_an_encoder_that_nobody_measured_only_the_quality_is_judged() -> None:
    pictures = [replace(each, model="facenet-1") for each in near(ANN[0])]
    poor = replace(pictures[0], quality=0.1)
    assert codes(judge(GALLERY, "cem", [*pictures, poor])) == (3, ["low_quality"])
