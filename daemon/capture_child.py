"""The capture process, one a camera: reads frames and puts the newest where the daemon finds it.

`python -m daemon.capture_child DESCRIPTOR` is started by the daemon alone; the descriptor is its socket.
A fresh interpreter that imports cv2 and numpy and nothing of the daemon's weight.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING

from daemon.capture_messages import NOTICE, Ended, Failed, Message, Opened, Setting, from_line, to_line
from daemon.slot import SlotWriter, Stamp

if TYPE_CHECKING:
    from daemon.readers import Reader

CLOSING_S = 0.5
"""How long closing the camera may take once the daemon has hung up."""
BEAT_S = 0.5
"""How often a process that waits for the next frame's time says that it is well."""

_libc = ctypes.CDLL(None)


class Link:
    """The socket to the daemon. When the daemon hangs up, or is gone, this process ends."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._asked = threading.Semaphore(0)
        self._stopping = threading.Event()

    def setting(self) -> Setting:
        """The first thing that the daemon says."""
        received = b""
        while not received.endswith(b"\n"):
            received += self._connection.recv(1) or sys.exit(0)
        message = from_line(received)
        assert isinstance(message, Setting)
        return message

    def listen(self) -> None:
        """From here on a thread listens, so that a grab that blocks does not keep this process alive."""
        threading.Thread(target=self._listen, name="daemon's link", daemon=True).start()

    def send(self, message: Message) -> None:
        self._connection.sendall(to_line(message))

    def notify(self) -> None:
        """A frame is in the slot. Not sent if the daemon has many unread: it will look all the same."""
        with contextlib.suppress(BlockingIOError):
            self._connection.send(NOTICE, socket.MSG_DONTWAIT)

    def wait_until_asked(self) -> bool:
        """Waits until the daemon asks for the next frame; False if it has hung up instead."""
        self._asked.acquire()
        return not self._stopping.is_set()

    def sleep(self, seconds: float) -> None:
        self._stopping.wait(seconds)

    @property
    def stopping(self) -> bool:
        """Whether the daemon has hung up."""
        return self._stopping.is_set()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while received := self._connection.recv(64):
                self._asked.release(len(received))
        self._stopping.set()
        self._asked.release()
        time.sleep(CLOSING_S)
        os._exit(0)


def main(arguments: list[str]) -> int:
    """Reads what the daemon says to read until it ends, fails or is told to stop."""
    link = Link(socket.socket(fileno=int(arguments[0])))
    _die_with_the_daemon()
    # A service manager, or a terminal, tells the whole group to end; the daemon hangs up when it is ready to.
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    setting = link.setting()
    link.listen()
    # Only now: importing OpenCV takes a while, and the daemon may be gone before it is done.
    import cv2

    from daemon.readers import CameraLost

    cv2.setNumThreads(1)
    play = play_at_its_rate if setting.paced else play_in_step
    try:
        with SlotWriter(setting.slot_descriptor) as slot, contextlib.closing(open_source(setting)) as reader:
            link.send(Opened(reader.description))
            link.send(play(reader, slot, link, setting))
    except CameraLost as lost:
        flush_complaints()
        link.send(Failed(str(lost), lost.cause))
    except (BrokenPipeError, ConnectionResetError):
        return 0
    return 0


def open_source(setting: Setting) -> Reader:
    """The reader for this source, open; CameraLost if it can't be opened."""
    from daemon import file_readers, live_readers

    match setting.kind:
        case "webcam":
            return live_readers.open_webcam(setting)
        case "stream" if setting.backend == "pyav":
            from daemon import pyav_readers

            return pyav_readers.open_stream(setting)
        case "stream":
            return live_readers.open_stream(setting)
        case "path":
            return file_readers.open_path(setting)


def play_in_step(reader: Reader, slot: SlotWriter, link: Link, setting: Setting) -> Ended:
    """Every frame of a file, each written when the daemon asks for it, the next one decoded meanwhile."""
    ended = Ended(0, None)
    index = setting.first_index
    written = False
    while reader.grab():
        grabbed_ns = time.monotonic_ns()
        picture = reader.picture()
        if picture is None:
            ended = Ended(ended.unreadable + 1, ended.first_unreadable or reader.name())
        else:
            if written and not link.wait_until_asked():
                break
            slot.write(_stamp_of_file(index, reader.position_ns(), grabbed_ns, setting), picture)
            link.notify()
            written = True
        index += 1
    return ended


def play_at_its_rate(reader: Reader, slot: SlotWriter, link: Link, setting: Setting) -> Ended:
    """Frames as they come, each over the last; the source is drained however few of them are wanted."""
    ended = Ended(0, None)
    index = setting.first_index
    limit = RateLimit(setting.max_fps)
    began_ns = None
    while not link.stopping and reader.grab():
        if setting.kind == "path":
            began_ns = began_ns or time.monotonic_ns() - reader.position_ns()
            _wait_until(began_ns + reader.position_ns(), slot, link)
        grabbed_ns = time.monotonic_ns()
        slot.beat(grabbed_ns, reader.losses)
        # What the decoder has to say of this frame is to be heard before the frame is seen.
        flush_complaints()
        if limit.allows(grabbed_ns):
            picture = reader.picture()
            if picture is None:
                ended = Ended(ended.unreadable + 1, ended.first_unreadable or reader.name())
            else:
                slot.write(_stamp(index, reader, grabbed_ns, setting), picture)
                link.notify()
        index += 1
    return ended


def flush_complaints() -> None:
    """OpenCV prints FFmpeg's messages through C's stdout, which keeps them until there are many."""
    _libc.fflush(None)


class RateLimit:
    """Lets at most so many frames a second through, evenly."""

    def __init__(self, max_fps: float | None) -> None:
        self._period_ns = round(1e9 / max_fps) if max_fps else 0
        self._due_ns = 0

    def allows(self, now_ns: int) -> bool:
        if now_ns < self._due_ns:
            return False
        # Counted on from when it was due, so that the rate is right on average; but a pause is not caught up.
        due_ns = self._due_ns + self._period_ns
        self._due_ns = due_ns if due_ns > now_ns else now_ns + self._period_ns
        return True


def _stamp(index: int, reader: Reader, grabbed_ns: int, setting: Setting) -> Stamp:
    if setting.kind == "path":
        return _stamp_of_file(index, reader.position_ns(), grabbed_ns, setting)
    return Stamp(index, time.time_ns() - (time.monotonic_ns() - grabbed_ns), grabbed_ns, grabbed_ns)


def _stamp_of_file(index: int, position_ns: int, grabbed_ns: int, setting: Setting) -> Stamp:
    return Stamp(
        index, setting.started_unix_ns + position_ns, setting.started_monotonic_ns + position_ns, grabbed_ns
    )


def _wait_until(due_ns: int, slot: SlotWriter, link: Link) -> None:
    """Waits as a camera would make us wait, and says all the while that nothing hangs."""
    while (left_s := (due_ns - time.monotonic_ns()) / 1e9) > 0 and not link.stopping:
        slot.beat(time.monotonic_ns())
        link.sleep(min(left_s, BEAT_S))


def _die_with_the_daemon() -> None:
    """Also if this process is stopped or hangs and its listening thread with it. Linux alone can do this."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        _libc.prctl(pr_set_pdeathsig, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
