"""What a gallery keeps, refuses and forgets."""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np
import pytest

from gallery.decision import Rules, decide
from gallery.errors import (
    DuplicateImage,
    GalleryError,
    ModelMismatch,
    NameRefused,
    PersonExists,
    PersonUnknown,
)
from gallery.store import Gallery
from tests.gallery.builders import ENROLLED_UNIX_NS, MODEL, reference


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "gallery.db"


def test_a_person_is_there_after_closing_and_opening(path: Path) -> None:
    with Gallery.open(path) as gallery:
        added = gallery.add("Ann", [reference("a.jpg", [0.25, 0.5])], ENROLLED_UNIX_NS)
    with Gallery.open(path, create=False) as gallery:
        assert gallery.people() == [added]
        assert gallery.person("Ann") == added
        (kept,) = gallery.references("Ann")
    assert uuid.UUID(added.id).version == 4
    assert (added.references, added.first_enrolled_unix_ns, added.last_enrolled_unix_ns) == (
        1,
        ENROLLED_UNIX_NS,
        ENROLLED_UNIX_NS,
    )
    assert kept.encoding.dtype == np.float32
    assert kept.encoding.tolist() == [0.25, 0.5]
    assert (kept.model, kept.source_name, kept.quality) == (MODEL, "a.jpg", 0.5)
    assert kept.source_digest == reference("a.jpg").source_digest


def test_enrolling_an_existing_name_adds_references_and_keeps_the_id(path: Path) -> None:
    with Gallery.open(path) as gallery:
        first = gallery.add("Ann", [reference("a.jpg")], ENROLLED_UNIX_NS)
        again = gallery.add("Ann", [reference("b.jpg"), reference("c.jpg")], ENROLLED_UNIX_NS + 5)
        assert [kept.source_name for kept in gallery.references("Ann")] == ["a.jpg", "b.jpg", "c.jpg"]
    assert again.id == first.id
    assert (again.references, again.first_enrolled_unix_ns, again.last_enrolled_unix_ns) == (
        3,
        ENROLLED_UNIX_NS,
        ENROLLED_UNIX_NS + 5,
    )


@pytest.mark.parametrize(
    "name", ["김연아", "../../etc/passwd", "O'Brien; DROP TABLE person", "علی‌رضا", " Ann "]
)
def test_a_name_is_any_text_kept_verbatim_and_never_a_path(path: Path, name: str) -> None:
    with Gallery.open(path) as gallery:
        gallery.add(name, [reference("a.jpg")], ENROLLED_UNIX_NS)
        assert [person.name for person in gallery.people()] == [name]
    assert [entry.name for entry in path.parent.iterdir()] == ["gallery.db"]


def test_one_name_written_in_two_ways_is_one_person(path: Path) -> None:
    composed, decomposed = "Jos\u00e9", "Jose\u0301"
    with Gallery.open(path) as gallery:
        gallery.add(decomposed, [reference("a.jpg")], ENROLLED_UNIX_NS)
        gallery.add(composed, [reference("b.jpg")], ENROLLED_UNIX_NS)
        (person,) = gallery.people()
        assert (person.name, person.references) == (composed, 2)
        assert gallery.person(decomposed) == person


@pytest.mark.parametrize(
    "name", ["", "   ", "x" * 256, "a\nb", "a\x00b", "\u202egnp.exe", "a\u2028b", "\udcff"]
)
def test_what_is_no_name_is_refused(path: Path, name: str) -> None:
    with Gallery.open(path) as gallery:
        with pytest.raises(NameRefused):
            gallery.add(name, [reference("a.jpg")], ENROLLED_UNIX_NS)
        assert gallery.people() == []


def test_the_longest_name_is_accepted(path: Path) -> None:
    with Gallery.open(path) as gallery:
        assert gallery.add("x" * 255, [reference("a.jpg")], ENROLLED_UNIX_NS).name == "x" * 255


