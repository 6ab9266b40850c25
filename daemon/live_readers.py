"""Opens webcams and network streams, which have no end: what looks like one is a loss."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import cv2

from daemon.capture_messages import Setting
from daemon.devices import look_at
from daemon.readers import CameraLost, CaptureReader, Reader, open_ffmpeg
from daemon.stream_clock import StreamClock

BLOCKED_SHARE = 0.8
"""A grab that took longer than this share of the read timeout is a disconnect, whatever it returned."""
DEFAULT_FOURCC = "MJPG"
"""Uncompressed, USB 2 carries 640x480 at best; nearly every webcam compresses to this."""

MOST_S = 1e9
"""Of a position in a stream; more is none."""


def open_stream(setting: Setting) -> Reader:
    """The reader for an RTSP or HTTP stream; CameraLost if there is no answer, or a refusal."""
    began = time.monotonic()
    capture = open_ffmpeg(setting.uri, setting.open_timeout_s, setting.read_timeout_s)
    if capture.isOpened():
        return StreamReader(capture, setting)
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
            raise CameraLost(f"no frame for {time.monotonic() - began:.1f} s", "silent")
        if not good:
            first = self._count < 0
            raise CameraLost(*(("no first frame came", "silent") if first else ("the stream ended", "ended")))
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


class StreamReader(LiveReader):
    """A network stream. One with time stamps of its own, as RTSP has them, must keep up with the clock."""

    def __init__(self, capture: cv2.VideoCapture, setting: Setting) -> None:
        super().__init__(capture, setting)
        self._clock = StreamClock(setting.behind_s) if has_times(setting.uri) else None

    def grab(self) -> bool:
        super().grab()
        if self._clock is not None:
            position_s = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            self.losses += hold_against_the_clock(self._clock, position_s)
        return True


def has_times(url: str) -> bool:
    """Of MJPEG over HTTP, FFmpeg makes the times up: it counts frames at a rate that it guesses."""
    return url.lower().startswith(("rtsp://", "rtsps://"))


def hold_against_the_clock(clock: StreamClock, position_s: float) -> int:
    """How often (0 or 1) pictures were missing; CameraLost if the stream has fallen behind."""
    # The first frame of some streams has no time, which FFmpeg writes as the least number there is.
    if not abs(position_s) < MOST_S:
        return 0
    lost = clock.see(position_s, time.monotonic())
    if clock.behind:
        raise CameraLost(f"{clock.lag_s:.1f} s behind its own time: too slow a network or computer", "behind")
    return int(lost)
