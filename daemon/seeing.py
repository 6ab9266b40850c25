"""Says when a camera does not see, although frames come: passes on what cameras gave, and adds that."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from daemon.frame import CameraChange, CameraState, Frame
from daemon.sight import Allowed, SightWatch
from daemon.sources import parse

if TYPE_CHECKING:
    from daemon.config import CameraConfig

logger = logging.getLogger(__name__)


class Seeing:
    """All cameras' sight. A file that is read in step is not watched: nobody relies on its seeing now."""

    def __init__(self, cameras: Sequence[CameraConfig]) -> None:
        self._watches: dict[str, SightWatch] = {}
        self._states: dict[str, CameraState] = {}
        self.adjust(cameras)

    def adjust(self, cameras: Sequence[CameraConfig]) -> None:
        """These are the cameras from now on."""
        self._allowed = {
            camera.name: Allowed(frozen=live)
            for camera in cameras
            if (live := parse(camera.source).live) or camera.realtime
        }
        for known in (self._watches, self._states):
            for name in known.keys() - self._allowed.keys():
                known.pop(name)

    def watch(self, happened: Sequence[Frame | CameraChange]) -> list[Frame | CameraChange]:
        """The same in its order, a change of sight before the frame that shows it, and no frozen frames."""
        given: list[Frame | CameraChange] = []
        for item in happened:
            if item.camera not in self._allowed:
                given.append(item)
            elif isinstance(item, CameraChange):
                # Whatever it showed before, it has to show again.
                self._watches.pop(item.camera, None)
                self._states[item.camera] = item.state
                given.append(item)
            else:
                given += self._seen(item)
        return given

    def _seen(self, frame: Frame) -> list[Frame | CameraChange]:
        watch = self._watches.get(frame.camera)
        if watch is None:
            watch = self._watches[frame.camera] = SightWatch(self._allowed[frame.camera])
        watch.see(frame)
        state, reason = watch.state()
        seen: list[Frame | CameraChange] = [] if state == "frozen" else [frame]
        if state == self._states.get(frame.camera, "online"):
            return seen
        self._states[frame.camera] = state
        level = logging.INFO if state == "online" else logging.WARNING
        logger.log(level, "camera %s: %s%s", frame.camera, state, f", {reason}" if reason else "")
        return [CameraChange(frame.camera, state, reason), *seen]
