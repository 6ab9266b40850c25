"""Strict enrolment: what an audit would find is refused, with the same code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gallery import centres
from gallery.audit_limits import DLIB, LOWEST_QUALITY
from gallery.enrolment import enroll
from gallery.enrolment_plan import plan_person
from gallery.people import NewReference
from gallery.store import Gallery
from gallery.strict import Strict
from tests.gallery.builders import ENROLLED_UNIX_NS
from tests.gallery.painted import RED, paint, painted_engine
from tests.gallery.test_audit import GOOD, MODEL, Vector, material, person_at, point


def new(encoding: Vector, quality: float = GOOD) -> NewReference:
    return NewReference(encoding, MODEL, "0" * 64, "new.jpg", quality)


ANN, BOB = person_at(0), person_at(1)


def hair() -> Vector:
    centre = centres.bundled(MODEL)
    assert centre is not None
    return centre.astype(np.float32)


@pytest.mark.parametrize(
    ("name", "reference", "code"),
    [
        ("ann", new(ANN[0] + point((120, DLIB.duplicate + 0.01))), None),
        ("ann", new(ANN[0] + point((120, DLIB.duplicate - 0.01))), "duplicate"),
        ("ann", new(BOB[0] + point((120, 0.3))), "nearer_to_other"),
        ("ann", new(point((50, 0.6))), "outlier"),
        ("ann", new(hair()), "no_face"),
        ("ann", new(ANN[0] + point((120, 0.3)), LOWEST_QUALITY - 0.01), "low_quality"),
        ("anna", new(ANN[0] + point((120, 0.3))), "same_person"),
        ("cem", new(ANN[0] + point((120, 0.4))), "look_alikes"),
        ("cem", new(point((50, 0.6))), None),
    ],
)
def test_each_finding_refuses(name: str, reference: NewReference, code: str | None) -> None:
    # look_alikes: near to one of ann's references and far from the others.
    ann = ANN if code != "look_alikes" else [ANN[0], point((0, 0.6), (90, 0.5)), point((0, 0.6), (91, 0.5))]
    found = Strict(material({"ann": ann, "bob": BOB})).judge(name, reference)
    assert (found and found[0]) == code


def test_each_reference_is_judged_beside_those_before_it() -> None:
    strict = Strict(material({}))
    first = new(ANN[0])
    assert strict.judge("ann", first) is None
    again = strict.judge("ann", replace(first, source_digest="1" * 64))
    assert again is not None
    assert again[0] == "duplicate"


def test_what_strict_refuses_is_told_with_its_code_and_not_enrolled(tmp_path: Path) -> None:
    picture = paint(tmp_path / "ann.png", ((20, 20, 100, 120), RED))
    with Gallery.open(tmp_path / "gallery.db") as gallery:
        strict = Strict(material({}))
        plan = plan_person("ann", [picture])
        report = enroll(gallery, painted_engine(), plan, ENROLLED_UNIX_NS, strict=strict)
        # A flat rectangle has no detail at all.
        assert [(each.reason, each.image) for each in report.refused] == [("low_quality", str(picture))]
        assert report.enrolled == ()
        assert gallery.people() == []
