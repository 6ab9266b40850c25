"""Looks after one camera: starts its process, watches it, starts it again, and says what became of it."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from daemon import sources
from daemon.capture_messages import Ended, Failed, Opened, Setting
from daemon.capture_process import CaptureProcess
from daemon.counts import Counts
from daemon.frame import CameraChange, CameraState, Frame, StartTime
from daemon.patience import PATIENCE, Patience, Pauses
from daemon.silence import Silence
from daemon.slot import create_slot_file

if TYPE_CHECKING:
    from daemon.config import CameraConfig

logger = logging.getLogger(__name__)


class Camera:
    """One configured camera, and the process that reads it while there is one."""

    def __init__(self, config: CameraConfig, started: StartTime, patience: Patience = PATIENCE) -> None:
        self.name = config.name
        self.counts = Counts()
        self.ended = False
        self._config = config
        self._source = sources.parse(config.source)
        self._started = started
        self._patience = patience
        self._process: CaptureProcess | None = None
        self._state: CameraState | None = None
        self._start_at_s = 0.0
        self._pauses = Pauses(patience)
        self._lost = False
        self._next_index = 0
        self._pictures_taken = 0
        self._silence = self._new_silence(0.0)
        self._damaged = 0
        self._size: tuple[int, int] | None = None
        self._description = ""

    def take_over(self, former: Camera) -> list[CameraChange]:
        """Goes on counting where the camera of other settings stopped; what is to be told."""
        self.counts, self._next_index = former.counts, former._next_index
        if former.ended or former._state is None:
            return []
        self._state = former._state
        changes = self._change("offline", "it is opened anew with other settings")
        return [change for change in changes if isinstance(change, CameraChange)]

    def poll(self) -> list[Frame | CameraChange]:
        """What happened since the last call, in order: one frame at most. Never waits."""
        now_s = time.monotonic()
        try:
            if not self._ready(now_s):
                return []
        except sources.PasswordUnreadable as error:
            return self._lose(Failed(str(error), "secret"), now_s)
        except OSError as error:  # No memory, no descriptors, no room for another process: that may pass.
            return self._lose(Failed(f"no capture process: {error.strerror}", "process"), now_s)
        assert self._process is not None
        last_word: Ended | Failed | None = None
        for message in self._process.hear():
            if isinstance(message, Opened):
                self._silence.opened(now_s)
                self._description = message.description
            else:
                last_word = message
        # Looked at after the messages were heard: the last frame is in the slot before the end is announced.
        happened = self._take(now_s)
        if isinstance(last_word, Ended):
            return happened + self._end(last_word)
        if lost := last_word or self._resized() or self._silent(now_s):
            return happened + self._lose(lost, now_s)
        if stalled := self._state == "online" and self._silence.stalled(now_s):
            return happened + self._change("stalled", stalled)
        return happened

    @property
    def has_frame(self) -> bool:
        """Whether `poll` would give one."""
        return self._process is not None and not self._lost and self._process.slot.has_news

    def fileno(self) -> int | None:
        """To wait on until this camera has something to say; None while no process runs."""
        return None if self._process is None or self._lost else self._process.fileno()

    def rest_s(self) -> float:
        """After how long `poll` should be called even though nothing was said."""
        if self._process is None:
            return max(0.0, self._start_at_s - time.monotonic())
        return 0.02 if self._lost else 0.25

    @property
    def process(self) -> CaptureProcess | None:
        """The running process, if there is one."""
        return self._process

    def _ready(self, now_s: float) -> bool:
        """Whether there is a process to hear; starts one when it is time."""
        if self._lost and self._process is not None:
            if self._process.running:
                return False
            self._drop_process()
        if self._process is None and not self.ended and now_s >= self._start_at_s:
            self._start()
        return self._process is not None

    def _start(self) -> None:
        self.counts.reopened += self._state is not None
        # Read at every opening: a password may be changed while the daemon runs.
        uri = self._source.uri_with_password()
        slot = create_slot_file()
        self._process = CaptureProcess(self._setting(uri, slot), slot)
        self._lost = False
        self._pictures_taken = 0
        self._silence = self._new_silence(self._process.started_s)

    def _setting(self, uri: str, slot_descriptor: int) -> Setting:
        config, patience = self._config, self._patience
        return Setting(
            kind=self._source.kind,
            backend=config.backend,
            uri=uri,
            slot_descriptor=slot_descriptor,
            first_index=self._next_index,
            started_unix_ns=self._started.unix_ns,
            started_monotonic_ns=self._started.monotonic_ns,
            realtime=config.realtime,
            max_fps=config.max_fps,
            width=config.width,
            height=config.height,
            fps=config.fps,
            fourcc=config.fourcc,
            open_timeout_s=patience.open_timeout_s,
            read_timeout_s=patience.read_timeout_s,
            first_frame_timeout_s=patience.first_frame_timeout_s,
            behind_s=patience.behind_s,
        )

    def _new_silence(self, started_s: float) -> Silence:
        return Silence(self._patience, started_s, live=self._source.live, in_step=self._in_step)

    @property
    def _in_step(self) -> bool:
        return not (self._source.live or self._config.realtime)

    def _take(self, now_s: float) -> list[Frame | CameraChange]:
        assert self._process is not None
        picture = self._process.slot.read()
        if picture is None:
            return []
        if self._in_step:
            self._process.ask_for_the_next()
            self._silence.asked(now_s)
        damaged, first = self._process.damaged, self._pictures_taken == 0
        stamp = picture.stamp
        self.counts.read += stamp.index + 1 - self._next_index
        self.counts.replaced += picture.number - self._pictures_taken - 1
        self._next_index = stamp.index + 1
        self._pictures_taken = picture.number
        frame = Frame(
            camera=self.name,
            index=stamp.index,
            captured_unix_ns=stamp.captured_unix_ns,
            captured_monotonic_ns=stamp.captured_monotonic_ns,
            grabbed_monotonic_ns=stamp.grabbed_monotonic_ns,
            bgr=picture.bgr,
            # Before its first picture, a decoder complains of what it was not there to see.
            damaged=0 if first else damaged - self._damaged,
        )
        self._damaged = damaged
        if first:
            self._size = self._process.log.size
        self._pauses.saw(now_s)
        return [*self._change("online", None), frame]

    def _silent(self, now_s: float) -> Failed | None:
        """Why the process is given up, if it has been silent for too long."""
        assert self._process is not None
        self._silence.heard(self._process.slot.beat_monotonic_ns / 1e9)
        reason = self._silence.too_long(now_s)
        return Failed(reason, "silent") if reason else None

    def _resized(self) -> Failed | None:
        """OpenCV scales pictures to the size of the first one; the decoder tells when they have another."""
        assert self._process is not None
        size = self._process.log.size
        if not self._pictures_taken or size is None or size == self._size:
            return None
        return Failed(f"the pictures have another size from now on, about {size[0]}x{size[1]}", "resized")

    def _end(self, ended: Ended) -> list[Frame | CameraChange]:
        self._give_up_process()
        self.ended = True
        reason = None
        if ended.unreadable:
            reason = f"{ended.unreadable} unreadable images passed over, the first {ended.first_unreadable}"
        if self._state is None:
            changes = self._change("offline", reason or "there is no frame in it")
            return changes + self._change("ended", None)
        return self._change("ended", reason)

    def _lose(self, lost: Failed, now_s: float) -> list[Frame | CameraChange]:
        self._give_up_process()
        self.counts.losses[lost.cause] += 1
        # A stream that is opened anew because it was too slow is still there.
        state: CameraState = "stalled" if lost.cause == "behind" else "offline"
        changes = self._change(state, sources.redacted(lost.reason))
        if not self._source.live:
            # A file is not tried again: it would begin anew, and what was in it would happen twice.
            self.ended = True
            return changes + self._change("ended", None)
        self._start_at_s = now_s + self._pauses.failed()
        return changes

    def _give_up_process(self) -> None:
        """Kills it; what it held is given back when it is gone."""
        if self._process is not None:
            self._process.kill()
            self._lost = True

    def _drop_process(self) -> None:
        assert self._process is not None
        self._process.close()
        self._process = None

    def _change(self, state: CameraState, reason: str | None) -> list[Frame | CameraChange]:
        """Tells it once, in the log and to whoever polls."""
        if state == self._state:
            return []
        self._state = state
        level = logging.WARNING if state in ("offline", "stalled") else logging.INFO
        detail = reason or (self._description if state == "online" else None)
        logger.log(level, "camera %s: %s%s", self.name, state, f", {detail}" if detail else "")
        return [CameraChange(self.name, state, reason)]
