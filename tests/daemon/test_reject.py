"""A wrong name is taken back: what is remembered of a visit, and `visaged reject` on a running daemon."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from daemon.client import subscribe
from daemon.memory import Memory
from daemon.track import Track
from daemon.visits import Visit
from gallery.people import PersonName
from tests.conftest import REPOSITORY
from tests.daemon.running import Home, running, visaged

COLLINS = REPOSITORY / "samples" / "eileen-collins.jpg"
PICTURES = 4500
"""At 25 a second, three minutes: commands beside it take their time on a busy machine."""
ANN, BOB = PersonName("1", "ann"), PersonName("2", "bob")


def visit(name: str, person: PersonName | None, seen_s: float, looks: float = 0.5) -> Visit:
    track = Track(name, np.zeros(4, np.float32), np.zeros((5, 2), np.float32), 1.0, 0.0, seen_s)
    track.evidence.add(np.array([looks, 0.0], np.float32), 1.0, seen_s)
    return Visit(name, track, 0.0, person=person)


def test_who_was_named_is_remembered_as_seen_last_until_the_time_is_up() -> None:
    memory = Memory(remember_s=10.0)
    memory.note(visit("a", ANN, 1.0, looks=0.1))
    memory.note(visit("a", ANN, 2.0, looks=0.2))
    memory.note(visit("b", BOB, 12.0))
    named = memory.find("a")
    assert named is not None
    assert (named.person, named.seen_s) == (ANN, 2.0)
    np.testing.assert_allclose(named.encoding, [0.2, 0.0])
    memory.note(visit("b", BOB, 12.001))
    assert memory.find("a") is None
    assert memory.find("b") is not None


def test_who_is_nobody_is_not_remembered_and_a_name_that_was_taken_back_still_is() -> None:
    memory = Memory(remember_s=10.0)
    memory.note(visit("a", None, 1.0))
    assert memory.find("a") is None
    memory.note(visit("b", ANN, 1.0))
    memory.note(visit("b", None, 2.0))
    named = memory.find("b")
    assert named is not None
    assert named.person == ANN


@pytest.mark.timeout(400)
def test_a_rejected_name_is_taken_back_while_the_face_is_there_and_not_given_again(tmp_path: Path) -> None:
    portrait = cv2.imread(str(COLLINS))
    assert portrait is not None
    encoded, jpeg = cv2.imencode(".jpg", cv2.resize(portrait, (256, 256)))
    assert encoded
    for number in range(PICTURES):
        (tmp_path / f"{number:04}.jpg").write_bytes(jpeg.tobytes())
    with tempfile.TemporaryDirectory(prefix="visaged-") as folder:
        home = Home(Path(folder), cameras=(("live", str(tmp_path), True),))
        assert visaged("enroll", "--config", home.config, "Eileen", COLLINS).returncode == 0
        with (
            running(home, "--await-subscribers", "1"),
            subscribe(home.endpoint, topics=["face/live/"], timeout_s=100) as events,
        ):
            first = next(events)
            assert (first.kind, first.person.name if first.person else None) == ("recognized", "Eileen")
            done = visaged("reject", "--config", home.config, first.data["track"])
            assert done.returncode == 0, done.stderr
            assert "that was not Eileen" in done.stdout
            second = next(events)
            assert (second.kind, second.person, second.data["revision"]) == ("corrected", None, 2)
            assert second.data["previous"]["name"] == "Eileen"
            assert second.data["track"] == first.data["track"]
            # The picture that was enrolled is as near to itself as a name can be, and still it is vetoed.
            assert second.data["distance"] <= second.data["threshold"]
            again = visaged("reject", "--config", home.config, "no-such-track")
            assert again.returncode != 0
            assert "no such track" in again.stderr
