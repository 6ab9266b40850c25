"""One person before one camera: poses asked for, samples kept, time kept; on faces turned in space."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from daemon.samples import Sample
from daemon.sitting import ALONE_S, ENOUGH, FEWEST, POSES, POSING_S, WAITING_S, Asked, Sitting
from daemon.track import Track
from tests.gallery.faces.test_pose import seen

FRAME_S = 0.1
LIMIT, ALIKE = 0.66, 0.2
TURNS: dict[Asked, tuple[float, float]] = {
    "straight": (0, 0),
    "left": (30, 0),
    "right": (-30, 0),
    "up": (0, 20),
    "down": (0, -20),
}


def face(yaw: float = 0, pitch: float = 0, **more: object) -> Track:
    """A track that shows a head turned so."""
    landmarks = seen(yaw, pitch)
    box = np.array([50, 40, 150, 190], np.float32)
    track = Track("t", box, landmarks, 1.0, 0.0, 0.0, quality=0.9)
    for name, value in more.items():
        setattr(track, name, value)
    return track


def taken(track: Track, pose: str) -> Sample:
    """Differs by some 0.3 from pose to pose, and by 0.01 from sample to sample."""
    offset = track.landmarks[2] - track.landmarks[:2].mean(axis=0)
    return Sample(np.array([offset[0] / 30, offset[1] / 30, 0], np.float32), track.quality, pose)


class Room:
    """Plays frames."""

    def __init__(self) -> None:
        self.sitting = Sitting(LIMIT, ALIKE)
        self.now_s = 100.0
        self.encoded = 0

    def frame(self, *tracks: Track) -> None:
        def counted(track: Track, pose: str) -> Sample:
            self.encoded += 1
            return taken(track, pose)

        self.sitting.see(tracks, counted, self.now_s)
        self.now_s += FRAME_S

    def frames(self, seconds: float, *tracks: Track) -> None:
        for _ in range(round(seconds / FRAME_S)):
            self.frame(*tracks)

    def obey(self) -> list[Asked]:
        """Does whatever is asked; the order of what was."""
        asked: list[Asked] = []
        while (wanted := self.sitting.progress.asked) is not None:
            if not asked or asked[-1] != wanted:
                asked.append(wanted)
            self.frame(face(*TURNS[wanted]))
        return asked


def test_poses_are_asked_one_after_the_other_and_it_is_done_well_before_the_time_is_up() -> None:
    room = Room()
    assert room.obey() == list(POSES)
    progress = room.sitting.progress
    assert (progress.state, progress.asked) == ("done", None)
    assert all(count == ENOUGH for count in progress.taken.values())
    assert room.encoded == ENOUGH * len(POSES)
    assert progress.left_s > POSING_S / 2
    assert [sample.what for sample in room.sitting.kept] == list(POSES)
    assert room.sitting.missing == []


def test_left_is_the_persons_own_left() -> None:
    room = Room()
    # As seen, the nose moves to the right.
    room.frames(0.5, face(yaw=30))
    assert room.sitting.taken["left"] > 0
    assert room.sitting.taken["right"] == 0


def test_what_was_not_asked_for_is_taken_all_the_same_and_not_asked_for_again() -> None:
    room = Room()
    room.frames(1, face(yaw=-30))
    assert room.sitting.progress.asked == "straight"
    assert room.sitting.progress.hint == "turn"
    assert room.obey() == ["straight", "left", "up", "down"]


def test_up_and_down_are_measured_from_how_the_same_head_looks_straight() -> None:
    room = Room()
    room.frames(1, face(pitch=12))
    assert room.sitting.taken["straight"] == ENOUGH
    assert room.sitting.progress.pitch == pytest.approx(0, abs=0.5)
    room.frames(1, face(pitch=30))
    assert room.sitting.taken["up"] == ENOUGH
    room.frames(1, face(pitch=-6))
    assert room.sitting.taken["down"] == ENOUGH


def test_who_never_turns_is_done_when_the_time_is_up_and_gives_what_there_is() -> None:
    room = Room()
    room.frames(POSING_S - 0.5, face())
    assert room.sitting.progress.left_s > 0
    asked = room.sitting.progress.asked
    room.frames(1, face())
    assert room.sitting.progress.state == "done"
    assert asked != "straight"
    assert len(room.sitting.kept) == 1
    assert room.sitting.missing == ["left", "right", "up", "down"]


def test_two_faces_stop_the_time_and_are_given_up_after_a_while() -> None:
    room = Room()
    room.frames(WAITING_S / 2, face(), face())
    progress = room.sitting.progress
    assert (progress.state, progress.hint, progress.left_s) == ("posing", "several_faces", POSING_S)
    assert room.encoded == 0
    room.frames(WAITING_S / 2 + 1, face(), face())
    assert room.sitting.progress.state == "failed"
    assert room.sitting.kept == []


def test_after_a_second_face_is_gone_nothing_is_taken_until_it_stays_away() -> None:
    room = Room()
    for _ in range(5):
        room.frame(face(), face())
        room.frames(ALONE_S - 0.3, face())
    assert (room.encoded, room.sitting.progress.hint) == (0, "several_faces")
    room.frames(1, face())
    assert room.sitting.taken["straight"] > 0


def test_where_somebody_else_was_there_for_most_of_the_time_it_fails() -> None:
    room = Room()
    room.frames(2.0, face())
    room.frames(WAITING_S + 1, face(), face())
    assert room.sitting.taken["straight"] == ENOUGH
    assert (room.sitting.progress.state, room.sitting.progress.hint) == ("failed", "several_faces")


def test_a_face_that_the_detector_doubts_keeps_nobody_from_being_alone() -> None:
    room = Room()
    room.frames(1, face(), face(reasons=("low_confidence",)))
    assert room.sitting.taken["straight"] == ENOUGH


def test_nobody_there_fails() -> None:
    room = Room()
    room.frames(WAITING_S + 1)
    assert (room.sitting.progress.state, room.sitting.progress.hint) == ("failed", "no_face")


@pytest.mark.parametrize(
    ("track", "hint"),
    [
        (face(reasons=("blurred", "dark")), "blurred"),
        (face(box=np.array([0, 0, 39, 60], np.float32)), "face_too_small"),
        (face(quality=0.39), "low_quality"),
        (face(yaw=17), "turn"),
        (face(yaw=53), "turn"),
    ],
)
def test_what_is_of_no_use_says_why_and_is_not_encoded(track: Track, hint: str) -> None:
    room = Room()
    room.frames(POSING_S + 1, track)
    assert (room.sitting.progress.state, room.sitting.progress.hint) == ("failed", hint)
    assert room.encoded == 0


def test_another_face_in_the_same_place_is_not_taken() -> None:
    room = Room()
    room.frames(1, face())
    other = Sample(np.array([5, 5, 5], np.float32), 0.9)
    room.sitting.see([face(yaw=30)], lambda track, pose: other, room.now_s)
    assert room.sitting.progress.hint == "another_face"
    assert room.sitting.taken["left"] == 0


def test_a_camera_that_stalls_gives_time_and_a_clock_set_back_takes_none() -> None:
    room = Room()
    room.frame(face())
    room.now_s -= 50
    room.frame(face())
    assert room.sitting.progress.left_s == POSING_S


def test_samples_are_taken_no_more_often_than_they_are_of_use() -> None:
    room = Room()
    for _ in range(10):
        room.sitting.see([face()], taken, room.now_s)
        room.now_s += 0.03
    assert room.sitting.taken["straight"] == 3


def test_the_best_of_a_pose_is_kept_and_no_two_that_show_the_same() -> None:
    room = Room()
    qualities: Sequence[float] = (0.5, 0.8, 0.6)
    for quality in qualities:
        room.frame(face(quality=quality))
        room.now_s += 0.1
    assert [sample.quality for sample in room.sitting.kept] == [0.8]
    assert len(qualities) == FEWEST
