"""Checks that cameras give pictures: all at once, or as the running daemon says."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from daemon.errors import UsageError
from daemon.finding import Finding

if TYPE_CHECKING:
    from daemon.config import CameraConfig, Config

PICTURE_S = 8.0
"""Streams have a key frame every few seconds, and begin with one."""


def pictures(config: Config, cameras: Sequence[CameraConfig]) -> Iterator[Finding]:
    """Of these cameras; those of a running daemon are not opened beside it."""
    from daemon.control_client import is_running
    from daemon.status import NoAnswer, ask_status

    if not cameras:
        return
    try:
        running = is_running(config.reached_path)
    except UsageError as error:
        yield Finding("picture", "warning", str(error), "run as who may ask the daemon")
        return
    if not running:
        yield from _opened(cameras)
        return
    try:
        told = ask_status(config)
    except NoAnswer as error:
        yield Finding("picture", "warning", str(error), "visaged status; journalctl -u visaged")
        return
    for pulse in told["cameras"]:
        words = f"{pulse['name']}: the running daemon says {pulse['state']}"
        if pulse["state"] in ("online", "ended"):
            yield Finding("picture", "ok", words)
        else:
            reason = f", {pulse['reason']}" if pulse["reason"] else ""
            yield Finding("picture", "warning", words + reason, "see docs/cameras.md")


def _opened(cameras: Sequence[CameraConfig]) -> Iterator[Finding]:
    from daemon.capture import Cameras
    from daemon.frame import CameraChange, StartTime

    began_s = time.monotonic()
    waiting = {camera.name: f"no picture within {PICTURE_S:g} s" for camera in cameras}
    with Cameras(cameras, StartTime.now()) as opened:
        while waiting and not opened.ended and (left_s := began_s + PICTURE_S - time.monotonic()) > 0:
            for item in opened.gather(min(0.2, left_s)):
                if item.camera not in waiting:
                    continue
                if isinstance(item, CameraChange):
                    waiting[item.camera] = item.reason or waiting[item.camera]
                    continue
                del waiting[item.camera]
                height, width = item.bgr.shape[:2]
                after_s = time.monotonic() - began_s
                yield Finding("picture", "ok", f"{item.camera}: {width}×{height} after {after_s:.1f} s")
    for name, reason in waiting.items():
        advice = "is it on, and are address and password right? visaged snapshot tries it alone"
        yield Finding("picture", "warning", f"{name}: {reason}", advice)
