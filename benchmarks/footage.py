"""Clips made from clips, for benchmarks: larger, longer, still."""

from __future__ import annotations

from pathlib import Path


def scaled(clip: Path, height: int, folder: Path) -> Path:
    """The clip as MPEG-4 of another size: 16:9, the picture in the middle."""
    import cv2
    import numpy as np

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
    import numpy as np

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