def test_the_same_image_is_refused_under_the_same_and_under_another_name(path: Path) -> None:
    with Gallery.open(path) as gallery:
        gallery.add("Ann", [reference("a.jpg")], ENROLLED_UNIX_NS)
        for name in ("Ann", "Bea"):
            with pytest.raises(DuplicateImage, match="reference of Ann"):
                gallery.add(name, [reference("new.jpg"), reference("a.jpg")], ENROLLED_UNIX_NS)
        # Neither the other image nor the other person came in.
        assert [(person.name, person.references) for person in gallery.people()] == [("Ann", 1)]


def test_the_owner_of_an_image_is_found_by_its_digest(path: Path) -> None:
    with Gallery.open(path) as gallery:
        added = gallery.add("Ann", [reference("a.jpg")], ENROLLED_UNIX_NS)
        owner = gallery.owner(reference("a.jpg").source_digest)
        assert owner is not None
        assert (owner.id, owner.name) == (added.id, "Ann")
        assert gallery.owner(reference("b.jpg").source_digest) is None


def test_an_encoding_of_another_model_is_refused_and_said_what_to_do(path: Path) -> None:
    with Gallery.open(path) as gallery:
        gallery.add("Ann", [reference("a.jpg")], ENROLLED_UNIX_NS)
        with pytest.raises(ModelMismatch, match=r"sface-1.*\[encoder\]"):
            gallery.add("Bea", [reference("b.jpg", model="sface-1")], ENROLLED_UNIX_NS)
        with pytest.raises(ModelMismatch):
            gallery.index("sface-1")
        assert [person.name for person in gallery.people()] == ["Ann"]


def test_two_models_in_one_enrolment_are_refused(path: Path) -> None:
    with Gallery.open(path) as gallery:
        with pytest.raises(ModelMismatch):
            gallery.add("Ann", [reference("a.jpg"), reference("b.jpg", model="x")], ENROLLED_UNIX_NS)
        assert gallery.model is None


def test_a_gallery_with_nobody_left_takes_any_model(path: Path) -> None:
    with Gallery.open(path) as gallery:
        gallery.add("Ann", [reference("a.jpg")], ENROLLED_UNIX_NS)
        gallery.forget("Ann")
        gallery.add("Ann", [reference("a.jpg", model="sface-1")], ENROLLED_UNIX_NS)
        assert gallery.model == "sface-1"


@pytest.mark.parametrize(
    "encoding", [[float("nan"), 0.0], [float("inf"), 0.0], [], [[0.0, 1.0]], [0.0, 0.0, 0.0]]
)
def test_an_encoding_that_cannot_be_compared_is_refused(path: Path, encoding: list[float]) -> None:
    with Gallery.open(path) as gallery:
        gallery.add("Ann", [reference("a.jpg")], ENROLLED_UNIX_NS)
        with pytest.raises(GalleryError):
            gallery.add("Bea", [reference("b.jpg", encoding)], ENROLLED_UNIX_NS)
        assert [person.name for person in gallery.people()] == ["Ann"]


def test_nobody_is_enrolled_without_a_reference(path: Path) -> None:
    with Gallery.open(path) as gallery:
        with pytest.raises(GalleryError, match="without a reference"):
            gallery.add("Ann", [], ENROLLED_UNIX_NS)
        assert gallery.people() == []


def test_who_is_forgotten_is_gone_with_all_references(path: Path) -> None:
    with Gallery.open(path) as gallery:
        gallery.add("Ann", [reference("a.jpg"), reference("b.jpg")], ENROLLED_UNIX_NS)
        kept = gallery.add("Bea", [reference("c.jpg")], ENROLLED_UNIX_NS)
        gallery.forget("Ann")
        assert gallery.people() == [kept]
        assert len(gallery.index(MODEL)) == 1
        with pytest.raises(PersonUnknown, match="Ann"):
            gallery.person("Ann")
        gallery.add("Ann", [reference("a.jpg")], ENROLLED_UNIX_NS)


def test_forgetting_somebody_unknown_changes_nothing(path: Path) -> None:
    with Gallery.open(path) as gallery:
        with pytest.raises(PersonUnknown):
            gallery.forget("Ann")
        assert gallery.revision == 0


