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

VALUES = 7
WRITER = f"""
import itertools, sys
import numpy as np
from daemon.slot import SlotWriter, Stamp
sizes = [(48, 64), (480, 640), (7, 5), (720, 1280), (240, 320)]
pictures = [[np.full((*size, 3), value, np.uint8) for value in range({VALUES})] for size in sizes]
with SlotWriter(int(sys.argv[1])) as slot:
    for n in itertools.count(1):
        slot.write(Stamp(n, n, n, n), pictures[n // 7 % len(sizes)][n % {VALUES}])
"""
"""Writes pictures of one value as fast as it can, their sizes changing; it does nothing but write."""


@pytest.fixture
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


def test_a_reader_never_sees_a_torn_picture_of_a_writer_in_a_hurry_that_is_killed() -> None:
    killed_while_writing = [_read_beside_a_writer_until_it_is_killed(pictures=40) for _ in range(4)]
    assert any(killed_while_writing), "no kill fell into a write, where the writer spends nearly all its time"


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


def _read_beside_a_writer_until_it_is_killed(pictures: int) -> bool:
    """Reads so many pictures, and says whether the kill came in the middle of a write."""
    descriptor = create_slot_file()
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(descriptor)], pass_fds=(descriptor,), cwd=REPOSITORY
    )
    try:
        with SlotReaderProbe(descriptor) as reader:
            deadline = time.monotonic() + 30
            seen = 0
            while seen < pictures:
                assert time.monotonic() < deadline, f"only {seen} pictures were read"
                seen += _read_whole(reader)
            os.kill(writer.pid, signal.SIGKILL)
            writer.wait()
            _read_whole(reader)
            return reader.being_written
    finally:
        writer.kill()
        writer.wait()
        os.close(descriptor)


def _read_whole(reader: SlotReader) -> bool:
    """Whether there was a picture; it has to be whole, and of its own stamp."""
    if (picture := reader.read()) is None:
        return False
    index = picture.stamp.index
    assert int(picture.bgr.min()) == int(picture.bgr.max()) == index % VALUES
    assert picture.stamp == Stamp(index, index, index, index)
    return True


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
