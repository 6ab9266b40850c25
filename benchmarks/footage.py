"""Clips made from clips, for benchmarks: larger, longer, still."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def scaled(clip: Path, height: int, folder: Path) -> Path:
    """The clip as MPEG-4 of another size: 16:9, the picture in the middle."""
    import cv2

    capture = cv2.VideoCapture(str(clip))
    size = (height * 16 // 9, height)
    file = folder / "scaled.mp4"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"mp4v"), capture.get(cv2.CAP_PROP_FPS), size)
    while True:
        read, bgr = capture.read()
        if not read:
            writer.release()
            return file
        width = round(bgr.shape[1] * height / bgr.shape[0])
        picture = np.full((height, size[0], 3), 96, np.uint8)
        left = (size[0] - width) // 2
        picture[:, left : left + width] = cv2.resize(bgr, (width, height))
        writer.write(picture)


def repeated(clip: Path, loops: int, folder: Path, *, still: bool = False) -> Path:
    """The clip several times in a row, back and forth; still: its first frame all the time."""
    import cv2

    capture = cv2.VideoCapture(str(clip))
    rate = capture.get(cv2.CAP_PROP_FPS)
    frames = []
    while True:
        read, bgr = capture.read()
        if not read:
            break
        frames.append(np.asarray(bgr, np.uint8))
    if still:
        frames = frames[:1] * len(frames)
    file = folder / "repeated.mp4"
    size = (frames[0].shape[1], frames[0].shape[0])
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"mp4v"), rate, size)
    for number in range(loops):
        # So that the end of one is no cut to the beginning of the next.
        for frame in frames if number % 2 == 0 else reversed(frames):
            writer.write(frame)
    writer.release()
    return file


def resampled(
    clip: Path, file: Path, size_px: tuple[int, int], fps: float, seconds: float, *, begin: float = 0.0
) -> Path:
    """The clip back and forth for so long as MPEG-4 of this size and rate, from this share of it on.

    The picture is in the middle, whole, on grey.
    """
    import cv2

    frames = _thinned(clip, size_px, fps)
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"mp4v"), fps, size_px)
    there_and_back = frames + frames[-2:0:-1]
    first = int(begin * len(there_and_back))
    for number in range(round(seconds * fps)):
        writer.write(there_and_back[(first + number) % len(there_and_back)])
    writer.release()
    return file


def _thinned(clip: Path, size_px: tuple[int, int], fps: float) -> list[NDArray[np.uint8]]:
    """Its frames at this rate, fitted into this size."""
    import cv2

    capture = cv2.VideoCapture(str(clip))
    rate = capture.get(cv2.CAP_PROP_FPS)
    frames: list[NDArray[np.uint8]] = []
    read = 0
    while True:
        good, bgr = capture.read()
        if not good:
            return frames
        if read >= len(frames) * rate / fps:
            frames.append(_fitted(np.asarray(bgr, np.uint8), size_px))
        read += 1


def _fitted(bgr: NDArray[np.uint8], size_px: tuple[int, int]) -> NDArray[np.uint8]:
    import cv2

    width, height = size_px
    factor = min(width / bgr.shape[1], height / bgr.shape[0])
    inner = cv2.resize(bgr, (round(bgr.shape[1] * factor), round(bgr.shape[0] * factor)))
    picture = np.full((height, width, 3), 96, np.uint8)
    left, top = (width - inner.shape[1]) // 2, (height - inner.shape[0]) // 2
    picture[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return picture
