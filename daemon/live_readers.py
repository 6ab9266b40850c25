"""Opens webcams and network streams, which have no end: what looks like one is a loss."""

from __future__ import annotations

import os
import sys
import time

import cv2

from daemon.capture_messages import Setting
from daemon.readers import CameraLost, CaptureReader, Reader, open_ffmpeg

BLOCKED_SHARE = 0.8
"""A grab that took longer than this share of the read timeout is a disconnect, whatever it returned."""
DEFAULT_FOURCC = "MJPG"
"""Uncompressed, USB 2 carries 640x480 at best; nearly every webcam compresses to this."""


def open_stream(setting: Setting) -> Reader:
    """The reader for an RTSP or HTTP stream; CameraLost if there is no answer, or a refusal."""
    began = time.monotonic()
    capture = open_ffmpeg(setting.uri, setting.open_timeout_s, setting.read_timeout_s)
    if capture.isOpened():
        return LiveReader(capture, setting)
    if time.monotonic() - began > BLOCKED_SHARE * setting.open_timeout_s:
        raise CameraLost(f"no answer within {setting.open_timeout_s:g} s")
    raise CameraLost("can't be opened")


def open_webcam(setting: Setting) -> Reader:
    """The reader for a V4L2 device; CameraLost if it is not there or not ours to open."""
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
    return LiveReader(capture, setting)


class LiveReader(CaptureReader):
    """Frames for ever, the first of which may take a while."""

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
