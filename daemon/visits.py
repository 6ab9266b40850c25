"""Who each face is, from its first naming to its leaving; told once a change.

A visit is one stay of one face before one camera. It may go on over several tracks: whoever is back soon
enough has not left.
"""

from __future__ import annotations

import uuid
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from daemon.config import TrackerConfig
from daemon.strangers import Stranger, Strangers
from daemon.track import Track
from gallery.decision import Decision
from gallery.people import PersonName

if TYPE_CHECKING:
    from daemon.crops import Shot

ChangeKind = Literal["recognized", "unknown", "corrected", "left"]
VisitState = Literal["undecided", "recognized", "unknown", "corrected", "left"]


@dataclass(slots=True, eq=False)
class Visit:
    """One stay of one face before one camera."""

    id: str
    """Unique for ever; subscribers know it by this, as the track."""
    track: Track
    """The track that shows it now, or showed it last."""
    first_s: float
    """Time of its first frame."""
    state: VisitState = "undecided"
    """What was told last."""
    person: PersonName | None = None
    """Who was told last."""
    named: bool = False
    """Whether it ever had a name."""
    stranger: Stranger | None = None
    """Which stranger it is, while nobody is named."""
    revision: int = 0
    """Rises by one with every change told."""
    decision: Decision | None = None
    """What the samples say by now; None: there are none."""
    best_distance: float | None = None
    """The least to the person told last."""
    earlier_samples: int = 0
    """Fit samples of the tracks before this one."""
    differing_since: int | None = None
    """How many samples there were when they began to contradict what was told; None: they don't."""
    best: Shot | None = None
    """The picture that shows most of it; None: nobody asks for crops."""

    @property
    def is_settled(self) -> bool:
        """Something was told, and nothing contradicts it."""
        return self.state != "undecided" and self.differing_since is None

    @property
    def samples(self) -> int:
        """Fit samples so far."""
        return self.earlier_samples + self.track.evidence.count


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """Something to tell about a visit."""

    kind: ChangeKind
    """What happened."""
    visit: Visit
    """The visit as it is from now on."""
    previous: PersonName | None
    """Who it was until now."""


