"""A change of encoder: a second space that grows, and is matched with when it is whole; never two at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from gallery import care, face_crop, reencoding
from gallery.errors import DuplicateImage, GalleryError, ModelMismatch
from gallery.faces.types import BgrImage, Encodings, Faces
from gallery.people import NewReference
from gallery.store import Gallery
from tests.gallery.builders import ENROLLED_UNIX_NS, MODEL, reference

NEW = "new-mtcnn-1"
PEOPLE, EACH = 4, 5


class Brightness:
    """An encoder of three numbers: how bright the picture is, and where the face is."""

    model = NEW
    threshold = 0.5

    def encode(self, bgr: BgrImage, faces: Faces) -> Encodings:
        """Of each face."""
        return np.array([[bgr.mean() / 255, *box[:2] / 100] for box in faces.boxes], np.float32)

    def encode_many(self, images: Sequence[BgrImage], faces: Sequence[Faces]) -> list[Encodings]:
        """Of each face of each image."""
        return [self.encode(bgr, found) for bgr, found in zip(images, faces, strict=True)]


def face(box: Sequence[float] = (20, 20, 60, 70)) -> Faces:
    landmarks = np.array([[[30, 35], [50, 35], [40, 45], [32, 58], [48, 58]]], np.float32)
    return Faces(np.array([box], np.float32), np.array([0.99], np.float32), landmarks)


def picture(grey: int) -> bytes:
    return face_crop.cut(np.full((100, 90, 3), grey, np.uint8), face(), 0)


def pictured(name: str, grey: int) -> NewReference:
    return replace(reference(name, [grey / 100, 1.0]), crop=picture(grey))


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with Gallery.open(tmp_path / "gallery.db") as opened:
        for i in range(PEOPLE):
            rows = [pictured(f"{i}-{j}.jpg", 40 * i + 7 * j) for j in range(EACH)]
            opened.add(f"person {i}", rows, ENROLLED_UNIX_NS)
        opened.add_not("person 0", [pictured("not", 250)], ENROLLED_UNIX_NS)
        yield opened


def fill(gallery: Gallery, most: int = 100) -> int:
    def put(ids: Sequence[str], rows: NDArray[np.float32]) -> int:
        return reencoding.put(gallery, NEW, ids, rows)

    todo = reencoding.lacking(gallery, NEW)[:most]
    return reencoding.fill(Brightness(), todo, lambda ids: reencoding.crops(gallery, ids), put)


def test_all_that_has_a_picture_is_encoded_and_the_model_changes_then(gallery: Gallery) -> None:
    before = gallery.index(MODEL)
    assert fill(gallery) == PEOPLE * EACH + 1
    # Not before somebody says so is anything else matched with.
    assert gallery.model == MODEL
    np.testing.assert_array_equal(gallery.index(MODEL).encodings, before.encodings)
    with pytest.raises(ModelMismatch):
        gallery.index(NEW)
    assert reencoding.switch(gallery, NEW)
    after = gallery.index(NEW)
    assert after.encodings.shape == (PEOPLE * EACH, 3)
    assert after.not_encodings.shape == (1, 3)
    np.testing.assert_allclose(after.encodings[:EACH, 0] * 255, [0, 7, 14, 21, 28], atol=1)
    with pytest.raises(ModelMismatch):
        gallery.index(MODEL)
    assert [entry.what for entry in gallery.trail()][-2:] == ["reencoded", "model_changed"]


def test_a_broken_off_run_goes_on_and_half_a_space_is_never_used(gallery: Gallery) -> None:
    fill(gallery, most=7)
    revision = gallery.revision
    with pytest.raises(ModelMismatch, match="14 references have no encoding"):
        reencoding.switch(gallery, NEW)
    assert (gallery.model, gallery.revision) == (MODEL, revision)
    assert fill(gallery) == 14
    assert fill(gallery) == 0
    assert reencoding.switch(gallery, NEW)
    assert reencoding.switch(gallery, NEW)


def test_who_comes_in_meanwhile_is_encoded_too_before_it_changes(gallery: Gallery) -> None:
    fill(gallery)
    gallery.add("late", [pictured("late.jpg", 99)], ENROLLED_UNIX_NS)
    with pytest.raises(ModelMismatch, match="1 references"):
        reencoding.switch(gallery, NEW)
    assert fill(gallery) == 1
    assert reencoding.switch(gallery, NEW)


def test_who_is_forgotten_meanwhile_stays_forgotten(gallery: Gallery) -> None:
    todo = reencoding.lacking(gallery, NEW)
    gallery.forget("person 0")
    stored = reencoding.put(gallery, NEW, [each.id for each in todo], np.ones((len(todo), 3), np.float32))
    assert stored == (PEOPLE - 1) * EACH


def test_references_without_a_picture_are_told_and_hold_it_up_until_they_are_set_aside(
    gallery: Gallery,
) -> None:
    gallery.add("old", [reference("old.jpg", [0.5, 0.5])], ENROLLED_UNIX_NS)
    fill(gallery)
    (left,) = reencoding.lacking(gallery, NEW)
    assert (left.person.name, left.image, left.has_crop, left.in_use) == ("old", "old.jpg", False, True)
    with pytest.raises(ModelMismatch):
        reencoding.switch(gallery, NEW)
    care.set_aside(gallery, {left.id: "old_model"})
    assert reencoding.switch(gallery, NEW)
    # Enrolled again, the same picture is no duplicate; its reference is in use again.
    renewed = replace(reference("old.jpg", [0.1, 0.2, 0.3], NEW), crop=picture(1))
    assert gallery.owner(renewed.source_digest) is None
    with pytest.raises(DuplicateImage):
        gallery.add("person 1", [renewed], ENROLLED_UNIX_NS)
    assert gallery.add("old", [renewed], ENROLLED_UNIX_NS).references == 1
    (again,) = gallery.references("old")
    assert (again.id, again.set_aside, again.model) == (left.id, None, NEW)
    with pytest.raises(DuplicateImage):
        gallery.add("old", [renewed], ENROLLED_UNIX_NS)


def test_back_to_the_encoder_before_nothing_has_to_be_encoded(gallery: Gallery) -> None:
    fill(gallery)
    before = gallery.index(MODEL)
    reencoding.switch(gallery, NEW)
    assert reencoding.switch(gallery, MODEL)
    np.testing.assert_array_equal(gallery.index(MODEL).encodings, before.encodings)


@pytest.mark.parametrize(
    "rows", [np.ones((1, 3)), np.ones((2, 0)), np.full((2, 3), np.nan), np.ones(2), np.ones((2, 3, 1))]
)
def test_what_are_no_encodings_of_these_references_is_refused(
    gallery: Gallery, rows: NDArray[np.float64]
) -> None:
    ids = [each.id for each in reencoding.lacking(gallery, NEW)][:2]
    with pytest.raises(GalleryError, match="rows of finite numbers"):
        reencoding.put(gallery, NEW, ids, rows.astype(np.float32))
    assert len(reencoding.lacking(gallery, NEW)) == PEOPLE * EACH + 1


def test_encodings_of_one_model_have_one_length_and_the_own_model_is_not_written_over(
    gallery: Gallery,
) -> None:
    fill(gallery, most=2)
    (third, *_) = reencoding.lacking(gallery, NEW)
    with pytest.raises(GalleryError, match="one length"):
        reencoding.put(gallery, NEW, [third.id], np.ones((1, 4), np.float32))
    with pytest.raises(GalleryError, match="own model"):
        reencoding.put(gallery, MODEL, [third.id], np.ones((1, 2), np.float32))


def test_a_gallery_without_such_encodings_stays_as_it_is(gallery: Gallery) -> None:
    with pytest.raises(ModelMismatch, match="can't be compared"):
        reencoding.switch(gallery, NEW)
    assert gallery.model == MODEL


def test_where_no_picture_was_kept_all_come_back_as_they_are_enrolled_again(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "plain.db") as gallery:
        assert not reencoding.switch(gallery, NEW)
        gallery.add("ann", [reference("a.jpg"), reference("b.jpg")], ENROLLED_UNIX_NS)
        care.set_aside(gallery, {each.id: "old_model" for each in reencoding.lacking(gallery, NEW)})
        assert reencoding.switch(gallery, NEW)
        assert len(gallery.index(NEW)) == 0
        person = gallery.add("ann", [reference("a.jpg", [1, 2, 3], NEW)], ENROLLED_UNIX_NS)
        assert (person.references, len(gallery.index(NEW))) == (1, 1)


def test_a_picture_keeps_where_the_face_is_also_at_the_border_and_made_smaller() -> None:
    draw = np.random.default_rng(1)
    bgr = draw.integers(0, 255, (1500, 1400, 3), np.uint8)
    for scale, corner in ((1, (0, 0)), (1, (700, 700)), (10, (100, 200))):
        faces = Faces(
            face().boxes * scale + np.tile(corner, 2).astype(np.float32),
            face().scores,
            face().landmarks * scale + np.array(corner, np.float32),
        )
        cropped, found = face_crop.read(face_crop.cut(bgr, faces, 0))
        assert max(cropped.shape) <= face_crop.LONGEST_PX
        # The same place in both: the landmarks' distances from the box, in sides of the box.
        for one, other in ((faces, found), (found, faces)):
            side = one.boxes[0, 2] - one.boxes[0, 0]
            other_side = other.boxes[0, 2] - other.boxes[0, 0]
            np.testing.assert_allclose(
                (one.landmarks[0] - one.boxes[0, :2]) / side,
                (other.landmarks[0] - other.boxes[0, :2]) / other_side,
                atol=1e-3,
            )


@pytest.mark.parametrize("content", [b"", b"\xff\xd8", b"GIF89a", picture(3)[:200]])
def test_a_picture_that_can_not_be_read_is_told(content: bytes) -> None:
    with pytest.raises(GalleryError, match="can't be used"):
        face_crop.read(content)
