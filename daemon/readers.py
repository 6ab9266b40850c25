"""Opens webcams, streams, video files and folders of images; the one home of cv2.VideoCapture.

Runs in the capture process alone: whatever OpenCV and FFmpeg do here can't hurt the daemon.
"""

from __future__ import annotations

import math
import os
import re
import sys
import time
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from daemon.capture_messages import Setting

BgrPicture = NDArray[np.uint8]

IMAGE_SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
FOLDER_FPS = 25.0
"""A folder of images plays at this rate, and so does a file that doesn't know its own."""
BLOCKED_SHARE = 0.8
"""A grab that took longer than this share of the read timeout is a disconnect, whatever it returned."""
DEFAULT_FOURCC = "MJPG"
"""Uncompressed, USB 2 carries 640x480 at best; nearly every webcam compresses to this."""


class CameraLost(Exception):  # noqa: N818 (a fact, not an error of ours)
    """The camera can't be opened, or gives nothing any more; the text says why, in one line."""


class Reader(Protocol):
    """A source that was opened: grab, then look at what was grabbed."""

    @property
    def description(self) -> str:
        """Size, rate and format, for the log."""

    def grab(self) -> bool:
        """Goes to the next frame; False at the end. CameraLost if there should have been one."""

    def picture(self) -> BgrPicture | None:
        """uint8[h, w, 3] of the frame that was grabbed; None if it can't be decoded."""

    def position_ns(self) -> int:
        """Where in a file the frame that was grabbed stands; rises with every frame."""

    def name(self) -> str:
        """What to call the frame that was grabbed, in a message."""

    def close(self) -> None:
        """Lets go of the device or the connection."""


def open_reader(setting: Setting) -> Reader:
    """The reader for this source, open; CameraLost if it can't be opened."""
    if setting.kind == "webcam":
        return _open_webcam(setting)
    if setting.kind == "stream":
        return _LiveReader(_open_ffmpeg(setting), setting)
    path = Path(setting.uri)
    try:
        if path.is_dir():
            return _FolderReader(path)
        with path.open("rb"):
            pass
    except OSError as error:
        raise CameraLost(f"{path}: {error.strerror}") from error
    return _FileReader(_open_ffmpeg(setting), path)


class _FolderReader:
    """The images of a folder, in the order in which people count: 2.jpg before 10.jpg."""

    def __init__(self, folder: Path) -> None:
        images = [path for path in folder.iterdir() if _is_image(path)]
        if not images:
            raise CameraLost(f"{folder}: no images ({', '.join(sorted(IMAGE_SUFFIXES))}) in this folder")
        self._images = sorted(images, key=lambda path: _natural(path.name))
        self._at = -1
        self.description = f"{len(images)} images at {FOLDER_FPS:g} fps"

    def grab(self) -> bool:
        self._at += 1
        return self._at < len(self._images)

    def picture(self) -> BgrPicture | None:
        picture = cv2.imread(str(self._images[self._at]), cv2.IMREAD_COLOR)
        return None if picture is None else _checked(picture)

    def position_ns(self) -> int:
        return round(self._at * 1e9 / FOLDER_FPS)

    def name(self) -> str:
        return self._images[self._at].name

    def close(self) -> None:
        pass


class _CaptureReader:
    """What webcams, streams and video files have in common: a cv2.VideoCapture."""

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self._capture = capture
        self._count = -1
        self.description = _describe(capture)

    def picture(self) -> BgrPicture | None:
        good, picture = self._capture.retrieve()
        return _checked(picture) if good else None

    def name(self) -> str:
        return f"frame {self._count}"

    def close(self) -> None:
        self._capture.release()


class _FileReader(_CaptureReader):
    """A video file, frame by frame."""

    def __init__(self, capture: cv2.VideoCapture, path: Path) -> None:
        super().__init__(capture)
        self._path = path
        fps = capture.get(cv2.CAP_PROP_FPS)
        self._period_ns = round(1e9 / (fps if 0.1 <= fps <= 1000 else FOLDER_FPS))
        self._position_ns = -self._period_ns

    def grab(self) -> bool:
        if not self._capture.grab():
            return False
        self._count += 1
        self._position_ns = self._next_position_ns()
        return True

    def position_ns(self) -> int:
        return self._position_ns

    def _next_position_ns(self) -> int:
        """The file's own time of this frame, or a period after the last if that is nonsense."""
        own_ms = self._capture.get(cv2.CAP_PROP_POS_MSEC)
        if math.isfinite(own_ms) and own_ms >= 0 and own_ms * 1e6 > self._position_ns:
            return round(own_ms * 1e6)
        return self._position_ns + self._period_ns


