"""What is remembered of strangers, for how long, and how it is forgotten."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from daemon.errors import UsageError
from daemon.samples import Sample, with_sample
from daemon.strangers import MOST_SAMPLES, MOST_STRANGERS, MOST_TRACKS, Stranger, Strangers

THRESHOLD = 0.5


def face(number: int, aside: float = 0.0) -> NDArray[np.float32]:
    """Any two are 1 apart; aside: in distance, from the plain one."""
    return np.array([number, aside, 0.0], np.float32)


def strangers(forget_after_s: float = 100.0) -> Strangers:
    return Strangers(THRESHOLD, forget_after_s)


def meet(
    room: Strangers, number: int, time_s: float, track: str = "t", camera: str = "door", quality: float = 0.8
) -> Stranger:
    stranger = room.recall(face(number), time_s, set())
    room.seen(stranger, camera, track, round(time_s * 1e9), Sample(face(number), quality))
    return stranger


def test_one_stranger_of_several_tracks_is_one_row() -> None:
    room = strangers()
    meet(room, 1, 10.0, "a")
    meet(room, 2, 11.0, "b", quality=0.5)
    meet(room, 1, 12.0, "c", "yard", quality=0.9)
    other, first = room.all()
    assert (first.number, first.stays, first.camera) == (1, 2, "yard")
    assert (first.first_unix_ns, first.last_unix_ns, first.best_quality) == (
        10_000_000_000,
        12_000_000_000,
        0.9,
    )
    assert first.tracks == {"door": ("a",), "yard": ("c",)}
    assert (other.number, other.stays, other.best_quality) == (2, 1, 0.5)


def test_a_stranger_is_found_by_number_and_by_how_the_id_begins() -> None:
    room = strangers()
    one, two = meet(room, 1, 1.0), meet(room, 2, 2.0)
    assert room.find("1").id == one.id
    assert room.find(two.id[:8]).id == two.id
    for wanted in ("3", "", two.id[:3], "no-such"):
        with pytest.raises(UsageError, match="visaged strangers lists them"):
            room.find(wanted)


def test_who_is_forgotten_is_gone_with_what_was_kept_and_comes_again_as_another() -> None:
    room = strangers()
    one, two = meet(room, 1, 1.0), meet(room, 2, 2.0)
    assert room.forget("1") == [one.id]
    assert (one.samples, one.is_forgotten) == ((), True)
    # Their visit goes on, and gives nothing more.
    room.seen(one, "door", "t", 3_000_000_000, Sample(face(1), 0.9))
    assert one.samples == ()
    assert [each.id for each in room.all()] == [two.id]
    assert meet(room, 1, 4.0).id != one.id
    assert len(room.forget()) == 2
    assert room.all() == []
    assert room.forget() == []


def test_who_was_seen_too_long_ago_is_forgotten_also_where_nobody_comes() -> None:
    room = strangers(forget_after_s=10.0)
    one = meet(room, 1, 0.0)
    room.pass_time(10.0)
    assert len(room.all()) == 1
    room.pass_time(11.01)
    assert room.all() == []
    assert one.is_forgotten


def test_memory_is_bounded_in_strangers_samples_and_tracks() -> None:
    room = strangers(forget_after_s=1e9)
    for number in range(MOST_STRANGERS + 5):
        meet(room, number, float(number))
    known = room.all()
    assert len(known) == MOST_STRANGERS
    assert known[-1].number == MOST_STRANGERS + 5
    assert 1 not in {each.number for each in known}
    stranger = meet(room, -1, 2000.0)
    for i in range(MOST_TRACKS + 10):
        room.seen(stranger, "door", f"track-{i}", 1, Sample(face(-1, i * 0.25), 0.5))
    (found,) = [each for each in room.all() if each.id == stranger.id]
    assert len(found.samples) == MOST_SAMPLES
    assert len(found.tracks["door"]) == MOST_TRACKS
    assert found.stays == MOST_TRACKS + 11


def test_a_row_is_of_its_moment() -> None:
    room = strangers()
    meet(room, 1, 1.0, "a")
    (before,) = room.all()
    meet(room, 1, 2.0, "b")
    assert before.tracks == {"door": ("a",)}


def test_reading_and_forgetting_while_the_loop_writes_is_no_fault() -> None:
    room, stop = strangers(), threading.Event()
    faults: list[BaseException] = []

    def write() -> None:
        try:
            for i in range(2000):
                meet(room, i % 7, i / 10, f"t{i}", quality=i % 10 / 10)
        except BaseException as fault:
            faults.append(fault)
        finally:
            stop.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not stop.is_set():
        for each in room.all():
            assert each.samples
        room.forget()
    writer.join()
    assert faults == []


def test_of_samples_that_show_the_same_the_better_is_kept() -> None:
    kept = with_sample((), Sample(face(0), 0.5), 3, 0.2)
    kept = with_sample(kept, Sample(face(0, 0.1), 0.4), 3, 0.2)
    assert [each.quality for each in kept] == [0.5]
    kept = with_sample(kept, Sample(face(0, 0.1), 0.6), 3, 0.2)
    assert [each.quality for each in kept] == [0.6]


def test_of_too_many_samples_the_poorer_of_the_nearest_two_goes() -> None:
    kept: tuple[Sample, ...] = ()
    for aside, quality in ((0.0, 0.9), (0.3, 0.5), (1.0, 0.1), (2.0, 0.2)):
        kept = with_sample(kept, Sample(face(0, aside), quality), 3, 0.2)
    assert [each.quality for each in kept] == [0.9, 0.1, 0.2]
