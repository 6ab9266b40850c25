"""What every kind of source has in common once it is open: grab, then look at what was grabbed.

The readers run in the capture process alone: whatever OpenCV and FFmpeg do there can't hurt the daemon.
"""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from daemon.capture_messages import Cause

BgrPicture = NDArray[np.uint8]
"""uint8[height, width, 3]: blue, green, red."""


class CameraLost(Exception):
    """The camera can't be opened, or gives nothing any more; the text says why, in one line."""

    def __init__(self, reason: str, cause: Cause = "unreachable") -> None:
        super().__init__(reason)
        self.cause: Cause = cause


class Reader(Protocol):
    """A source that was opened: grab, then look at what was grabbed."""

    @property
    def description(self) -> str:
        """Size, rate and format, for the log."""

    @property
    def losses(self) -> int:
        """How often pictures were missing in the stream, as its time stamps tell."""

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


class CaptureReader:
    """What webcams, streams and video files have in common: a cv2.VideoCapture."""

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self._capture = capture
        self.description = _describe(capture)

    def picture(self) -> BgrPicture | None:
        good, picture = self._capture.retrieve()
        return as_bgr(picture) if good else None

    def close(self) -> None:
        self._capture.release()


def open_ffmpeg(uri: str, open_timeout_s: float, read_timeout_s: float) -> cv2.VideoCapture:
    options = [
        *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(open_timeout_s * 1000)),
        *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(read_timeout_s * 1000)),
        *(cv2.CAP_PROP_N_THREADS, 1),
    ]
    return cv2.VideoCapture(uri, cv2.CAP_FFMPEG, options)


def _describe(capture: cv2.VideoCapture) -> str:
    width, height = (int(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    fourcc = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=True)
    name = "".join(chr(byte) for byte in fourcc if 32 < byte < 127)
    fps = capture.get(cv2.CAP_PROP_FPS)
    rate = f" at {fps:.4g} fps" if 0 < fps <= 1000 else ""  # Streams say 90,000 while they don't know.
    return f"{width}x{height}{rate}, {name or 'unknown format'}"


def as_bgr(picture: NDArray[np.generic]) -> BgrPicture | None:
    """uint8[h, w, 3]; OpenCV gives one channel for some formats, and 16 bits for some files."""
    if picture.dtype != np.uint8 or picture.size == 0:
        return None
    if picture.ndim == 2 or picture.shape[2] == 1:
        return np.repeat(picture.reshape(*picture.shape[:2], 1), 3, axis=2).astype(np.uint8)
    return np.asarray(picture, np.uint8)
