"""What is asked of tracks and decisions on the clips, and whether it holds; computed from what was played."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from benchmarks.tracks_scenes import (
    FIRST_OF_TWO,
    HAMILTON,
    HEADPOSE,
    HEADPOSE_MAN,
    LOOK_ALIKE,
    MAN_A,
    MAN_B,
    MILK,
    MIRANDA,
    SECOND_OF_TWO,
    THREE,
    WOMAN,
    Played,
)

SURE_SCORE = 0.95
"""Below are profiles in the dark, a blurred audience, and the skull printed on a pullover."""
MOST_TRACKS = 1.2
LEAST_COVERAGE = 0.85
LEAST_PRECISION = 0.99
MIRANDA_FRAMES = range(88, 209)
MIRANDA_SCENE = range(82, 211)
LEFT_THIRD = 1 / 3


class Verdict(TypedDict):
    """One line of what is asked."""

    asked: str
    """In words."""
    holds: bool
    """Whether it does."""
    measured: str
    """What was."""


def box_verdicts(played: Sequence[Played]) -> list[Verdict]:
    """What is asked of the tracks' boxes at any size of the clips."""
    return _boxes(_each_clip_once(played))


def verdicts(played: Sequence[Played], min_samples: int) -> list[Verdict]:
    """All that is asked of the clips as they are; enlarged, they show more people than were counted."""
    by_scene = {each.scene: each for each in played}
    return [
        _milk(by_scene[MILK]),
        _names(by_scene[LOOK_ALIKE], "asl_again with its look-alike enrolled: no name to anybody", set()),
        _names(by_scene[SECOND_OF_TWO], "asl_again with both enrolled: man b alone", {MAN_B[0]}),
        _names(by_scene[FIRST_OF_TWO], "asl_milk with both enrolled: man a alone", {MAN_A[0]}),
        _headpose(by_scene[HEADPOSE]),
        *_hamilton(by_scene[HAMILTON]),
        _three(by_scene[THREE]),
        _samples(played, min_samples),
        _tracks(played),
        *box_verdicts(played),
    ]


def _milk(played: Played) -> Verdict:
    told = [(each.kind, each.name) for each in played.told]
    wanted = [("recognized", MAN_A[0]), ("left", MAN_A[0])]
    return _verdict("asl_milk: one recognized, one left, both man a", told == wanted, _in_words(told))


def _names(played: Played, asked: str, wanted: set[str]) -> Verdict:
    told = [(each.kind, each.name) for each in played.told]
    given = {each.name for each in played.told if each.name} | {box.name for box in played.boxes if box.name}
    return _verdict(asked, given == wanted, _in_words(told))


def _headpose(played: Played) -> Verdict:
    women, men = played.named(WOMAN[0]), played.named(HEADPOSE_MAN[0])
    swapped = [box.frame for box in women if box.place > 0.5] + [box.frame for box in men if box.place < 0.5]
    measured = f"woman on {len(women)} frames, man on {len(men)}, swapped on {len(swapped)}"
    return _verdict(
        "headpose: woman left, man right, never swapped", bool(women and men) and not swapped, measured
    )


def _hamilton(played: Played) -> list[Verdict]:
    named = [box for box in played.named(MIRANDA[0]) if box.frame in MIRANDA_SCENE]
    frames = sorted({box.frame for box in named})
    tracks = {box.track for box in played.boxes if box.frame in MIRANDA_SCENE}
    late = [box for box in played.boxes if box.frame >= MIRANDA_SCENE.stop and box.name]
    span = f"{frames[0]} to {frames[-1]}, {len(frames)} of them" if frames else "none"
    return [
        _verdict(
            f"hamilton: Miranda on frames {MIRANDA_FRAMES[0]} to {MIRANDA_FRAMES[-1]}",
            set(MIRANDA_FRAMES) <= set(frames),
            f"on frames {span}",
        ),
        _verdict("hamilton: one track in his scene", len(tracks) == 1, f"{len(tracks)}"),
        _verdict("hamilton: nobody of the audience is named", not late, f"{len(late)} boxes"),
    ]


def _three(played: Played) -> Verdict:
    named = [box for box in played.boxes if box.name]
    right = bool(named) and all(box.name == WOMAN[0] and box.place < LEFT_THIRD for box in named)
    measured = f"{len(played.named(WOMAN[0]))} boxes are the woman's, {len(named)} have a name"
    return _verdict("three people: the left woman alone is named", right, measured)


def _samples(played: Sequence[Played], least: int) -> Verdict:
    counts = [each.samples for one in played for each in one.told if each.name]
    return _verdict(f"no name before {least} fit samples", min(counts) >= least, f"{min(counts)} at least")


def _tracks(played: Sequence[Played]) -> Verdict:
    shares = [each.tracks / each.scene.faces for each in played]
    return _verdict(
        f"at most {MOST_TRACKS} tracks a person and scene",
        max(shares) <= MOST_TRACKS,
        ", ".join(f"{each.scene.clip} {each.tracks}/{each.scene.faces}" for each in _each_clip_once(played)),
    )


def _boxes(played: Sequence[Played]) -> list[Verdict]:
    coverage = sum(each.covered for each in played) / sum(each.found_boxes for each in played)
    sure = sum(each.sure_covered for each in played) / sum(each.sure_boxes for each in played)
    precision = sum(each.right for each in played) / sum(len(each.boxes) for each in played)
    return [
        _verdict(
            f"tracks cover {LEAST_COVERAGE:.0%} of the boxes that detection on every frame finds",
            coverage >= LEAST_COVERAGE,
            f"{coverage:.3f} in all, {sure:.3f} of those with a score of {SURE_SCORE}; "
            + ", ".join(f"{each.scene.clip} {each.coverage:.3f}" for each in played),
        ),
        _verdict(
            f"of the tracks' boxes {LEAST_PRECISION:.0%} are found on that frame",
            precision >= LEAST_PRECISION,
            f"{precision:.4f} in all, {min(each.precision for each in played):.4f} at least",
        ),
    ]


def _each_clip_once(played: Sequence[Played]) -> list[Played]:
    """Whoever is enrolled, the tracks are much the same."""
    first: dict[str, Played] = {}
    for each in played:
        first.setdefault(each.scene.clip, each)
    return list(first.values())


def _in_words(told: Sequence[tuple[str, str | None]]) -> str:
    return ", ".join(f"{kind} {name or 'nobody'}" for kind, name in told) or "nothing"


def _verdict(asked: str, holds: bool, measured: str) -> Verdict:
    return Verdict(asked=asked, holds=holds, measured=measured)
