"""Somebody is taken out of the gallery; what is to be looked for elsewhere is noted until that is done."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gallery import care, forgetting
from gallery.errors import PersonUnknown
from gallery.store import Gallery
from tests.gallery.builders import ENROLLED_UNIX_NS, MODEL, reference

NOW_NS = ENROLLED_UNIX_NS + 1


def looks(seed: int) -> list[float]:
    return list(np.random.default_rng(seed).normal(size=128).astype(np.float32))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gallery.db"


def holds(path: Path, *pieces: bytes) -> bool:
    files = [file.read_bytes() for file in path.parent.iterdir()]
    return any(piece in content for content in files for piece in pieces)


def test_who_is_begun_with_is_nobody_any_more_and_what_to_look_for_is_noted(path: Path) -> None:
    with Gallery.open(path) as gallery:
        gallery.who = "operator"
        ann = gallery.add("Ann", [reference("a", looks(1)), reference("b", looks(2))], ENROLLED_UNIX_NS)
        gallery.add_not("Ann", [reference("c", looks(3))], ENROLLED_UNIX_NS)
        gallery.add("Bob", [reference("d", looks(4))], ENROLLED_UNIX_NS)
        begun = forgetting.begin(gallery, ann.id, "asked", NOW_NS)
        assert [person.name for person in gallery.people()] == ["Bob"]
        assert (begun.person_id, begun.why, begun.who) == (ann.id, "asked", "operator")
        assert (begun.references, begun.crops, begun.names) == (3, 0, ("Ann",))
        # Not what she was told not to be: those are others' faces.
        np.testing.assert_array_equal(
            np.frombuffer(begun.encodings, "<f4"), np.asarray([*looks(1), *looks(2)], np.float32)
        )
        assert [each.ids for each in forgetting.begun(gallery)] == [(ann.id,)]
        again = forgetting.begin(gallery, ann.id, "asked", NOW_NS + 9)
        assert again.began_unix_ns == begun.began_unix_ns
        assert again.references == 3


def test_a_face_of_theirs_that_somebody_else_was_told_not_to_be_goes_too(path: Path) -> None:
    with Gallery.open(path) as gallery:
        ann = gallery.add("Ann", [reference("a", looks(1))], ENROLLED_UNIX_NS)
        gallery.add("Bob", [reference("b", looks(2))], ENROLLED_UNIX_NS)
        gallery.add_not("Bob", [reference("a", looks(1))], ENROLLED_UNIX_NS)
        assert forgetting.begin(gallery, ann.id, "asked", NOW_NS).references == 2
        assert gallery.not_references("Bob") == []
        assert len(gallery.references("Bob")) == 1


def test_when_it_is_done_neither_name_nor_encoding_is_in_the_files_and_the_trail_tells_the_id(
    path: Path,
) -> None:
    vector = np.asarray(looks(1), np.float32)
    with Gallery.open(path) as gallery:
        ann = gallery.add("Anneliese", [reference("a", vector)], ENROLLED_UNIX_NS)
        with gallery.change():
            gallery.connection.execute(
                "INSERT INTO crop SELECT id, ?, 0 FROM reference", (bytes(range(200, 255)) * 100,)
            )
        begun = forgetting.begin(gallery, ann.id, "asked", NOW_NS)
        assert begun.crops == 1
        assert holds(path, b"Anneliese")
        forgetting.learn_names(gallery, ann.id, {"Friederike", "Anneliese"})
        assert forgetting.begun(gallery)[0].names == ("Anneliese", "Friederike")
        forgetting.drop_sought(gallery, ann.id, files=2, left=0)
        # The gallery is open still: nothing waits for it to be closed.
        assert not holds(path, b"Anneliese", b"Friederike", vector.tobytes()[:16], bytes(range(200, 255)))
        (dropped,) = forgetting.begun(gallery)
        assert (dropped.names, dropped.files, dropped.files_left) == (None, 2, 0)
        forgetting.finish(gallery, begun, events=7, files=3, left=0)
        assert forgetting.begun(gallery) == []
        entry = gallery.trail()[-1]
    assert (entry.what, entry.person_id) == ("forgotten", ann.id)
    assert dict(entry.detail) == {"references": 1, "crops": 1, "events": 7, "files": 3, "left": 0}


def test_who_is_forgotten_is_owed_to_subscribers_until_they_were_told(path: Path) -> None:
    with Gallery.open(path) as gallery:
        ann, anna, bob = (
            gallery.add(name, [reference(name, looks(i))], ENROLLED_UNIX_NS).id
            for i, name in enumerate(("Ann", "Anna", "Bob"))
        )
        care.merge(gallery, "Anna", "Ann")
        whys: tuple[forgetting.Why, ...] = ("asked", "expired")
        for person_id, why, left in zip((ann, bob), whys, (0, 2), strict=True):
            begun = forgetting.begin(gallery, person_id, why, NOW_NS)
            assert person_id not in [each.person_id for each in forgetting.owed(gallery)]
            forgetting.finish(gallery, begun, events=0, files=3, left=left)
        assert forgetting.owed(gallery) == [
            forgetting.Owed(ann, "asked", (anna,), True),
            forgetting.Owed(bob, "expired", (), False),
        ]
        forgetting.told(gallery, bob)
        # Somebody asks once more before anybody was told: it is told when that is done, and not before.
        again = forgetting.begin(gallery, ann, "asked", NOW_NS + 1)
        forgetting.told(gallery, ann)
        assert forgetting.owed(gallery) == []
        assert [each.person_id for each in forgetting.begun(gallery)] == [ann]
        forgetting.finish(gallery, again, events=0, files=3, left=0)
        assert [each.person_id for each in forgetting.owed(gallery)] == [ann]
        forgetting.told(gallery, ann)
        assert forgetting.owed(gallery) == []
        assert forgetting.begun(gallery) == []


def test_what_two_have_finished_stands_once_in_the_trail(path: Path) -> None:
    with Gallery.open(path) as gallery:
        ann = gallery.add("Ann", [reference("a", looks(1))], ENROLLED_UNIX_NS)
        begun = forgetting.begin(gallery, ann.id, "asked", NOW_NS)
        forgetting.learn_names(gallery, ann.id, {"Friederike"})
        assert forgetting.current(gallery, begun).names == ("Ann", "Friederike")
        for files in (3, 4):
            forgetting.finish(gallery, begun, events=0, files=files, left=files - 3)
            # Who comes late does not ask anew for what is gone.
            forgetting.learn_names(gallery, ann.id, {"Anna"})
            assert forgetting.current(gallery, begun) is begun
        told = [entry.detail["files"] for entry in gallery.trail() if entry.what == "forgotten"]
        assert told == [3]
        assert [each.verified for each in forgetting.owed(gallery)] == [True]


def test_who_was_merged_into_somebody_is_forgotten_with_them_also_over_several_steps(path: Path) -> None:
    with Gallery.open(path) as gallery:
        ids = [
            gallery.add(name, [reference(name, looks(i))], ENROLLED_UNIX_NS).id
            for i, name in enumerate(("Ann", "Anna", "Anneke", "Bob"))
        ]
        care.merge(gallery, "Anneke", "Anna")
        care.merge(gallery, "Anna", "Ann")
        assert forgetting.begin(gallery, ids[0], "asked", NOW_NS).ids == (ids[0], ids[1], ids[2])
        assert forgetting.begin(gallery, ids[3], "asked", NOW_NS).ids == (ids[3],)


def test_whose_time_is_up_is_told_to_the_nanosecond(path: Path) -> None:
    with Gallery.open(path) as gallery:
        ann, _, _ = (
            gallery.add(name, [reference(name, looks(1))], ENROLLED_UNIX_NS) for name in ("Ann", "Bob", "Cem")
        )
        with gallery.change():
            gallery.connection.execute("UPDATE person SET expires_unix_ns = 100 WHERE name = 'Ann'")
            gallery.connection.execute("UPDATE person SET expires_unix_ns = 200 WHERE name = 'Bob'")
        assert forgetting.expired(gallery, 99) == []
        assert forgetting.expired(gallery, 100) == [ann.id]


def test_somebody_is_found_by_name_or_id_and_by_id_also_once_they_are_gone(path: Path) -> None:
    with Gallery.open(path) as gallery:
        ann = gallery.add("Ann", [reference("a", looks(1))], ENROLLED_UNIX_NS)
        assert forgetting.find(gallery, "Ann", None) == forgetting.find(gallery, None, ann.id) == ann.id
        forgetting.begin(gallery, ann.id, "asked", NOW_NS)
        assert forgetting.find(gallery, None, ann.id) == ann.id
        for name, person_id in (("Ann", None), (None, "nobody's")):
            with pytest.raises(PersonUnknown):
                forgetting.find(gallery, name, person_id)


def test_the_last_of_a_model_leaves_the_gallery_free_for_another(path: Path) -> None:
    with Gallery.open(path) as gallery:
        ann = gallery.add("Ann", [reference("a", looks(1))], ENROLLED_UNIX_NS)
        assert gallery.model == MODEL
        forgetting.begin(gallery, ann.id, "asked", NOW_NS)
        assert gallery.model is None
