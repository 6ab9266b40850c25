"""What an audit finds in small galleries of made-up encodings, and what it leaves in peace."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gallery import centres
from gallery.audit import audit, steps
from gallery.audit_findings import Audit, AuditedReference, Material
from gallery.audit_limits import DLIB, LOWEST_QUALITY, SFACE, limits_for
from gallery.people import PersonName

MODEL = "dlib-mtcnn-0123456789abcdef"
GOOD = 0.9
Vector = NDArray[np.float32]


def person_at(axis: int, count: int = 3, spread: float = 0.3) -> list[Vector]:
    """References far from other axes' (0.85), of which any two are `spread` apart."""
    return [point((axis, 0.6), (64 + 8 * axis + i, spread / np.sqrt(2))) for i in range(count)]


def point(*places: tuple[int, float]) -> Vector:
    found = np.zeros(128, np.float32)
    for axis, value in places:
        found[axis] = value
    return found


def material(people: dict[str, list[Vector]], qualities: dict[int, float] | None = None) -> Material:
    """References are numbered through; those of `qualities` are not good."""
    owners = [place for place, rows in enumerate(people.values()) for _ in rows]
    rows = [row for own in people.values() for row in own]
    return Material(
        MODEL,
        tuple(PersonName(f"id-of-{name}", name) for name in people),
        tuple(
            AuditedReference(str(i), owner, f"{i}.jpg", (qualities or {}).get(i, GOOD), None)
            for i, owner in enumerate(owners)
        ),
        np.array(rows, np.float32).reshape(len(rows), 128),
        (),
    )


def told(found: Audit) -> list[tuple[str, list[str], list[str]]]:
    return [
        (each.code, [person.name for person in each.people], [reference.id for reference in each.references])
        for each in found.findings
    ]


def test_a_sound_gallery_has_no_findings_and_an_empty_one_neither() -> None:
    assert told(audit(material({"ann": person_at(0), "bob": person_at(1)}))) == []
    assert told(audit(material({}))) == []


def test_a_picture_of_somebody_else_is_found_and_the_others_own_pictures_are_not() -> None:
    # Nearer to both of bob's than they are to each other.
    bob = person_at(1, spread=0.5)
    between = np.asarray(np.mean(bob, axis=0), np.float32)
    found = audit(material({"ann": [*person_at(0), between], "bob": bob}))
    ((code, people, references),) = told(found)
    assert (code, people, references[0]) == ("nearer_to_other", ["ann", "bob"], "3")
    (finding,) = found.findings
    assert finding.set_aside == ("3",)
    assert finding.severity == "error"
    assert "bob" in finding.explanation
    assert finding.distance is not None
    assert finding.distance < DLIB.other


def test_a_face_unlike_its_own_is_an_outlier_and_at_the_limit_it_is_not() -> None:
    ann = person_at(0, 3, spread=0.0)
    at_the_limit = point((0, 0.6), (100, DLIB.outlier))
    beyond = point((0, 0.6), (100, DLIB.outlier + 0.01))
    distinct = [ann[0] + point((90 + i, 0.2)) for i in range(3)]
    near = material({"ann": [ann[0], *distinct, at_the_limit]})
    far = material({"ann": [ann[0], *distinct, beyond]})
    assert [code for code, _, _ in told(audit(near)) if code == "outlier"] == []
    assert ("outlier", ["ann"], ["4"]) in told(audit(far))


def test_where_no_two_are_alike_nobody_can_say_which_is_wrong_and_nothing_is_set_aside() -> None:
    found = audit(material({"ann": [point((i, 0.6)) for i in range(3)]}))
    assert told(found) == [("outlier", ["ann"], ["0", "1", "2"])]
    assert found.findings[0].set_aside == ()


def test_of_one_picture_saved_twice_the_better_stays() -> None:
    ann = person_at(0)
    again = ann[1] + point((120, DLIB.duplicate - 0.001))
    assert told(audit(material({"ann": [*ann, again]}))) == [("duplicate", ["ann"], ["3", "1"])]
    found = audit(material({"ann": [*ann, again]}, {1: GOOD - 0.1}))
    assert found.findings[0].set_aside == ("1",)
    other = ann[1] + point((120, DLIB.duplicate + 0.001))
    assert told(audit(material({"ann": [*ann, other]}))) == []


def test_one_person_under_two_names_is_one_finding_and_no_reference_is_blamed() -> None:
    one, two = person_at(0, 6, spread=0.45)[:3], person_at(0, 6, spread=0.45)[3:]
    found = audit(material({"ann": one, "anna": two, "bob": person_at(1)}))
    assert [(code, people) for code, people, _ in told(found)] == [("same_person", ["ann", "anna"])]
    assert "visaged merge anna ann" in found.findings[0].remedy
    assert found.findings[0].set_aside == ()


def test_people_with_two_near_pictures_are_look_alikes() -> None:
    ann, bob = person_at(0), person_at(1)
    # Of each a picture that leans to the other: 0.45 apart, and 0.22 from the nearest own.
    ann.append(ann[0] + (bob[0] - ann[0]) * 0.25)
    bob.append(bob[0] + (ann[0] - bob[0]) * 0.25)
    found = [(code, people) for code, people, _ in told(audit(material({"ann": ann, "bob": bob})))]
    assert found == [("look_alikes", ["ann", "bob"])]


def test_what_lies_where_no_face_does_is_found_and_is_no_measure_for_others() -> None:
    centre = centres.bundled(MODEL)
    assert centre is not None
    hair = (centre * 0.99).astype(np.float32)
    found = audit(material({"ann": [*person_at(0), hair], "bob": person_at(1)}))
    assert told(found) == [("no_face", ["ann"], ["3"])]


def test_poor_pictures_are_set_aside_but_never_the_last() -> None:
    poor = LOWEST_QUALITY - 0.01
    found = audit(material({"ann": person_at(0, 2)}, {0: poor, 1: poor}))
    assert [(each.code, each.set_aside) for each in found.findings] == [
        ("low_quality", ("0",)),
        ("low_quality", ()),
        ("few_references", ()),
    ]
    assert told(audit(material({"ann": person_at(0)}, {0: LOWEST_QUALITY}))) == []


def test_who_has_less_than_three_references_is_told_of() -> None:
    assert told(audit(material({"ann": person_at(0, 2)}))) == [("few_references", ["ann"], [])]


def test_with_an_encoder_that_was_not_measured_distances_are_not_looked_at() -> None:
    from dataclasses import replace

    unmeasured = replace(
        material({"ann": [point((0, 1)), point((1, 1)), point((2, 1))]}), model="facenet-mtcnn-0"
    )
    found = audit(unmeasured)
    assert (told(found), found.measured, steps(unmeasured)) == ([], False, 0)


def test_progress_is_told_as_often_as_was_said() -> None:
    everybody = material({str(i): person_at(0, 3) for i in range(200)})
    ticks: list[object] = []
    audit(everybody, ticks.append)
    assert len(ticks) == steps(everybody) == 3


def test_the_encoders_limits_are_in_an_order_that_makes_sense() -> None:
    for limits in (DLIB, SFACE):
        assert limits.duplicate < limits.same_person <= limits.look_alikes <= limits.outlier
    assert limits_for("sface-mtcnn-1") is SFACE
