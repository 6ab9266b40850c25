"""The life of a decision: named once, corrected slowly, gone after a while."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.config import TrackerConfig
from daemon.strangers import Strangers
from daemon.track import Track
from daemon.visits import Change, Visits
from gallery.decision import Decision
from gallery.people import PersonName

ANN, BOB = PersonName("1", "ann"), PersonName("2", "bob")
EVERYBODY = {"1", "2"}
SETTINGS = TrackerConfig(confirm_samples=3, unknown_after_s=1.0, rejoin_s=3.0)
NEEDED = 3


class Scene:
    """One camera's visits, driven by hand."""

    def __init__(self) -> None:
        self.strangers = Strangers(threshold=0.6, forget_after_s=100.0)
        self.visits = Visits(SETTINGS, self.strangers)
        self.time_s = 0.0
        self.tracks: dict[str, Track] = {}

    def track(self, name: str, samples: int = NEEDED, looks: float = 0.0) -> Track:
        box, landmarks = np.zeros(4, np.float32), np.zeros((5, 2), np.float32)
        track = Track(name, box, landmarks, 1.0, self.time_s, self.time_s)
        self.sample(track, samples, looks)
        self.visits.of(track)
        self.tracks[name] = track
        return track

    def sample(self, track: Track, count: int = 1, looks: float = 0.0) -> None:
        for _ in range(count):
            track.evidence.add(vector(looks), 1.0, self.time_s)

    def decide(self, **found: PersonName | None) -> list[Change]:
        """A frame on which these tracks are seen."""
        for name in found:
            self.tracks[name].seen_s = self.time_s
        decisions = {name: decision(person) for name, person in found.items()}
        return self.visits.decide(decisions, EVERYBODY, NEEDED, self.time_s)


def vector(looks: float) -> NDArray[np.float32]:
    return np.array([looks, 0.0], np.float32)


def decision(person: PersonName | None, distance: float = 0.4) -> Decision:
    return Decision(person, distance, 0.52, person or ANN, None, "near" if person else "far")


def told(changes: list[Change]) -> list[tuple[str, str | None, str | None, int]]:
    return [
        (
            change.kind,
            change.visit.person.name if change.visit.person else None,
            change.previous.name if change.previous else None,
            change.visit.revision,
        )
        for change in changes
    ]


def test_nobody_is_named_before_there_are_enough_samples() -> None:
    scene = Scene()
    track = scene.track("a", samples=NEEDED - 1)
    assert scene.decide(a=ANN) == []
    scene.sample(track)
    assert told(scene.decide(a=ANN)) == [("recognized", "ann", None, 1)]
    assert scene.decide(a=ANN) == []


def test_a_stranger_is_told_after_a_while_and_recognized_if_named_later() -> None:
    scene = Scene()
    scene.track("a")
    assert scene.decide(a=None) == []
    scene.time_s = 1.0
    (unknown,) = scene.decide(a=None)
    assert told([unknown]) == [("unknown", None, None, 1)]
    assert unknown.visit.stranger is not None
    assert told(scene.decide(a=ANN)) == [("recognized", "ann", None, 2)]
    assert unknown.visit.stranger is None


def test_a_name_is_corrected_only_after_further_samples_contradict_it() -> None:
    scene = Scene()
    track = scene.track("a")
    scene.decide(a=ANN)
    for _ in range(3):
        assert scene.decide(a=BOB) == []
        scene.sample(track)
    assert told(scene.decide(a=BOB)) == [("corrected", "bob", "ann", 2)]


def test_a_contradiction_that_ceases_is_forgotten() -> None:
    scene = Scene()
    track = scene.track("a")
    scene.decide(a=ANN)
    for found in (BOB, BOB, ANN, BOB, BOB):
        assert scene.decide(a=found) == []
        scene.sample(track)


def test_a_name_taken_back_is_a_correction_to_nobody_and_so_is_its_return() -> None:
    scene = Scene()
    track = scene.track("a")
    scene.decide(a=ANN)
    scene.decide(a=None)
    scene.sample(track, 3)
    (back,) = scene.decide(a=None)
    assert told([back]) == [("corrected", None, "ann", 2)]
    assert back.visit.stranger is not None
    scene.decide(a=ANN)
    scene.sample(track, 3)
    assert told(scene.decide(a=ANN)) == [("corrected", "ann", None, 3)]


def test_who_is_removed_from_the_gallery_loses_the_name_at_once() -> None:
    scene = Scene()
    scene.track("a")
    scene.decide(a=ANN)
    changes = scene.visits.decide({"a": decision(None)}, {"2"}, NEEDED, 0.0)
    assert told(changes) == [("corrected", None, "ann", 2)]


def test_who_is_forgotten_in_view_or_away_is_a_stranger_whom_nobody_remembers() -> None:
    scene = Scene()
    here, gone = scene.track("a"), scene.track("b", looks=9.0)
    scene.decide(a=ANN)
    scene.decide(b=BOB)
    scene.visits.end([gone])
    changes = scene.visits.forget({ANN.id, BOB.id})
    assert told(changes) == [("corrected", None, "ann", 2), ("corrected", None, "bob", 2)]
    assert all(change.visit.stranger for change in changes)
    for visit in (change.visit for change in changes):
        assert visit.stranger
        scene.strangers.seen(visit.stranger, "door", "a", 1)
    scene.sample(here, looks=0.01)
    scene.time_s = 1.0
    assert scene.decide(a=None) == []
    assert scene.strangers.all() == []
    assert scene.strangers.recall(vector(0.0), 1.0, set()) is not changes[0].visit.stranger


