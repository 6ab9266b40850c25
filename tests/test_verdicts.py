"""Benchmarks of decisions count what the daemon decides, and their verdicts can say no."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.identities import Identities
from benchmarks.openset_draws import make_draws
from benchmarks.thresholds import compare
from benchmarks.tracks_scenes import (
    HAMILTON,
    HEADPOSE,
    LOOK_ALIKE,
    MILK,
    SCENES,
    SECOND_OF_TWO,
    THREE,
    Box,
    Played,
    Scene,
    Told,
)
from benchmarks.tracks_verdicts import box_verdicts, verdicts
from benchmarks.vetoes import SLACKS, count_vetoes
from gallery.decision import Rules, decide
from gallery.matcher import Index
from gallery.people import PersonName


def told(kind: str, name: str | None, samples: int = 3, frame: int = 6) -> Told:
    return Told(frame, kind, name, 0.4, samples, "v")


def play(scene: Scene, name: str | None, place: float = 0.5, frames: range = range(88, 209)) -> Played:
    """One track of this name and place, told once, on all these frames."""
    boxes = [Box(frame, "t", name, place) for frame in frames]
    changes = [told("recognized" if name else "unknown", name), told("left", name)]
    found = len(boxes)
    return Played(scene, changes, boxes, found, found, found, found, right=found, frames=found)


def all_right() -> dict[Scene, Played]:
    names = {scene: scene.enrolled[0][0] for scene in SCENES}
    plays = {scene: play(scene, name, place=0.1) for scene, name in names.items()}
    plays[LOOK_ALIKE] = play(LOOK_ALIKE, None)
    plays[SECOND_OF_TWO] = play(SECOND_OF_TWO, "man b")
    plays[HEADPOSE].boxes += [Box(88, "u", "headpose man", 0.9)]
    plays[HEADPOSE].right += 1
    return plays


def failing(plays: dict[Scene, Played]) -> list[str]:
    return [verdict["asked"] for verdict in verdicts(list(plays.values()), 3) if not verdict["holds"]]


def test_where_all_is_right_every_line_holds() -> None:
    assert failing(all_right()) == []


@pytest.mark.parametrize(
    ("scene", "spoil", "asked"),
    [
        (MILK, lambda each: each.told.append(told("corrected", None)), "asl_milk: one recognized"),
        (LOOK_ALIKE, lambda each: each.told.append(told("recognized", "man a")), "asl_again with its"),
        (SECOND_OF_TWO, lambda each: each.told.append(told("recognized", "man a")), "asl_again with both"),
        (HEADPOSE, lambda each: each.boxes.append(Box(9, "t", "woman", 0.8)), "headpose"),
        (HAMILTON, lambda each: each.boxes.pop(0), "hamilton: Miranda on frames"),
        (HAMILTON, lambda each: each.boxes.append(Box(100, "x", None, 0.1)), "hamilton: one track"),
        (HAMILTON, lambda each: each.boxes.append(Box(211, "x", "alex", 0.1)), "hamilton: nobody"),
        (THREE, lambda each: each.boxes.append(Box(9, "t", "woman", 0.5)), "three people"),
        (MILK, lambda each: each.told.append(told("recognized", "man a", samples=2)), "no name before 3"),
        (MILK, lambda each: each.boxes.append(Box(9, "second", None, 0.5)), "at most 1.2 tracks"),
    ],
)
def test_each_line_can_say_no(scene: Scene, spoil: object, asked: str) -> None:
    plays = all_right()
    assert callable(spoil)
    spoil(plays[scene])
    assert any(line.startswith(asked) for line in failing(plays))


def test_coverage_and_precision_are_of_all_boxes_and_meet_their_limits_exactly() -> None:
    def held(covered: int, right: int) -> list[bool]:
        one = replace(play(MILK, None, frames=range(100)), covered=covered, right=right)
        return [verdict["holds"] for verdict in box_verdicts([one])]

    assert held(covered=85, right=99) == [True, True]
    assert held(covered=84, right=98) == [False, False]


def test_vetoes_are_counted_as_the_daemon_decides_them() -> None:
    random = np.random.default_rng(4)
    owners = np.repeat(np.arange(12), 3)
    points = (random.normal(size=(12, 4)) * 0.25)[owners] + random.normal(size=(36, 4)) * 0.12
    identities = Identities("points", owners, points.astype(np.float32))
    rules = Rules(threshold=0.4, margin=0.0, hysteresis=0.0)
    alike_named = own_lost = 0
    for reference, person in enumerate(owners):
        for alike, other in enumerate(owners):
            enrolled = identities.encodings[[reference]]
            one = Index.of([PersonName("1", "p")], [0], enrolled, model="m", revision=1)
            if other == person or decide(one, identities.encodings[[alike]], rules)[0].person is None:
                continue
            vetoed = replace(
                one, not_owners=np.zeros(1, np.intp), not_encodings=identities.encodings[[alike]]
            )
            for shown in set(range(36)) - {reference, alike}:
                before, after = (
                    decide(index, identities.encodings[[shown]], rules)[0].person for index in (one, vetoed)
                )
                alike_named += owners[shown] == other and after is not None
                own_lost += owners[shown] == person and before is not None and after is None
    count = count_vetoes(identities, 0.4, SLACKS[0])
    assert (count.alike_named, count.own_lost) == (alike_named, own_lost)
    assert 0 < count.alike_named < count.alike
    assert 0 < count.own_lost < count.own
    wider = count_vetoes(identities, 0.4, 0.1)
    assert wider.alike_named < count.alike_named
    assert wider.own_lost > count.own_lost


def test_a_single_threshold_is_told_that_names_as_many_strangers_as_each_way() -> None:
    random = np.random.default_rng(3)
    owners = np.repeat(np.arange(180), [2] * 80 + [1] * 100)
    points = (random.normal(size=(180, 10)) * 0.16)[owners] + random.normal(size=(260, 10)) * 0.07
    identities = Identities("points", owners, points.astype(np.float32))
    for line in compare(list(make_draws(identities, people=30, count=3, seed=1)), fmr=0.05):
        assert line.threshold_rates.strangers == pytest.approx(line.rates.strangers, abs=0.5), line.how


def test_a_verdict_tells_what_was_measured() -> None:
    milk = verdicts(list(all_right().values()), 3)[0]
    assert milk["measured"] == "recognized man a, left man a"
