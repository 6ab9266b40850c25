"""Gathers frames from all cameras, and waits for none of them."""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from daemon.camera import Camera
from daemon.counts import Counts
from daemon.frame import CameraChange, Frame, StartTime
from daemon.patience import PATIENCE, Patience
from daemon.shares import Shares

if TYPE_CHECKING:
    from daemon.capture_process import CaptureProcess
    from daemon.config import CameraConfig

CLOSING_S = 1.0
"""How long capture processes may take to close their cameras before they are killed."""
KILLED_S = 0.5
"""How long one that was killed may take to be gone; one that hangs in a driver is left to the system."""
DISMISSED_S = 0.2
"""How long the others' frames may wait for one that was killed."""


class Cameras:
    """All configured cameras.

    To be used from one thread that outlives it: capture processes are killed when the thread that started
    them is gone, which is how they go when the daemon is killed.
    """

    def __init__(
        self, cameras: Sequence[CameraConfig], started: StartTime, patience: Patience = PATIENCE
    ) -> None:
        self._patience = patience
        self._cameras = [Camera(config, started, patience) for config in cameras]
        self._priorities = {config.name: config.priority for config in cameras}
        self._shares = Shares(self._priorities)
        self._leaving: list[CaptureProcess] = []
        """Killed, of cameras that are no more."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        processes = [camera.process for camera in self._cameras if camera.process is not None]
        processes += self._leaving
        for process in processes:
            process.hang_up()
        deadline = time.monotonic() + CLOSING_S
        for process in processes:
            if not process.wait(max(0.0, deadline - time.monotonic())):
                process.kill()
        deadline = time.monotonic() + KILLED_S
        for process in processes:
            process.wait(max(0.0, deadline - time.monotonic()))
            process.close()

    def add(self, config: CameraConfig) -> None:
        """Watches one more; a file's frames count from now."""
        self._cameras.append(Camera(config, StartTime.now(), self._patience))
        self._prioritize(config)

    def change(self, config: CameraConfig) -> list[CameraChange]:
        """Opens the camera of this name anew with other settings; what is to be told."""
        place = [camera.name for camera in self._cameras].index(config.name)
        former, camera = self._cameras[place], Camera(config, StartTime.now(), self._patience)
        self._dismiss(former)
        self._cameras[place] = camera
        self._prioritize(config)
        return camera.take_over(former)

    def remove(self, name: str) -> list[CameraChange]:
        """Watches it no more; what is to be told."""
        (camera,) = (each for each in self._cameras if each.name == name)
        self._cameras.remove(camera)
        self._dismiss(camera)
        del self._priorities[name]
        self._shares.adjust(self._priorities)
        return [] if camera.ended else [CameraChange(name, "ended", "the configuration has it no more")]

    def _dismiss(self, camera: Camera) -> None:
        """Kills its process. A webcam is free when that is gone, which takes milliseconds."""
        if camera.process is not None:
            camera.process.kill()
            camera.process.wait(DISMISSED_S)
            self._leaving.append(camera.process)
        for process in [each for each in self._leaving if not each.running]:
            process.close()
            self._leaving.remove(process)

    @property
    def ended(self) -> bool:
        """Whether every camera has come to its end, and all of it was handed out."""
        return all(camera.ended for camera in self._cameras)

    @property
    def counts(self) -> dict[str, Counts]:
        """What became of each camera's frames, by the camera's name."""
        return {camera.name: camera.counts for camera in self._cameras}

    @property
    def pids(self) -> dict[str, int]:
        """The capture processes that run now, by the camera's name."""
        return {camera.name: camera.process.pid for camera in self._cameras if camera.process is not None}

    def gather(self, timeout_s: float, room: int | None = None) -> list[Frame | CameraChange]:
        """What happened: at most one frame a camera, oldest frame first, each camera's own in order.

        room: about so many frames at most, of the cameras that have waited longest (Shares); None: of all.
        The others' may be replaced by newer ones until the next time. Returns as soon as there is anything,
        with nothing after this time or once all have ended.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            happened = [self._polled(camera) for camera in self._chosen(room)]
            if any(happened) or self.ended:
                happened.sort(key=_age_key)
                return [item for items in happened for item in items]
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return []
            self._wait(left_s)

    def _chosen(self, room: int | None) -> list[Camera]:
        """All but those whose frames have to wait."""
        waiting = {camera.name: camera for camera in self._cameras if camera.has_frame}
        if room is None or len(waiting) <= room:
            return self._cameras
        first = self._shares.first(waiting, room, time.monotonic())
        # Those in their order: who is served sooner is sooner the next.
        return [
            *(waiting[name] for name in first),
            *(camera for camera in self._cameras if camera.name not in waiting),
        ]

    def _polled(self, camera: Camera) -> list[Frame | CameraChange]:
        happened = camera.poll()
        if any(isinstance(item, Frame) for item in happened):
            self._shares.served(camera.name, time.monotonic())
        return happened

    def _prioritize(self, config: CameraConfig) -> None:
        self._priorities[config.name] = config.priority
        self._shares.adjust(self._priorities)

    def _wait(self, timeout_s: float) -> None:
        """Until a camera has something to say, or is to be looked after."""
        poll = select.poll()
        for camera in self._cameras:
            descriptor = camera.fileno()
            if descriptor is not None:
                poll.register(descriptor, select.POLLIN)
        rest_s = min((camera.rest_s() for camera in self._cameras if not camera.ended), default=0.0)
        with contextlib.suppress(InterruptedError):
            poll.poll(max(1.0, min(timeout_s, rest_s) * 1000))


def _age_key(happened: list[Frame | CameraChange]) -> int:
    """The moment of this camera's frame; a camera that only changed goes first, it has no time of its own."""
    return next((item.grabbed_monotonic_ns for item in happened if isinstance(item, Frame)), 0)
