"""The shared picture: whole or not at all, whatever its writer does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from daemon.slot import SlotReader, SlotWriter, Stamp, create_slot_file

REPOSITORY = Path(__file__).parent.parent.parent

WRITER = """
import itertools, sys
import numpy as np
from daemon.slot import SlotWriter, Stamp
sizes = [(48, 64), (480, 640), (7, 5), (720, 1280), (240, 320)]
with SlotWriter(int(sys.argv[1])) as slot:
    for n in itertools.count(1):
        height, width = sizes[n // 7 % len(sizes)]
        slot.write(Stamp(n, n, n, n), np.full((height, width, 3), n % 251, np.uint8))
"""
"""Writes pictures of one value as fast as it can, their sizes changing."""


@pytest.fixture()
def descriptor() -> Iterator[int]:
    descriptor = create_slot_file()
    yield descriptor
    os.close(descriptor)


def stamp(index: int) -> Stamp:
    return Stamp(index, 10 * index, 20 * index, 30 * index)


def grey(value: int, height: int = 4, width: int = 6) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    return np.full((height, width, 3), value, np.uint8)


def test_an_empty_slot_gives_nothing(descriptor: int) -> None:
    with SlotReader(descriptor) as reader:
        assert reader.read() is None
        assert reader.beat_monotonic_ns == 0


def test_a_picture_is_read_once_with_its_stamp(descriptor: int) -> None:
    with SlotReader(descriptor) as reader, SlotWriter(descriptor) as writer:
        writer.write(stamp(7), grey(9))
        picture = reader.read()
        assert picture is not None
        assert picture.stamp == stamp(7)
        assert np.array_equal(picture.bgr, grey(9))
        assert reader.read() is None


def test_the_newest_picture_wins_and_the_count_tells_what_it_replaced(descriptor: int) -> None:
    with SlotReader(descriptor) as reader, SlotWriter(descriptor) as writer:
        for index in range(5):
            writer.write(stamp(index), grey(index))
        picture = reader.read()
        assert picture is not None
        assert (picture.stamp.index, picture.number, int(picture.bgr[0, 0, 0])) == (4, 5, 4)


def test_a_picture_that_was_read_is_not_changed_by_the_next(descriptor: int) -> None:
    with SlotReader(descriptor) as reader, SlotWriter(descriptor) as writer:
        writer.write(stamp(1), grey(1))
        picture = reader.read()
        writer.write(stamp(2), grey(2))
        assert picture is not None
        assert np.array_equal(picture.bgr, grey(1))


def test_the_slot_grows_with_the_picture_and_keeps_smaller_ones_right(descriptor: int) -> None:
    with SlotReader(descriptor) as reader, SlotWriter(descriptor) as writer:
        for height, width in [(2, 3), (2160, 3840), (1, 1), (9, 4)]:
            bgr = np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3)
            writer.write(stamp(height), bgr)
            picture = reader.read()
            assert picture is not None
            assert np.array_equal(picture.bgr, bgr)


def test_a_picture_that_is_not_contiguous_is_written_right(descriptor: int) -> None:
    with SlotReader(descriptor) as reader, SlotWriter(descriptor) as writer:
        bgr = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)[:, ::-1]
        writer.write(stamp(1), bgr)
        picture = reader.read()
        assert picture is not None
        assert np.array_equal(picture.bgr, bgr)


def test_a_beat_is_seen_without_a_picture(descriptor: int) -> None:
    with SlotReader(descriptor) as reader, SlotWriter(descriptor) as writer:
        writer.beat(123)
        assert reader.beat_monotonic_ns == 123
        assert reader.read() is None


def test_the_memory_has_no_name_in_the_file_system(descriptor: int) -> None:
    assert os.fstat(descriptor).st_nlink == 0


def test_a_reader_never_sees_a_torn_picture_of_a_writer_in_a_hurry_that_is_killed(descriptor: int) -> None:
    seen: set[int] = set()
    killed_while_writing = 0
    for _ in range(8):
        killed_while_writing += _read_beside_a_writer(descriptor, 0.25, seen)
    assert len(seen) >= 50, "too few pictures were read to prove anything"
    assert killed_while_writing >= 1, "no kill fell into a write, where the writer spends half its time"


def test_after_a_kill_in_the_middle_of_a_write_the_picture_before_is_still_whole(descriptor: int) -> None:
    with SlotReader(descriptor) as reader, DyingWriter(descriptor) as writer:
        writer.write(stamp(1), grey(1))
        with pytest.raises(InterruptedError):
            writer.write_half(stamp(2), grey(2))
        picture = reader.read()
        assert picture is not None
        assert (picture.stamp.index, int(picture.bgr.max())) == (1, 1)
    with SlotReader(descriptor) as reader, SlotWriter(descriptor) as successor:
        successor.write(stamp(3), grey(3))
        picture = reader.read()
        assert picture is not None
        assert (picture.stamp.index, int(picture.bgr.max())) == (3, 3)


def _read_beside_a_writer(descriptor: int, seconds: float, seen: set[int]) -> bool:
    """Reads until the writer is killed, and says whether that was in the middle of a write."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(descriptor)], pass_fds=(descriptor,), cwd=REPOSITORY
    )
    with SlotReaderProbe(descriptor) as reader:
        try:
            deadline = time.monotonic() + 20
            while reader.read() is None:
                assert time.monotonic() < deadline
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                _check_whole(reader, seen)
        finally:
            os.kill(writer.pid, signal.SIGKILL)
            writer.wait()
        _check_whole(reader, seen)
        return reader.being_written


def _check_whole(reader: SlotReader, seen: set[int]) -> None:
    if (picture := reader.read()) is None:
        return
    index = picture.stamp.index
    assert int(picture.bgr.min()) == int(picture.bgr.max()) == index % 251
    assert picture.stamp == Stamp(index, index, index, index)
    seen.add(index)


class SlotReaderProbe(SlotReader):
    """Looks at what a reader keeps to itself."""

    @property
    def being_written(self) -> bool:
        return self._cells[8 + 8 * ((self._cells[0] + 1) % 2)] == 0


class DyingWriter(SlotWriter):
    """Stops where a kill would stop it: the pixels are not copied yet."""

    def write_half(self, stamp: Stamp, bgr: np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]) -> None:
        self._dying = True
        self.write(stamp, bgr)

    def _pixels(self, offset: int, length: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
        if getattr(self, "_dying", False):
            raise InterruptedError
        return super()._pixels(offset, length)
