"""Tracks and decisions on pictures composed from real portraits: cut, crossing, return, crowd, bad frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from daemon.config import Config, DaemonConfig, EncoderConfig
from daemon.engine import build_engine
from daemon.playback import Stage, play
from daemon.tracker import Tracker
from gallery.faces.engine import FaceEngine
from gallery.faces.types import BgrImage
from gallery.matcher import Index
from gallery.people import PersonName
from tests.conftest import REPOSITORY

SAMPLES = REPOSITORY / "samples"
CONFIG = Config(daemon=DaemonConfig(device="cpu"))
WIDTH, HEIGHT = 640, 360
Place = tuple[str, int, int]
"""A portrait's name, and the left and top of its face's square on the picture."""


@dataclass(frozen=True)
class Told:
    """One change, as it was when it was told."""

    frame: int
    kind: str
    name: str | None
    previous: str | None
    track: str
    revision: int
    samples: int
    stranger: str | None


@pytest.fixture(scope="module")
def engine() -> FaceEngine:
    return build_engine(CONFIG)[0]


@pytest.fixture(scope="module")
def heads(engine: FaceEngine) -> dict[str, BgrImage]:
    """The heads of the portraits, 120 pixels square."""
    cut = {}
    for name in ("barack-obama", "barack-obama-2", "joe-biden", "eileen-collins"):
        bgr = np.asarray(cv2.imread(str(SAMPLES / f"{name}.jpg")), np.uint8)
        left, top, right, bottom = engine.detector.detect([bgr])[0].boxes[0]
        half, x, y = 0.85 * (bottom - top), (left + right) / 2, (top + bottom) / 2
        square = bgr[max(0, int(y - half)) : int(y + half), max(0, int(x - half)) : int(x + half)]
        cut[name] = np.asarray(cv2.resize(square, (120, 120), interpolation=cv2.INTER_AREA), np.uint8)
    return cut


@pytest.fixture(scope="module")
def stage(engine: FaceEngine) -> Stage:
    """Barack and Joe are enrolled, Eileen is not."""
    names = [PersonName("1", "Barack"), PersonName("2", "Joe")]
    files = ("barack-obama.jpg", "joe-biden.jpg")
    pictures = [np.asarray(cv2.imread(str(SAMPLES / file)), np.uint8) for file in files]
    encodings = np.stack([analysis.encodings[0] for analysis in engine.analyse(pictures)])
    return Stage(engine, Index.of(names, [0, 1], encodings, model=engine.model, revision=1), CONFIG)


def compose(heads: dict[str, BgrImage], places: Sequence[Place], grey: int = 110) -> BgrImage:
    """The heads on a plain ground; later ones lie over earlier ones."""
    picture = np.full((HEIGHT, WIDTH, 3), grey, np.uint8)
    for name, left, top in places:
        picture[top : top + 120, left : left + 120] = heads[name]
    return picture


def write(folder: Path, pictures: Sequence[BgrImage]) -> str:
    """A folder of images, 1/25 s each."""
    folder.mkdir()
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"{number:04}.png"), picture)
    return str(folder)


def played(stage: Stage, source: str) -> tuple[list[Told], list[dict[str, str | None]]]:
    """What was told, and for each frame who is on it: name (or None) by track."""
    told, seen = [], []
    for outcome in play(stage, source):
        for change in outcome.changes:
            visit = change.visit
            told.append(
                Told(
                    outcome.frame.index,
                    change.kind,
                    visit.person.name if visit.person else None,
                    change.previous.name if change.previous else None,
                    visit.id,
                    visit.revision,
                    visit.samples,
                    visit.stranger.id if visit.stranger else None,
                )
            )
        if not outcome.at_end:
            seen.append({f.visit.id: f.visit.person.name if f.visit.person else None for f in outcome.faces})
    return told, seen


def kinds(told: Sequence[Told]) -> list[tuple[str, str | None]]:
    return [(each.kind, each.name) for each in told]


def test_one_face_is_recognized_once_and_leaves_once(
    stage: Stage, heads: dict[str, BgrImage], tmp_path: Path
) -> None:
    pictures = [compose(heads, [("barack-obama-2", 100 + 2 * i, 100)]) for i in range(60)]
    told, seen = played(stage, write(tmp_path / "one", pictures))
    assert kinds(told) == [("recognized", "Barack"), ("left", "Barack")]
    assert [each.revision for each in told] == [1, 2]
    assert told[0].samples == CONFIG.tracker.min_samples
    assert told[0].track == told[1].track
    assert len({track for frame in seen for track in frame}) == 1
    assert sum(len(frame) for frame in seen) == 60


def test_a_stranger_is_told_after_a_while_and_never_named(
    stage: Stage, heads: dict[str, BgrImage], tmp_path: Path
) -> None:
    pictures = [compose(heads, [("eileen-collins", 250, 100 + i % 3)]) for i in range(50)]
    told, _ = played(stage, write(tmp_path / "stranger", pictures))
    assert kinds(told) == [("unknown", None), ("left", None)]
    assert told[0].frame / 25 >= CONFIG.tracker.unknown_after_s
    assert told[0].stranger == told[1].stranger is not None


def test_a_face_that_is_gone_too_soon_is_never_told(
    stage: Stage, heads: dict[str, BgrImage], tmp_path: Path
) -> None:
    empty = compose(heads, [])
    pictures = [compose(heads, [("barack-obama-2", 100, 100)])] * 2 + [empty] * 40
    told, _ = played(stage, write(tmp_path / "glimpse", pictures))
    assert told == []


def test_a_cut_ends_the_tracks_and_the_next_scene_has_its_own(
    stage: Stage, heads: dict[str, BgrImage], tmp_path: Path
) -> None:
    bars = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    bars[:, ::2] = 0
    bars[:, :320] = 220
    second = bars.copy()
    second[100:220, 100:220] = heads["joe-biden"]
    pictures = [compose(heads, [("barack-obama-2", 100, 100)])] * 25 + [second] * 25
    told, seen = played(stage, write(tmp_path / "cut", pictures))
    assert kinds(told) == [
        ("recognized", "Barack"),
        ("left", "Barack"),
        ("recognized", "Joe"),
        ("left", "Joe"),
    ]
    assert told[1].frame == 25
    assert not set(seen[24]) & set(seen[25])


@pytest.mark.parametrize(("fps", "second", "within_s"), [(25, "joe-biden", 1.6), (2, "eileen-collins", 3.1)])
def test_who_takes_the_very_place_of_another_takes_neither_track_nor_name(
    stage: Stage, heads: dict[str, BgrImage], tmp_path: Path, fps: int, second: str, within_s: float
) -> None:
    clip = tmp_path / "swap.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), fps, (WIDTH, HEIGHT))
    for name in ("barack-obama-2", second):
        for i in range(5 * fps):
            writer.write(compose(heads, [(name, 200 + i % 3, 100)]))
    writer.release()
    told, _ = played(stage, str(clip))
    known = second == "joe-biden"
    assert Counter(kinds(told)) == Counter(
        [
            ("recognized", "Barack"),
            ("left", "Barack"),
            *([("recognized", "Joe"), ("left", "Joe")] if known else [("unknown", None), ("left", None)]),
        ]
    )
    (newcomer,) = (each for each in told if each.kind != "left" and each.name != "Barack")
    assert newcomer.frame / fps <= 5 + within_s
    assert newcomer.track != told[0].track


def test_two_who_cross_keep_their_names(stage: Stage, heads: dict[str, BgrImage], tmp_path: Path) -> None:
    pictures = [
        compose(heads, [("joe-biden", 480 - 6 * i, 110), ("barack-obama-2", 40 + 6 * i, 100)])
        for i in range(75)
    ]
    told, seen = played(stage, write(tmp_path / "crossing", pictures))
    first = {each.name: each.track for each in told if each.kind == "recognized"}
    assert set(first) == {"Barack", "Joe"}
    assert not [each for each in told if each.kind == "corrected"]
    for frame in seen:
        named = [name for name in frame.values() if name]
        assert len(named) == len(set(named)), "one person twice in a picture"
        for track, name in frame.items():
            assert name is None or first[name] == track
    assert set(seen[-1].values()) == {"Barack", "Joe"}


def test_a_newcomer_of_whom_too_little_is_known_takes_nobodys_name(
    stage: Stage, heads: dict[str, BgrImage], tmp_path: Path
) -> None:
    # The very picture that was enrolled is nearest; but it is lit for one sample alone.
    glimpse = {**heads, "dark": (heads["barack-obama"] * 0.06).astype(np.uint8)}
    pictures = [
        compose(
            glimpse,
            [("barack-obama-2", 100 + i % 3, 100)]
            + ([("barack-obama" if i < 27 else "dark", 420, 120)] if i >= 25 else []),
        )
        for i in range(75)
    ]
    told, _ = played(stage, write(tmp_path / "glimpse", pictures))
    assert kinds(told) == [("recognized", "Barack"), ("left", "Barack")]


def test_of_two_who_are_one_person_the_nearer_has_the_name_and_the_other_loses_it_before(
    stage: Stage, heads: dict[str, BgrImage], tmp_path: Path
) -> None:
    pictures = [
        compose(
            heads,
            [("barack-obama-2", 100 + i % 3, 100)]
            + ([("barack-obama", 420 + i % 3, 120)] if i >= 25 else []),
        )
        for i in range(60)
    ]
    told, seen = played(stage, write(tmp_path / "twins", pictures))
    assert kinds(told)[:3] == [("recognized", "Barack"), ("corrected", None), ("recognized", "Barack")]
    assert told[1].frame == told[2].frame
    assert (told[0].track, told[1].previous) == (told[1].track, "Barack")
    assert all(list(frame.values()).count("Barack") <= 1 for frame in seen)


def test_who_comes_back_soon_has_not_left(stage: Stage, heads: dict[str, BgrImage], tmp_path: Path) -> None:
    here, away = compose(heads, [("barack-obama-2", 100, 100)]), compose(heads, [])
    there = compose(heads, [("barack-obama-2", 420, 120)])
    told, _ = played(stage, write(tmp_path / "soon", [here] * 20 + [away] * 50 + [there] * 30))
    assert kinds(told) == [("recognized", "Barack"), ("left", "Barack")]
    assert told[1].frame == 99


def test_who_comes_back_late_is_recognized_anew(
    stage: Stage, heads: dict[str, BgrImage], tmp_path: Path
) -> None:
    here, away = compose(heads, [("barack-obama-2", 100, 100)]), compose(heads, [])
    told, _ = played(stage, write(tmp_path / "late", [here] * 20 + [away] * 130 + [here] * 20))
    assert kinds(told) == [("recognized", "Barack"), ("left", "Barack")] * 2
    assert told[0].track != told[2].track
    assert [each.revision for each in told] == [1, 2, 1, 2]


def test_a_stranger_who_returns_keeps_the_id(
    stage: Stage, heads: dict[str, BgrImage], tmp_path: Path
) -> None:
    here, away = compose(heads, [("eileen-collins", 100, 100)]), compose(heads, [])
    moved = [compose(heads, [("eileen-collins", 100 + i % 4, 100)]) for i in range(40)]
    told, _ = played(stage, write(tmp_path / "again", [here, *moved] + [away] * 130 + moved))
    unknown = [each for each in told if each.kind == "unknown"]
    assert len(unknown) == 2
    assert unknown[0].stranger == unknown[1].stranger
    assert unknown[0].track != unknown[1].track


def test_a_stranger_is_known_again_by_the_threshold_that_names_people(
    stage: Stage, heads: dict[str, BgrImage], tmp_path: Path
) -> None:
    away = compose(heads, [])
    first = [compose(heads, [("eileen-collins", 100 + i % 4, 100)]) for i in range(32)]
    brighter = [np.clip(picture.astype(np.int16) + 25, 0, 255).astype(np.uint8) for picture in first]
    source = write(tmp_path / "brighter", first + [away] * 110 + brighter)
    strangers = {}
    for threshold in (0.52, 0.05):
        config = replace(CONFIG, encoder=EncoderConfig(threshold=threshold))
        told, _ = played(replace(stage, config=config), source)
        strangers[threshold] = len({each.stranger for each in told if each.kind == "unknown"})
    assert strangers == {0.52: 1, 0.05: 2}


def test_one_bad_frame_in_five_costs_neither_the_name_nor_the_track(
    stage: Stage, heads: dict[str, BgrImage], tmp_path: Path
) -> None:
    random = np.random.default_rng(5)
    pictures = [compose(heads, [("barack-obama-2", 200 + i, 100)]) for i in range(75)]
    for bad in pictures[::5]:
        for _ in range(12):
            left, top = int(random.integers(0, WIDTH - 64)), int(random.integers(0, HEIGHT - 64))
            bad[top : top + 64, left : left + 64] = random.integers(0, 256, (64, 64, 3), np.uint8)
    told, seen = played(stage, write(tmp_path / "bad", pictures))
    assert kinds(told) == [("recognized", "Barack"), ("left", "Barack")]
    assert len({track for frame in seen for track in frame}) == 1


def test_twenty_faces_at_once_are_twenty_tracks_and_each_person_is_named_once(
    stage: Stage, heads: dict[str, BgrImage], tmp_path: Path
) -> None:
    small = {name: cv2.resize(head, (72, 72), interpolation=cv2.INTER_AREA) for name, head in heads.items()}
    order = ["eileen-collins", "barack-obama-2", "eileen-collins", "joe-biden", "eileen-collins"]

    def crowd(shift: int) -> BgrImage:
        picture = np.full((HEIGHT, WIDTH, 3), 110, np.uint8)
        for number in range(20):
            left, top = 20 + number % 5 * 120 + shift, 8 + number // 5 * 86
            picture[top : top + 72, left : left + 72] = small[order[number % 5]]
        return picture

    told, seen = played(stage, write(tmp_path / "crowd", [crowd(i % 3) for i in range(40)]))
    assert len({track for frame in seen for track in frame}) == 20
    assert [len(frame) for frame in seen] == [20] * 40
    for frame in seen:
        named = [name for name in frame.values() if name]
        assert len(named) == len(set(named))
    assert {"Barack", "Joe"} <= {each.name for each in told if each.kind == "recognized"}


def test_a_still_picture_is_searched_every_two_seconds_and_no_more(
    stage: Stage, heads: dict[str, BgrImage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[int] = []
    detect = stage.engine.detector.detect

    def counting(images: Sequence[BgrImage]) -> list[object]:
        searched.append(len(images))
        return list(detect(images))

    monkeypatch.setattr(stage.engine.detector, "detect", counting)
    played(stage, write(tmp_path / "still", [compose(heads, [("barack-obama-2", 100, 100)])] * 125))
    assert len(searched) == 3


def test_after_a_camera_was_lost_its_first_frame_is_searched_also_where_nothing_moved(
    heads: dict[str, BgrImage],
) -> None:
    picture = compose(heads, [("barack-obama-2", 100, 100)])
    tracker = Tracker(CONFIG.tracker, encoder_threshold=0.6)
    assert tracker.plan(picture, 0.0).full
    tracker.looks(0.0)
    assert not tracker.plan(picture, 0.5).full
    tracker.end()
    assert tracker.plan(picture, 1.0).full


def test_the_same_file_gives_the_same_twice(stage: Stage, heads: dict[str, BgrImage], tmp_path: Path) -> None:
    pictures = [
        compose(heads, [("joe-biden", 480 - 5 * i, 110), ("barack-obama-2", 40 + 5 * i, 100)])
        for i in range(60)
    ]
    source = write(tmp_path / "twice", pictures)
    first, second = (decisions(stage, source) for _ in range(2))
    assert first == second


def decisions(stage: Stage, source: str) -> list[object]:
    """Everything decided, without ids."""
    kept: list[object] = []
    for outcome in play(stage, source):
        for face in outcome.faces:
            decision = face.visit.decision
            kept.append((face.track.box.tolist(), face.track.reasons, decision, face.visit.revision))
        kept += [(change.kind, change.visit.person, change.visit.samples) for change in outcome.changes]
    return kept


def test_no_name_without_enough_fit_samples(stage: Stage, heads: dict[str, BgrImage], tmp_path: Path) -> None:
    dark = {name: (head * 0.06).astype(np.uint8) for name, head in heads.items()}
    told, seen = played(
        stage,
        write(
            tmp_path / "dark", [compose(dark, [("barack-obama-2", 100 + i, 100)], grey=5) for i in range(40)]
        ),
    )
    assert told == []
    assert not any(name for frame in seen for name in frame.values())