class _LiveReader(_CaptureReader):
    """A webcam or a stream, which has no end: what looks like one is a loss."""

    def __init__(self, capture: cv2.VideoCapture, setting: Setting) -> None:
        super().__init__(capture)
        self._limit_s = BLOCKED_SHARE * setting.read_timeout_s
        self._first_frame_timeout_s = setting.first_frame_timeout_s

    def grab(self) -> bool:
        began = time.monotonic()
        good = self._capture.grab()
        if self._count < 0:
            good = good or self._wait_for_the_first(began)
        elif time.monotonic() - began > self._limit_s:
            raise CameraLost(f"no frame for {time.monotonic() - began:.1f} s")
        if not good:
            raise CameraLost("no first frame came" if self._count < 0 else "the stream ended")
        self._count += 1
        return True

    def position_ns(self) -> int:
        return 0

    def _wait_for_the_first(self, began: float) -> bool:
        """A stream shows nothing before its first key frame, which may be many seconds away."""
        while time.monotonic() - began < self._first_frame_timeout_s:
            tried = time.monotonic()
            if self._capture.grab():
                return True
            if time.monotonic() - tried < 0.1:
                return False  # It does not wait: it is over.
        return False


def _open_ffmpeg(setting: Setting) -> cv2.VideoCapture:
    limits = [
        *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(setting.open_timeout_s * 1000)),
        *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(setting.read_timeout_s * 1000)),
        *(cv2.CAP_PROP_N_THREADS, 1),
    ]
    began = time.monotonic()
    capture = cv2.VideoCapture(setting.uri, cv2.CAP_FFMPEG, limits)
    if capture.isOpened():
        return capture
    if time.monotonic() - began > BLOCKED_SHARE * setting.open_timeout_s:
        raise CameraLost(f"no answer within {setting.open_timeout_s:g} s")
    raise CameraLost(
        "can't be opened" if setting.kind == "stream" else f"{setting.uri}: not a video that can be read"
    )


def _open_webcam(setting: Setting) -> Reader:
    # A name of /dev/v4l/by-id is followed at every opening: it moves when the webcam is plugged in again.
    device = os.path.realpath(setting.uri)
    try:
        os.close(os.open(device, os.O_RDWR | os.O_NONBLOCK))
    except OSError as error:
        advice = " (the user must be in the group `video`)" if isinstance(error, PermissionError) else ""
        raise CameraLost(f"{setting.uri}: {error.strerror}{advice}") from error
    backend = cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY
    capture = cv2.VideoCapture(device, backend)
    if not capture.isOpened():
        raise CameraLost(f"{setting.uri}: not a webcam, or in use by another program")
    # In this order: the format decides which sizes there are, and the size which rates.
    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*(setting.fourcc or DEFAULT_FOURCC)))
    for key, value in (
        (cv2.CAP_PROP_FRAME_WIDTH, setting.width),
        (cv2.CAP_PROP_FRAME_HEIGHT, setting.height),
        (cv2.CAP_PROP_FPS, setting.fps),
    ):
        if value is not None:
            capture.set(key, value)
    return _LiveReader(capture, setting)


def _describe(capture: cv2.VideoCapture) -> str:
    width, height = (int(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    fourcc = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=True)
    name = "".join(chr(byte) for byte in fourcc if 32 < byte < 127)
    fps = capture.get(cv2.CAP_PROP_FPS)
    rate = f" at {fps:.4g} fps" if 0 < fps <= 1000 else ""  # Streams say 90,000 while they don't know.
    return f"{width}x{height}{rate}, {name or 'unknown format'}"


def _checked(picture: NDArray[np.generic]) -> BgrPicture | None:
    """uint8[h, w, 3]; OpenCV gives one channel for some formats, and 16 bits for some files."""
    if picture.dtype != np.uint8 or picture.size == 0:
        return None
    if picture.ndim == 2 or picture.shape[2] == 1:
        return np.repeat(picture.reshape(*picture.shape[:2], 1), 3, axis=2).astype(np.uint8)
    return np.asarray(picture, np.uint8)


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