def test_a_new_name_keeps_the_id_and_the_references(path: Path) -> None:
    with Gallery.open(path) as gallery:
        before = gallery.add("Ann", [reference("a.jpg")], ENROLLED_UNIX_NS)
        after = gallery.rename("Ann", "Anna")
        assert (after.id, after.name, after.references) == (before.id, "Anna", 1)
        assert [person.name for person in gallery.people()] == ["Anna"]


def test_a_name_that_somebody_has_is_not_given_to_another(path: Path) -> None:
    with Gallery.open(path) as gallery:
        gallery.add("Ann", [reference("a.jpg")], ENROLLED_UNIX_NS)
        gallery.add("Bea", [reference("b.jpg")], ENROLLED_UNIX_NS)
        with pytest.raises(PersonExists, match="Bea"):
            gallery.rename("Ann", "Bea")
        with pytest.raises(PersonUnknown):
            gallery.rename("Cleo", "Dora")
        assert gallery.rename("Ann", "Ann").name == "Ann"


def test_the_revision_rises_with_every_change_and_survives_closing(path: Path) -> None:
    with Gallery.open(path) as gallery:
        seen = [gallery.revision]
        gallery.add("Ann", [reference("a.jpg")], ENROLLED_UNIX_NS)
        seen.append(gallery.revision)
        gallery.rename("Ann", "Anna")
        seen.append(gallery.revision)
        gallery.forget("Anna")
        seen.append(gallery.revision)
    assert seen == sorted(set(seen))
    with Gallery.open(path) as gallery:
        assert gallery.revision == seen[-1]


def test_a_refused_enrolment_leaves_the_revision(path: Path) -> None:
    with Gallery.open(path) as gallery:
        gallery.add("Ann", [reference("a.jpg")], ENROLLED_UNIX_NS)
        before = gallery.revision
        with pytest.raises(DuplicateImage):
            gallery.add("Ann", [reference("a.jpg")], ENROLLED_UNIX_NS)
        assert gallery.revision == before


def test_changed_tells_of_changes_made_elsewhere_and_of_ones_own_until_indexed(path: Path) -> None:
    with Gallery.open(path) as gallery, Gallery.open(path) as other:
        assert gallery.changed()
        gallery.index(MODEL)
        assert not gallery.changed()
        other.add("Ann", [reference("a.jpg")], ENROLLED_UNIX_NS)
        assert gallery.changed()
        assert gallery.changed()
        assert gallery.index(MODEL).revision == other.revision
        assert not gallery.changed()
        gallery.forget("Ann")
        assert gallery.changed()


def test_an_index_of_an_empty_gallery_matches_nobody(path: Path) -> None:
    with Gallery.open(path) as gallery:
        index = gallery.index(MODEL)
    assert (len(index), index.people, index.model) == (0, (), MODEL)
    (found,) = decide(index, np.zeros((1, 128), np.float32), Rules(0.6, 0.05, 0.03))
    assert found.why == "nobody_enrolled"


def test_an_index_holds_everybodys_encodings_by_order_of_enrolment(path: Path) -> None:
    with Gallery.open(path) as gallery:
        gallery.add("Zoe", [reference("z1.jpg", [1.0, 0.0])], ENROLLED_UNIX_NS)
        gallery.add("Ann", [reference("a1.jpg", [2.0, 0.0])], ENROLLED_UNIX_NS + 1)
        gallery.add("Zoe", [reference("z2.jpg", [3.0, 0.0])], ENROLLED_UNIX_NS + 2)
        index = gallery.index(MODEL)
        assert [person.id for person in index.people] == [gallery.person("Zoe").id, gallery.person("Ann").id]
    assert index.owners.tolist() == [0, 0, 1]
    assert index.encodings.tolist() == [[1.0, 0.0], [3.0, 0.0], [2.0, 0.0]]
    assert index.encodings.dtype == np.float32