def test_who_was_told_leaves_after_rejoin_s_and_who_was_not_just_goes() -> None:
    scene = Scene()
    known, glimpse = scene.track("a"), scene.track("b", samples=1)
    scene.decide(a=ANN)
    assert scene.visits.end([known, glimpse]) == []
    assert scene.visits.leave(3.0) == []
    assert told(scene.visits.leave(3.001)) == [("left", "ann", "ann", 2)]
    assert scene.visits.leave(None) == []


def test_who_is_back_in_time_goes_on_with_the_same_visit() -> None:
    scene = Scene()
    first = scene.track("a")
    before = scene.visits.of(first)
    scene.decide(a=ANN)
    scene.visits.end([first])
    scene.time_s = 2.0
    back = scene.track("b")
    assert scene.decide(b=ANN) == []
    visit = scene.visits.of(back)
    assert (visit, visit.samples, visit.first_s) == (before, 2 * NEEDED, 0.0)
    assert scene.visits.leave(100.0) == []


def test_who_is_found_elsewhere_while_the_old_track_is_still_looked_for_goes_on_too() -> None:
    scene = Scene()
    lost = scene.track("a")
    before = scene.visits.of(lost)
    scene.decide(a=ANN)
    lost.lost = True
    back = scene.track("b")
    assert scene.decide(b=ANN) == []
    assert scene.visits.of(back) is before
    assert scene.visits.end([lost]) == []
    assert scene.visits.leave(100.0) == []


def test_a_track_whose_visit_went_on_with_another_begins_a_new_visit_when_it_is_found_again() -> None:
    scene = Scene()
    lost = scene.track("a")
    scene.decide(a=ANN)
    lost.lost = True
    back = scene.track("b")
    scene.decide(b=ANN)
    lost.lost = False
    assert scene.visits.of(lost) is not scene.visits.of(back)
    assert scene.visits.of(lost).id != scene.visits.of(back).id


def test_a_cut_ends_a_visit_for_good() -> None:
    scene = Scene()
    track = scene.track("a")
    scene.decide(a=ANN)
    assert told(scene.visits.end([track], for_good=True)) == [("left", "ann", "ann", 2)]
    scene.track("b")
    assert told(scene.decide(b=ANN)) == [("recognized", "ann", None, 1)]


def test_who_takes_a_name_takes_it_from_whoever_in_view_has_it_before_it_is_told_again() -> None:
    scene = Scene()
    scene.track("a")
    scene.decide(a=ANN)
    scene.track("b")
    changes = scene.decide(a=None, b=ANN)
    assert told(changes) == [("corrected", None, "ann", 2), ("recognized", "ann", None, 1)]
    assert scene.decide(a=None, b=ANN) == []


def test_two_who_were_mixed_up_are_never_one_person_at_a_time() -> None:
    scene = Scene()
    first, second = scene.track("a"), scene.track("b")
    scene.decide(a=ANN, b=BOB)
    heard = []
    for _ in range(4):
        heard += told(scene.decide(a=BOB, b=ANN))
        scene.sample(first, 3)
        scene.sample(second, 3)
    assert heard == [
        ("corrected", None, "bob", 2),
        ("corrected", "bob", "ann", 2),
        ("corrected", "ann", None, 3),
    ]
    assert scene.visits.of(first).person == BOB


def test_who_is_named_late_after_coming_back_ends_the_visit_before() -> None:
    scene = Scene()
    first = scene.track("a")
    scene.decide(a=ANN)
    scene.visits.end([first])
    scene.track("b", looks=0.9)
    scene.time_s = 1.0
    assert told(scene.decide(b=None)) == [("unknown", None, None, 1)]
    assert told(scene.decide(b=ANN)) == [("left", "ann", "ann", 2), ("recognized", "ann", None, 2)]
    assert scene.visits.leave(100.0) == []


def test_who_is_not_seen_while_time_goes_by_is_not_told_to_be_a_stranger() -> None:
    scene = Scene()
    track = scene.track("a")
    assert scene.decide(a=None) == []
    track.lost = True
    scene.time_s = 1.5
    assert scene.decide() == []
    track.lost = False
    assert told(scene.decide(a=None)) == [("unknown", None, None, 1)]


def test_who_is_removed_from_the_gallery_while_out_of_sight_loses_the_name_when_seen_again() -> None:
    scene = Scene()
    track = scene.track("a")
    scene.decide(a=ANN)
    track.lost = True
    assert scene.visits.decide({}, {"2"}, NEEDED, 0.5) == []
    changes = scene.visits.decide({"a": decision(None)}, {"2"}, NEEDED, 1.0)
    assert told(changes) == [("corrected", None, "ann", 2)]


def test_a_stranger_keeps_the_id_over_visits_and_two_in_view_are_two() -> None:
    scene = Scene()
    first = scene.track("a", looks=0.0)
    scene.time_s = 1.0
    (one,) = scene.decide(a=None)
    scene.track("b", looks=0.1)
    scene.time_s = 2.0
    (two,) = scene.decide(b=None)
    assert one.visit.stranger is not two.visit.stranger
    scene.visits.end([first], for_good=True)
    scene.track("c", looks=0.0)
    scene.time_s = 3.0
    (again,) = scene.decide(c=None)
    assert again.visit.stranger is one.visit.stranger


def test_strangers_are_forgotten_after_their_time() -> None:
    strangers = Strangers(threshold=0.6, forget_after_s=10.0)
    first = strangers.recall(vector(0.0), 0.0, set())
    assert strangers.recall(vector(0.6), 10.0, set()) is first
    assert strangers.recall(vector(0.6), 20.1, set()) is not first
