"""Sittings and strangers over the control socket's desk, on a gallery and a journal that are real."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from daemon import events, studio
from daemon.errors import UsageError
from daemon.events import Event
from daemon.frame import CameraChange, Frame
from daemon.journal import Journal
from daemon.journal_reader import JournalReader
from daemon.life_client import Life
from daemon.life_desk import operations
from daemon.pipeline import Outcome
from daemon.presence import Presence
from daemon.samples import Sample
from daemon.strangers import Stranger, Strangers
from daemon.studio import Studio
from daemon.tally import Tally
from daemon.track import Track
from daemon.view import SeenFace
from daemon.visits import Visit
from gallery.errors import GalleryError, NameRefused, TermsRefused
from gallery.faces.types import BgrImage, Encodings, Faces
from gallery.people import NewReference, Person
from gallery.store import Gallery
from tests.daemon.event_samples import NAMED, UNKNOWN
from tests.daemon.serving import NoNets
from tests.daemon.test_sitting import TURNS, face
from tests.gallery.builders import ENROLLED_UNIX_NS
from tests.gallery.test_audit import MODEL, person_at, point

THRESHOLD = 0.52


class Lookalikes(NoNets):
    """Encodes any face as `looks`, a bit differently for each pose."""

    threshold = 0.6

    def __init__(self) -> None:
        super().__init__()
        self.looks = person_at(5)[0]
        straight = face().landmarks
        self.nose_px = float(straight[2][1] - straight[0][1])

    def encode(self, bgr: BgrImage, faces: Faces) -> Encodings:
        """By where the nose is."""
        nose = faces.landmarks[0][2] - faces.landmarks[0][:2].mean(axis=0)
        turned = point((120, float(nose[0]) / 30), (121, float(nose[1] - self.nose_px) / 30))
        return np.asarray((self.looks + turned)[None], np.float32)


@dataclass
class Room:
    """Everything, in one thread."""

    gallery: Gallery
    studio: Studio
    life: Life
    nets: Lookalikes
    tallies: dict[str, Tally]
    journal: Journal
    now_s: float = 100.0

    def frame(self, *tracks: Track, stranger: Stranger | None = None, camera: str = "door") -> None:
        """The loop shows a frame."""
        picture = np.zeros((8, 8, 3), np.uint8)
        now_ns = round(self.now_s * 1e9)
        seen = tuple(
            SeenFace(each, Visit("visit", each, 0.0, "unknown", stranger=stranger)) for each in tracks
        )
        self.studio.see(Outcome(Frame(camera, 0, now_ns, now_ns, now_ns, picture), seen, ()))
        self.now_s += 0.15

    def sit_through(self, name: str, terms: dict[str, Any] | None = None) -> Any:
        """As the command does, obeying."""
        sitting = self.life.begin("door", name, terms)
        while (asked := self.life.look(sitting).asked) is not None:
            self.frame(face(*TURNS[asked]))
        return self.life.enroll(sitting, name, terms)

    def meet(self, samples: list[NDArray[np.float32]], camera: str = "door") -> Stranger:
        """Somebody whom the daemon told of, and what it said."""
        stranger = self.studio.strangers.recall(samples[0], 1.0, set())
        for number, encoding in enumerate(samples):
            self.studio.strangers.seen(
                stranger, camera, f"track-{number}", 7_000_000_000, Sample(encoding, 0.8)
            )
        return stranger

    def store(self, *told: Event) -> list[int]:
        return [message.seq or 0 for message in self.journal.append(told)]


@dataclass
class Direct:
    """The other end of a control socket, without the socket."""

    operations: dict[str, Any]

    def ask(self, operation: str, **arguments: object) -> Any:
        answer = self.operations[operation](json.loads(json.dumps(arguments)))
        return json.loads(json.dumps(answer))


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    nets, tallies = Lookalikes(), {"door": Tally("online"), "yard": Tally("online")}
    path = tmp_path / "journal.db"
    with Gallery.open(tmp_path / "gallery.db") as gallery, Journal.open(path, "e") as journal:
        made = Studio(
            nets,
            Strangers(THRESHOLD, 100.0),
            tallies,
            THRESHOLD,
            lambda: JournalReader(path),
            keep_crops=False,
        )
        made.since_unix_us = 0
        yield Room(gallery, made, Life(Direct(operations(gallery, MODEL, made))), nets, tallies, journal)


def enrol(gallery: Gallery, name: str, rows: list[NDArray[np.float32]]) -> None:
    references = [
        NewReference(row, MODEL, f"{name}{i}".ljust(64, "0"), f"{i}.jpg", 0.9) for i, row in enumerate(rows)
    ]
    gallery.add(name, references, ENROLLED_UNIX_NS)


def test_a_sitting_ends_with_references_of_each_pose_and_an_entry_in_the_trail(room: Room) -> None:
    report = room.sit_through("앤")
    assert [each.image for each in report.enrolled] == [f"door, {pose}" for pose in TURNS]
    assert report.refused == ()
    assert room.gallery.person("앤").references == len(TURNS)
    (entry,) = room.gallery.trail()
    assert (entry.what, entry.detail) == ("enrolled", {"references": len(TURNS), "camera": "door"})


def test_a_sitting_that_is_not_done_enrols_nobody_and_one_that_was_left_is_gone(room: Room) -> None:
    sitting = room.life.begin("door", "ann")
    room.frame(face())
    with pytest.raises(UsageError, match="not done"):
        room.life.enroll(sitting, "ann")
    room.life.leave(sitting)
    room.life.leave(sitting)
    with pytest.raises(UsageError, match="is over"):
        room.life.look(sitting)
    assert room.gallery.people() == []


def test_a_full_disk_at_the_end_of_a_sitting_keeps_what_was_taken_for_another_try(room: Room) -> None:
    sitting = room.life.begin("door", "ann")
    while (asked := room.life.look(sitting).asked) is not None:
        room.frame(face(*TURNS[asked]))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
    try:
        with pytest.raises(GalleryError, match="nothing was changed"):
            room.life.enroll(sitting, "ann")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert room.gallery.people() == []
    assert len(room.life.enroll(sitting, "ann").enrolled) == len(TURNS)
    with pytest.raises(UsageError, match="is over"):
        room.life.enroll(sitting, "ann")


def test_somebody_who_is_enrolled_gets_no_second_name(room: Room) -> None:
    enrol(room.gallery, "bob", [room.nets.looks, *person_at(5)[1:]])
    report = room.sit_through("ann")
    assert report.enrolled == ()
    assert {each.reason for each in report.refused} == {"same_person"}
    assert [person.name for person in room.gallery.people()] == ["bob"]


def test_names_cameras_and_consent_are_checked_before_anybody_sits(room: Room) -> None:
    with pytest.raises(NameRefused):
        room.life.begin("door", "\n")
    with pytest.raises(UsageError, match="no such camera; it has door, yard"):
        room.life.begin("nowhere", "ann")
    room.gallery.requires_consent = True
    with pytest.raises(TermsRefused):
        room.life.begin("door", "ann")
    terms = {"consent_basis": "consent", "consent_reference": "form 12"}
    assert room.sit_through("ann", terms).enrolled
    # Who is there needs no more.
    room.life.leave(room.life.begin("door", "ann"))


@pytest.mark.parametrize("state", ["starting", "offline", "ended", "frozen", "stalled"])
def test_a_camera_that_does_not_see_is_said_with_its_reason(room: Room, state: str) -> None:
    room.tallies["door"].told(CameraChange("door", state, "no picture for 5 s"), "t")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=f"camera door is {state}: no picture for 5 s"):
        room.life.begin("door", "ann")


def test_a_camera_that_goes_away_or_is_silent_ends_the_sitting(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    sitting = room.life.begin("door", "ann")
    room.frame(face())
    room.tallies["door"].state = "offline"
    with pytest.raises(UsageError, match="camera door is offline"):
        room.life.look(sitting)
    room.tallies["door"].state = "online"
    monkeypatch.setattr(studio, "SILENT_S", -1.0)
    with pytest.raises(UsageError, match="has shown no frame"):
        room.life.look(sitting)


def test_a_sitting_nobody_asks_for_is_dropped(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    sitting = room.life.begin("door", "ann")
    with pytest.raises(UsageError, match="somebody else is being enrolled before camera door"):
        room.life.begin("door", "bob")
    room.life.leave(room.life.begin("yard", "bob"))
    monkeypatch.setattr(studio, "UNASKED_S", -1.0)
    room.frame(face())
    with pytest.raises(UsageError, match="is over"):
        room.life.look(sitting)


def test_who_is_told_as_unknown_is_noted_with_camera_stay_and_sample(room: Room) -> None:
    stranger = room.studio.strangers.recall(room.nets.looks, 1.0, set())
    track = face()
    track.evidence.add(room.nets.looks, 0.7, 1.0)
    room.frame(track, stranger=stranger, camera="yard")
    (row,) = room.life.strangers()
    assert {key: row[key] for key in ("number", "id", "camera", "stays", "samples", "best_quality")} == {
        "number": 1,
        "id": stranger.id,
        "camera": "yard",
        "stays": 1,
        "samples": 1,
        "best_quality": 0.7,
    }


def test_a_named_stranger_is_told_of_once_for_each_camera_with_what_the_journal_has(room: Room) -> None:
    stranger = room.meet(person_at(5))
    room.studio.strangers.seen(stranger, "yard", "track-9", 9_000_000_000)
    other = events.life(UNKNOWN)
    ours = other.telling({"stranger": stranger.id})
    room.store(other, ours, events.sighting(NAMED), other)
    done = room.life.name("1", "ann", strict=True)
    assert (len(done.report.enrolled), done.events) == (3, 1)
    door, yard = room.studio.news()
    assert room.studio.news() == []
    assert (door.topic, yard.topic) == ("face/door/named/", "face/yard/named/")
    assert door.data["events"] == [{"seq": 2, "id": ours.id, "track": ours.data["track"], "state": "unknown"}]
    assert (door.data["tracks"], yard.data["tracks"]) == (["track-0", "track-1", "track-2"], ["track-9"])
    assert yard.data["events"] == []
    assert room.life.strangers() == []
    # Nobody is present by it.
    presence = Presence(["door"], 0)
    presence.note(door, 5)
    assert presence.now() == (5, {"door": []})


def test_a_stranger_whom_the_loop_recognizes_while_being_named_is_named_all_the_same(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = room.meet(person_at(5))
    add = room.gallery.add

    def add_and_be_seen(*arguments: Any, **detail: Any) -> Person:
        person = add(*arguments, **detail)
        room.studio.strangers.drop(stranger)
        return person

    monkeypatch.setattr(room.gallery, "add", add_and_be_seen)
    done = room.life.name("1", "ann", strict=True)
    assert len(done.report.enrolled) == 3
    assert [event.topic for event in room.studio.news()] == ["face/door/named/"]


def test_a_journal_that_can_not_be_read_keeps_nobody_from_being_named(room: Room, tmp_path: Path) -> None:
    room.meet(person_at(5))
    room.studio.journal = lambda: JournalReader(tmp_path / "no" / "journal.db")
    done = room.life.name("1", "ann", strict=True)
    assert (len(done.report.enrolled), done.events) == (3, 0)
    (told,) = room.studio.news()
    assert told.data["events"] == []


def test_a_stranger_who_is_somebody_else_is_refused_stays_and_is_taken_without_strict(room: Room) -> None:
    enrol(room.gallery, "bob", person_at(5))
    room.meet([each + point((120, 0.25)) for each in person_at(5)])
    report = room.life.name("1", "ann", strict=True).report
    assert report.enrolled == ()
    assert {each.reason for each in report.refused} == {"same_person"}
    assert len(room.life.strangers()) == 1
    assert room.studio.news() == []
    report = room.life.name("1", "ann", strict=False).report
    assert len(report.enrolled) == 3


def test_a_name_that_is_there_gets_more_references(room: Room) -> None:
    enrol(room.gallery, "ann", person_at(5))
    room.meet([each + point((120, 0.25)) for each in person_at(5)])
    report = room.life.name("1", "ann", strict=True).report
    assert room.gallery.person("ann").references == 3 + len(report.enrolled) == 6


def test_who_calibrated_before_is_told_that_it_is_due_again(room: Room) -> None:
    enrol(room.gallery, "bob", person_at(1))
    bob = room.gallery.person("bob").id
    room.gallery.set_thresholds({bob: 0.5}, model=MODEL, fmr=0.001, calibrated_unix_ns=1)
    room.meet(person_at(5))
    assert room.life.name("1", "ann", strict=True).outdated
    room.meet(person_at(6))
    room.gallery.set_thresholds({}, model=MODEL, fmr=0.001, calibrated_unix_ns=1)
    assert not room.life.name("2", "cem", strict=True).outdated


def test_a_stranger_without_a_good_sample_is_not_named(room: Room) -> None:
    stranger = room.studio.strangers.recall(room.nets.looks, 1.0, set())
    room.studio.strangers.seen(stranger, "door", "t", 1)
    with pytest.raises(UsageError, match="never seen well enough"):
        room.life.name("1", "ann", strict=True)


def test_strangers_are_forgotten_one_or_all(room: Room) -> None:
    for axis in (1, 2, 3):
        room.meet(person_at(axis))
    first, *rest = [each["id"] for each in room.life.strangers()]
    assert room.life.forget("1") == [first]
    assert sorted(room.life.forget(None)) == sorted(rest)
    assert room.life.strangers() == []