def test_a_decision_against_the_gallery_sees_every_change_and_does_not_hide_it_from_changed(
    path: Path,
) -> None:
    face = np.array([[0.0, 0.0]], np.float32)
    rules = Rules(threshold=1.0, margin=0.0, hysteresis=0.0)
    with Gallery.open(path) as gallery, Gallery.open(path) as other:
        gallery.index(MODEL)
        assert gallery.decide(face, rules)[0].nearest is None
        ann = other.add("Ann", [reference("a.jpg", [0.6, 0.8])], ENROLLED_UNIX_NS)
        (found,) = gallery.decide(face, rules)
        assert found.person is not None
        assert (found.person.id, found.distance) == (ann.id, 1.0)
        assert gallery.changed()
        other.add_not("Ann", [reference("b.jpg", [0.0, 0.0])], ENROLLED_UNIX_NS)
        assert gallery.decide(face, rules)[0].why == "vetoed"
        other.forget("Ann")
        assert gallery.decide(face, rules)[0].nearest is None


def test_what_a_person_is_not_is_kept_apart_from_what_they_are(path: Path) -> None:
    with Gallery.open(path) as gallery:
        gallery.add("Ann", [reference("a.jpg", [0.0, 1.0])], ENROLLED_UNIX_NS)
        before = gallery.revision
        ann = gallery.add_not("Ann", [reference("b.jpg", [1.0, 0.0])], ENROLLED_UNIX_NS + 5)
        assert gallery.revision > before
        assert gallery.people() == [ann]
        assert (ann.references, ann.last_enrolled_unix_ns) == (1, ENROLLED_UNIX_NS)
        assert [kept.source_name for kept in gallery.references("Ann")] == ["a.jpg"]
        assert [kept.source_name for kept in gallery.not_references("Ann")] == ["b.jpg"]
        assert gallery.owner(reference("b.jpg").source_digest) is None
        index = gallery.index(MODEL)
    assert index.encodings.tolist() == [[0.0, 1.0]]
    assert (index.not_owners.tolist(), index.not_encodings.tolist()) == ([0], [[1.0, 0.0]])


def test_only_who_is_enrolled_can_be_told_who_they_are_not(path: Path) -> None:
    with Gallery.open(path) as gallery:
        with pytest.raises(PersonUnknown, match="Ann"):
            gallery.add_not("Ann", [reference("b.jpg")], ENROLLED_UNIX_NS)
        assert (gallery.people(), gallery.model, gallery.revision) == ([], None, 0)


def test_an_image_may_show_one_person_and_be_none_of_several_others(path: Path) -> None:
    with Gallery.open(path) as gallery:
        for name in ("Ann", "Bea", "Cleo"):
            gallery.add(name, [reference(f"{name}.jpg")], ENROLLED_UNIX_NS)
        for name in ("Ann", "Bea"):
            gallery.add_not(name, [reference("Cleo.jpg")], ENROLLED_UNIX_NS)
        owner = gallery.owner(reference("Cleo.jpg").source_digest)
        assert owner is not None
        assert owner.name == "Cleo"


def test_an_image_is_not_both_a_person_and_not_that_person(path: Path) -> None:
    with Gallery.open(path) as gallery:
        gallery.add("Ann", [reference("a.jpg")], ENROLLED_UNIX_NS)
        gallery.add_not("Ann", [reference("b.jpg")], ENROLLED_UNIX_NS)
        before = gallery.revision
        for source_name in ("a.jpg", "b.jpg"):
            with pytest.raises(DuplicateImage, match="Ann"):
                gallery.add_not("Ann", [reference("new.jpg"), reference(source_name)], ENROLLED_UNIX_NS)
        with pytest.raises(DuplicateImage, match="Ann"):
            gallery.add("Ann", [reference("b.jpg")], ENROLLED_UNIX_NS)
        assert gallery.revision == before
        assert gallery.has_image("Ann", reference("b.jpg").source_digest)
        assert not gallery.has_image("Ann", reference("new.jpg").source_digest)


def test_what_a_person_is_not_must_be_of_the_gallerys_model(path: Path) -> None:
    with Gallery.open(path) as gallery:
        gallery.add("Ann", [reference("a.jpg")], ENROLLED_UNIX_NS)
        with pytest.raises(ModelMismatch):
            gallery.add_not("Ann", [reference("b.jpg", model="sface-1")], ENROLLED_UNIX_NS)
        with pytest.raises(GalleryError, match="one length"):
            gallery.add_not("Ann", [reference("b.jpg", [0.0, 0.0, 1.0])], ENROLLED_UNIX_NS)
        assert gallery.not_references("Ann") == []


