"""Opens webcams and network streams, which have no end: what looks like one is a loss."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import cv2

from daemon.capture_messages import Setting
from daemon.devices import look_at
from daemon.grabbing import LiveGrabs, why_not_open
from daemon.readers import CameraLost, CaptureReader, Reader, open_ffmpeg

DEFAULT_FOURCC = "MJPG"
"""Uncompressed, USB 2 carries 640x480 at best; nearly every webcam compresses to this."""


def open_stream(setting: Setting) -> Reader:
    """The reader for an RTSP or HTTP stream; CameraLost if there is no answer, or a refusal."""
    began = time.monotonic()
    capture = open_ffmpeg(setting.uri, setting.open_timeout_s, setting.read_timeout_s)
    if not capture.isOpened():
        raise why_not_open(setting, began)
    return LiveReader(capture, setting)


def open_webcam(setting: Setting) -> Reader:
    """The reader for a V4L2 device; CameraLost if it is not there or not ours to open."""
    # A name of /dev/v4l/by-id is followed at every opening: it moves when the webcam is plugged in again.
    device = os.path.realpath(setting.uri)
    try:
        os.close(os.open(device, os.O_RDWR | os.O_NONBLOCK))
    except OSError as error:
        advice = " (the user must be in the group `video`)" if isinstance(error, PermissionError) else ""
        raise CameraLost(f"{setting.uri}: {error.strerror}{advice}") from error
    captures, _ = look_at(Path(device))
    if captures is False:
        raise CameraLost(f"{setting.uri}: gives no pictures; a webcam's second node is for metadata alone")
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
    return LiveReader(capture, setting)


class LiveReader(CaptureReader):
    """Frames for ever."""

    def __init__(self, capture: cv2.VideoCapture, setting: Setting) -> None:
        super().__init__(capture)
        self._grabs = LiveGrabs(setting, capture.grab)

    @property
    def losses(self) -> int:
        return self._grabs.losses

    def grab(self) -> bool:
        self._grabs.next()
        self._grabs.hold_against_the_clock(self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
        return True

    def position_ns(self) -> int:
        return 0

    def name(self) -> str:
        return f"frame {self._grabs.count - 1}"
