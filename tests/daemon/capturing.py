"""What the tests of capture share: pictures with a number in them, files made of those, and watching."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from daemon.capture import Cameras
from daemon.frame import CameraChange, Frame, StartTime
from daemon.patience import Patience

Happened = list[Frame | CameraChange]

STARTED = StartTime(unix_ns=1_700_000_000_000_000_000, monotonic_ns=5_000_000_000)
"""A start of the run that no clock shows, so that a time taken from a clock is noticed."""

SHORT_PATIENCE = Patience(
    open_timeout_s=3.0,
    read_timeout_s=2.5,
    first_frame_timeout_s=6.0,
    start_s=40.0,
    silence_s=3.0,
    stalled_s=60.0,
    first_pause_s=0.2,
    longest_pause_s=0.8,
)
"""Waits as the daemon does, only less; but not so little that a busy machine's pause is a camera's loss."""

_BITS = 8


def numbered(number: int, width: int = 160, height: int = 120) -> NDArray[np.uint8]:
    """A picture that shows this number, below 256, in broad bars that survive any compression."""
    bars = [255 if number >> bit & 1 else 0 for bit in range(_BITS)]
    row = np.repeat(np.array(bars, np.uint8), -(-width // _BITS))[:width]
    return np.ascontiguousarray(np.broadcast_to(row[None, :, None], (height, width, 3)))


def number_of(bgr: NDArray[np.uint8]) -> int:
    """The number that `numbered` has put into a picture."""
    width = bgr.shape[1]
    columns = [(2 * bit + 1) * width // (2 * _BITS) for bit in range(_BITS)]
    return sum((int(bgr[:, column].mean()) > 127) << bit for bit, column in enumerate(columns))


def write_video(path: Path, count: int, fps: float = 25.0) -> Path:
    """A video file with the pictures 0 to count - 1."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, (160, 120))
    for number in range(count):
        writer.write(numbered(number))
    writer.release()
    return path


def write_folder(folder: Path, sizes: Sequence[tuple[int, int]]) -> Path:
    """A folder with one picture a (width, height), named 1.png to n.png and showing its place from 0."""
    folder.mkdir()
    for number, (width, height) in enumerate(sizes):
        cv2.imwrite(str(folder / f"{number + 1}.png"), numbered(number, width, height))
    return folder


def gather_until(cameras: Cameras, done: Callable[[Happened], bool], timeout_s: float) -> Happened:
    """All that happens until it is `done`; fails with what did happen if that takes too long."""
    happened: Happened = []
    deadline = time.monotonic() + timeout_s
    while not done(happened):
        assert time.monotonic() < deadline, f"not within {timeout_s} s; until then: {told(happened)}"
        happened += cameras.gather(0.2)
    return happened


def gather_to_the_end(cameras: Cameras, timeout_s: float = 30.0) -> Happened:
    """All that happens until every camera has ended."""
    return gather_until(cameras, lambda _: cameras.ended, timeout_s)


def frames(happened: Happened, camera: str | None = None) -> list[Frame]:
    """The frames of this camera, or of all."""
    return [item for item in happened if isinstance(item, Frame) and camera in (None, item.camera)]


def changes(happened: Happened, camera: str | None = None) -> list[CameraChange]:
    """The changes of this camera, or of all."""
    return [item for item in happened if isinstance(item, CameraChange) and camera in (None, item.camera)]


def states(happened: Happened, camera: str | None = None) -> list[str]:
    """The states that this camera, or any, came to."""
    return [change.state for change in changes(happened, camera)]


def frames_after(state: str, count: int = 3, camera: str = "door") -> Callable[[Happened], bool]:
    """Done when this camera has come to this state, and gave this many frames since."""

    def done(happened: Happened) -> bool:
        its_own = [item for item in happened if item.camera == camera]
        places = [at for at, item in enumerate(its_own) if states([item]) == [state]]
        return bool(places) and len(frames(its_own[places[-1] :])) >= count

    return done


def told(happened: Happened) -> list[str]:
    """What happened, short enough to be read in a failed assertion."""
    return [f"{len(frames(happened))} frames", *map(str, changes(happened))]
