"""The daemon's end of one capture process: starts it, hears it, kills it. Never waits for it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from daemon.capture_messages import NOTICE, Ended, Failed, Message, Opened, Setting, from_line, to_line
from daemon.decoder_log import DecoderLog
from daemon.slot import SlotReader

FFMPEG_OPTIONS = "rtsp_transport;tcp|flags;low_delay|fpsprobesize;0"
"""For streams: nothing lost on the way, nothing held back, no seconds spent on guessing the rate.

docs/decisions/0042: the first picture after 0.4 s instead of 4.1 s.
"""
FFMPEG_LOG_LEVELS = {"stream": "40", "webcam": "24", "path": "24"}
"""24: warnings, of which a refused password is one. 40: also that pictures have another size from now on."""
READ_BYTES = 65536
"""As much as a pipe holds."""

_ROOT = Path(__file__).resolve().parent.parent


class CaptureProcess:
    """A running capture process, its socket, its shared memory and the end of what it wrote."""

    def __init__(self, setting: Setting, slot_descriptor: int) -> None:
        """Takes over the slot's descriptor; the setting must name it."""
        self.started_s = time.monotonic()
        self._received = b""
        self.log = DecoderLog()
        self._heard_the_end = False
        self._slot_descriptor = slot_descriptor
        self.slot = SlotReader(slot_descriptor)
        self._socket, its_socket = socket.socketpair()
        self._complaints, its_output = os.pipe()
        # A process must never wait for us to read its complaints; what doesn't fit is lost.
        for descriptor in (self._complaints, its_output):
            os.set_blocking(descriptor, False)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "daemon.capture_child", str(its_socket.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=its_output,
                stderr=its_output,
                pass_fds=(its_socket.fileno(), slot_descriptor),
                env=_environment(setting),
                # Of its own session: Ctrl-C in the terminal is the daemon's to answer.
                start_new_session=True,
            )
        except OSError:
            self._release()
            raise
        finally:
            its_socket.close()
            os.close(its_output)
        with contextlib.suppress(BrokenPipeError):  # Dead already: `hear` will tell.
            self._socket.sendall(to_line(setting))
        self._socket.setblocking(False)

    @property
    def running(self) -> bool:
        """Whether the process is still there; reaps it if it is not."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def damaged(self) -> int:
        """How often damaged or missing pictures were told of, by the decoder or the stream's time stamps."""
        return self.log.damaged + self.slot.losses

    def fileno(self) -> int:
        """Readable when the process has said something or is gone."""
        return self._socket.fileno()

    def ask_for_the_next(self) -> None:
        """Tells a process that reads in step that its frame was taken."""
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            self._socket.send(NOTICE)

    def hear(self) -> list[Opened | Ended | Failed]:
        """What it has said since, without waiting; its death is a Failed, and the last that is heard."""
        if self._heard_the_end:
            return []
        gone = False
        with contextlib.suppress(BlockingIOError):
            while not gone:
                try:
                    received = self._socket.recv(4096)
                except ConnectionResetError:
                    received = b""
                gone = not received
                self._received += received
        # After the socket: a process flushes its complaints before it says that it failed.
        self._hear_complaints()
        *lines, self._received = self._received.split(b"\n")
        messages = [_explained(from_line(line), self.log.complaint) for line in lines if line]
        self._heard_the_end = gone or any(isinstance(message, Ended | Failed) for message in messages)
        if gone and not any(isinstance(message, Ended | Failed) for message in messages):
            messages.append(Failed(self._cause_of_death(), "process"))
        return messages

    def hang_up(self) -> None:
        """Asks it to close its camera and go; `kill` is for those that do not."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def kill(self) -> None:
        """Ends it whatever it is doing, stopped or blocked; does not wait."""
        if self.running:
            self._process.kill()

    def wait(self, timeout_s: float) -> bool:
        """Whether it is gone within this time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
            return True
        return False

    def close(self) -> None:
        """Gives back everything it had here; the process must be gone."""
        self._release()

    def _release(self) -> None:
        self._socket.close()
        os.close(self._complaints)
        self.slot.close()
        os.close(self._slot_descriptor)

    def _hear_complaints(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while printed := os.read(self._complaints, READ_BYTES):
                self.log.feed(printed)

    def _cause_of_death(self) -> str:
        # Its socket closes a moment before it can be reaped.
        self.wait(0.1)
        code = self._process.poll()
        if code is not None and code < 0:
            return f"the capture process was killed by {signal.Signals(-code).name}"
        self._hear_complaints()
        self.log.end()
        return f"the capture process died: {self.log.complaint or f'exit code {code}'}"


def _explained(message: Message, complaint: str) -> Opened | Ended | Failed:
    """A failure with what FFmpeg said of it last, which is often the reason."""
    assert not isinstance(message, Setting)
    if isinstance(message, Failed) and complaint:
        return replace(message, reason=f"{message.reason} ({complaint})")
    return message


def _environment(setting: Setting) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")])),
        "OPENCV_FFMPEG_CAPTURE_OPTIONS": FFMPEG_OPTIONS if setting.kind == "stream" else "",
        # What remains is FFmpeg's, of which the last warning or error is often the reason of a failure.
        "OPENCV_LOG_LEVEL": "SILENT",
        "OPENCV_FFMPEG_LOGLEVEL": FFMPEG_LOG_LEVELS[setting.kind],
        # Seconds that a webcam's grab waits; 10 by default.
        "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT": str(max(1, round(setting.read_timeout_s))),
        "PYTHONUNBUFFERED": "1",
    }