def test_who_is_forgotten_is_gone_with_threshold_and_vetoes_and_the_model_is_free(path: Path) -> None:
    with Gallery.open(path) as gallery:
        ann = gallery.add("Ann", [reference("a.jpg")], ENROLLED_UNIX_NS)
        gallery.add_not("Ann", [reference("b.jpg")], ENROLLED_UNIX_NS)
        gallery.set_thresholds({ann.id: 0.4}, model=MODEL, fmr=0.01, calibrated_unix_ns=1)
        gallery.forget("Ann")
        assert (gallery.thresholds(), gallery.model) == ([], None)
        gallery.add("Ann", [reference("b.jpg", model="sface-1")], ENROLLED_UNIX_NS)
        assert gallery.index("sface-1").thresholds is None


def test_thresholds_are_given_all_at_once_and_reach_the_index(path: Path) -> None:
    with Gallery.open(path) as gallery, Gallery.open(path) as daemon:
        zoe = gallery.add("Zoe", [reference("z.jpg")], ENROLLED_UNIX_NS)
        ann = gallery.add("Ann", [reference("a.jpg")], ENROLLED_UNIX_NS + 1)
        assert daemon.index(MODEL).thresholds is None
        gallery.set_thresholds({ann.id: 0.4, zoe.id: 0.3}, model=MODEL, fmr=0.01, calibrated_unix_ns=7)
        assert daemon.changed()
        thresholds = daemon.index(MODEL).thresholds
        assert thresholds is not None
        assert thresholds.tolist() == [0.3, 0.4]
        told = [(each.person.name, each.distance, each.fmr, each.people) for each in gallery.thresholds()]
        assert told == [("Ann", 0.4, 0.01, 2), ("Zoe", 0.3, 0.01, 2)]
        gallery.set_thresholds({ann.id: 0.45}, model=MODEL, fmr=0.1, calibrated_unix_ns=8)
        thresholds = daemon.index(MODEL).thresholds
        assert thresholds is not None
        assert np.isnan(thresholds[0])
        assert thresholds[1] == 0.45
        gallery.set_thresholds({}, model=MODEL, fmr=0.1, calibrated_unix_ns=9)
        assert daemon.index(MODEL).thresholds is None


def test_a_threshold_outlives_new_references_and_a_new_name(path: Path) -> None:
    with Gallery.open(path) as gallery:
        ann = gallery.add("Ann", [reference("a.jpg")], ENROLLED_UNIX_NS)
        gallery.set_thresholds({ann.id: 0.4}, model=MODEL, fmr=0.01, calibrated_unix_ns=7)
        gallery.add("Ann", [reference("b.jpg")], ENROLLED_UNIX_NS)
        gallery.rename("Ann", "Anna")
        assert [(each.person.name, each.distance) for each in gallery.thresholds()] == [("Anna", 0.4)]


@pytest.mark.parametrize("distance", [0.0, -0.5, float("nan"), float("inf")])
def test_what_is_no_threshold_is_refused(path: Path, distance: float) -> None:
    with Gallery.open(path) as gallery:
        ann = gallery.add("Ann", [reference("a.jpg")], ENROLLED_UNIX_NS)
        with pytest.raises(GalleryError, match="above 0"):
            gallery.set_thresholds({ann.id: distance}, model=MODEL, fmr=0.01, calibrated_unix_ns=7)


def test_thresholds_of_somebody_unknown_or_of_another_model_are_refused_whole(path: Path) -> None:
    with Gallery.open(path) as gallery:
        ann = gallery.add("Ann", [reference("a.jpg")], ENROLLED_UNIX_NS)
        with pytest.raises(PersonUnknown, match="calibrate again"):
            gallery.set_thresholds({ann.id: 0.4, "x": 0.4}, model=MODEL, fmr=0.01, calibrated_unix_ns=7)
        with pytest.raises(ModelMismatch):
            gallery.set_thresholds({ann.id: 0.4}, model="sface-1", fmr=0.01, calibrated_unix_ns=7)
        assert gallery.thresholds() == []
