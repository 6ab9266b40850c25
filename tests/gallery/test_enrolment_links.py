"""A folder of people whose links lead out of it: what they lead to is nobody's picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from gallery.enrolment import enroll
from gallery.enrolment_plan import plan_folder, plan_person
from gallery.store import Gallery
from tests.gallery.builders import ENROLLED_UNIX_NS
from tests.gallery.painted import RED, paint, painted_engine

FACE = (50, 30, 130, 130)


def test_links_out_of_the_folder_are_refused_and_those_within_are_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    secret = paint(outside / "secret.png", (FACE, (90, 10, 10)))
    people = tmp_path / "people"
    paint(people / "Ann" / "1.png", (FACE, RED))
    (people / "Ann" / "2.png").symlink_to(paint(people / "Ann" / ".kept.png", (FACE, (101, 10, 10))))
    (people / "Ann" / "out.png").symlink_to(secret)
    (people / "Ann" / "relative.png").symlink_to(Path("../../outside/secret.png"))
    (people / "Eve").symlink_to(outside)
    (people / "stray.png").symlink_to(secret)
    with Gallery.open(tmp_path / "gallery.db") as gallery:
        report = enroll(gallery, painted_engine(), plan_folder(people), ENROLLED_UNIX_NS)
        assert [person.name for person in gallery.people()] == ["Ann"]
        assert len(gallery.references("Ann")) == 2
    refused = {str(Path(each.image).relative_to(people)): each.reason for each in report.refused}
    assert refused == dict.fromkeys(("Ann/out.png", "Ann/relative.png", "Eve", "stray.png"), "outside_tree")


@pytest.mark.parametrize("named", ["link", "people"])
def test_a_folder_may_be_named_by_a_link_and_single_images_too(tmp_path: Path, named: str) -> None:
    picture = paint(tmp_path / "people" / "Ann" / "1.png", (FACE, RED))
    (tmp_path / "link").symlink_to("people")
    (tmp_path / "one.png").symlink_to(picture)
    with Gallery.open(tmp_path / "gallery.db") as gallery:
        report = enroll(gallery, painted_engine(), plan_folder(tmp_path / named), ENROLLED_UNIX_NS)
        assert (len(report.enrolled), report.refused) == (1, ())
        alone = enroll(
            gallery, painted_engine(), plan_person("Bob", [tmp_path / "one.png"]), ENROLLED_UNIX_NS
        )
    assert [each.reason for each in alone.refused] == ["duplicate_image"]