class Visits:
    """The visits of one camera."""

    def __init__(self, settings: TrackerConfig, strangers: Strangers) -> None:
        self._settings = settings
        self._strangers = strangers
        self._here: dict[str, Visit] = {}
        """By the id of the track that shows it."""
        self._away: list[Visit] = []

    def adjust(self, settings: TrackerConfig) -> None:
        """Goes on with these."""
        self._settings = settings

    def of(self, track: Track) -> Visit:
        """The visit that this track shows; a new one for a new track."""
        if track.id not in self._here:
            # Not the track's id: a track whose visit went on with another may itself be found again.
            self._here[track.id] = Visit(str(uuid.uuid4()), track, track.first_s)
        return self._here[track.id]

    def decide(
        self, decisions: Mapping[str, Decision], enrolled: Container[str], needed: int, time_s: float
    ) -> list[Change]:
        """What changes with the decisions of one frame, which are given by track id for those seen on it.

        enrolled: ids of the gallery's people. needed: fit samples before anything is told.
        """
        changes: list[Change] = []
        for visit in list(self._here.values()):
            decision = decisions.get(visit.track.id)
            if decision is None:
                continue
            visit.decision = decision
            if visit.samples < needed:
                continue
            if visit.person is not None and visit.person.id not in enrolled:
                changes += self._name(visit, decision, "corrected", time_s)
            elif visit.state == "undecided":
                changes += self._begin(visit, decision, time_s)
            else:
                changes += self._weigh(visit, decision, time_s)
        return changes

    def forget(self, people: Container[str]) -> list[Change]:
        """Takes these people's names, by their ids, from everybody here and away, at once."""
        changes: list[Change] = []
        for visit in [*self._here.values(), *self._away]:
            if visit.decision is not None:
                visit.decision = _without(visit.decision, people)
            if visit.person is None or visit.person.id not in people:
                continue
            previous, visit.person = visit.person, None
            visit.differing_since = visit.best_distance = visit.best = None
            visit.stranger = self._recall(visit, visit.track.seen_s)
            # Told of under this id, and not remembered: who comes again is another stranger.
            self._strangers.drop(visit.stranger)
            visit.state = "corrected"
            changes.append(_change(visit, "corrected", previous))
        return changes

    def end(self, tracks: Sequence[Track], *, for_good: bool = False) -> list[Change]:
        """These tracks ended. Their visits are away, and may be back; for_good: they have left."""
        ended = [visit for track in tracks if (visit := self._here.pop(track.id, None)) is not None]
        told = [visit for visit in ended if visit.state != "undecided"]
        if for_good:
            return [_left(visit) for visit in told]
        self._away += told
        return []

    def leave(self, time_s: float | None) -> list[Change]:
        """Who has been away for too long has left; None: everybody who is away."""
        gone = [
            visit
            for visit in self._away
            if time_s is None or time_s - visit.track.seen_s > self._settings.rejoin_s
        ]
        self._away = [visit for visit in self._away if visit not in gone]
        return [_left(visit) for visit in gone]

    def _begin(self, visit: Visit, decision: Decision, time_s: float) -> list[Change]:
        """The first word about a visit, or none if it goes on with one that was away."""
        if decision.person is not None:
            same = [absent for absent in self._absent() if absent.person == decision.person]
            if same:
                self._rejoin(same[-1], visit)
                return []
            return self._name(visit, decision, "recognized", time_s)
        if time_s - visit.first_s < self._settings.unknown_after_s:
            return []
        visit.stranger = self._recall(visit, time_s)
        same = [absent for absent in self._absent() if absent.stranger is visit.stranger]
        if same:
            self._rejoin(same[-1], visit)
            return []
        visit.state = "unknown"
        return [_change(visit, "unknown", None)]

    def _weigh(self, visit: Visit, decision: Decision, time_s: float) -> list[Change]:
        """Holds what the samples say against what was told; it takes several to change a name."""
        if decision.person == visit.person:
            visit.differing_since = None
            self._note(visit, decision, time_s)
            return []
        if visit.differing_since is None:
            visit.differing_since = visit.samples
        naming = visit.person is None and not visit.named
        if not naming and visit.samples - visit.differing_since < self._settings.confirm_samples:
            return []
        return self._name(visit, decision, "recognized" if naming else "corrected", time_s)

    def _name(self, visit: Visit, decision: Decision, kind: ChangeKind, time_s: float) -> list[Change]:
        """Tells who it is from now on; before that, that whoever had the name has it no more."""
        freed = self._free(decision.person, time_s) if decision.person is not None else []
        previous, visit.person = visit.person, decision.person
        visit.differing_since = visit.best_distance = None
        if visit.person is None:
            visit.stranger = self._recall(visit, time_s)
        else:
            visit.named = True
            if visit.stranger is not None:
                self._strangers.drop(visit.stranger)
                visit.stranger = None
        visit.state = "recognized" if kind == "recognized" else "corrected"
        self._note(visit, decision, time_s)
        return [*freed, _change(visit, kind, previous)]

    def _free(self, person: PersonName, time_s: float) -> list[Change]:
        """One person is one face: another in view is nobody from now on, one that is away has left."""
        changes = []
        for other in [each for each in self._absent() if each.person == person]:
            self._away = [away for away in self._away if away is not other]
            self._here.pop(other.track.id, None)
            changes.append(_left(other))
        for other in [each for each in self._here.values() if each.person == person]:
            assert other.decision is not None
            changes += self._name(other, replace(other.decision, person=None), "corrected", time_s)
        return changes

    def _recall(self, visit: Visit, time_s: float) -> Stranger:
        """Which stranger it is; two faces in view are never one."""
        seen = (each for each in self._here.values() if not each.track.lost)
        present = {each.stranger.id for each in seen if each.stranger is not None}
        return self._strangers.recall(visit.track.evidence.fused, time_s, present)

    def _note(self, visit: Visit, decision: Decision, time_s: float) -> None:
        if visit.person is not None and decision.distance is not None:
            least = decision.distance if visit.best_distance is None else visit.best_distance
            visit.best_distance = min(least, decision.distance)
        if visit.stranger is not None and visit.track.evidence.count:
            self._strangers.note(visit.stranger, visit.track.evidence.fused, time_s)

    def _absent(self) -> list[Visit]:
        """Who was told and is not seen just now, the latest last."""
        lost = [visit for visit in self._here.values() if visit.track.lost and visit.state != "undecided"]
        return [*self._away, *lost]

    def _rejoin(self, visit: Visit, newcomer: Visit) -> None:
        """A visit that nobody saw for a while goes on with the newcomer's track."""
        self._away = [away for away in self._away if away is not visit]
        self._here.pop(visit.track.id, None)
        visit.earlier_samples += visit.track.evidence.count
        visit.track, visit.decision = newcomer.track, newcomer.decision
        self._here[visit.track.id] = visit


def _without(decision: Decision, people: Container[str]) -> Decision:
    """The decision as if nobody had ever heard of these."""
    runner_up, nearest = decision.runner_up, decision.nearest
    if runner_up is not None and runner_up.id in people:
        decision = replace(decision, runner_up=None)
    if nearest is not None and nearest.id in people:
        decision = replace(decision, person=None, nearest=None, distance=None)
    return decision


def _left(visit: Visit) -> Change:
    return _change(visit, "left", visit.person)


def _change(visit: Visit, kind: ChangeKind, previous: PersonName | None) -> Change:
    visit.revision += 1
    if kind == "left":
        visit.state = "left"
    return Change(kind, visit, previous)
