"""A match is no authentication: every event of a face says that nobody checked whether it was alive."""

from __future__ import annotations

import pytest

from daemon import events
from daemon.events import TOPICS
from tests.daemon.event_samples import LIVES, NAMED, NOBODY_ENROLLED, STRANGER, STRANGER_NAMED

FACES = [
    *(events.life(each) for each in LIVES),
    *(events.sighting(each) for each in (NAMED, NOBODY_ENROLLED, STRANGER)),
    events.named(STRANGER_NAMED),
]


def test_every_topic_of_faces_is_looked_at() -> None:
    patterns = {topic for topic in TOPICS if topic.startswith("face/")}
    assert {each.topic.replace("/door/", "/<camera>/") for each in FACES} == patterns


@pytest.mark.parametrize("event", FACES, ids=lambda event: event.type)
def test_an_event_of_a_face_says_that_its_liveness_was_not_checked(event: events.Event) -> None:
    assert event.data["liveness"] == "not_checked"
