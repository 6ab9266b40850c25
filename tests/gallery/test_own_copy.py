"""By which ids a person's own copy is looked for."""

from __future__ import annotations

from pathlib import Path

from gallery import own_copy
from gallery.care import merge
from gallery.store import Gallery
from tests.gallery.builders import ENROLLED_UNIX_NS, reference


def test_who_was_merged_is_the_same_person_also_after_a_merge_the_other_way_round(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "gallery.db") as gallery:
        for name in ("Ann", "Anna", "Annie"):
            gallery.add(name, [reference(name)], ENROLLED_UNIX_NS)
        ann, anna, annie = (gallery.person(name).id for name in ("Ann", "Anna", "Annie"))
        merge(gallery, "Annie", "Anna")
        merge(gallery, "Anna", "Ann")
        assert own_copy.ids(gallery, "Ann") == [ann, anna, annie]
        with gallery.change() as note:
            note("merged", anna, person=ann, references=1)
        assert own_copy.ids(gallery, "Ann") == [ann, anna, annie]
