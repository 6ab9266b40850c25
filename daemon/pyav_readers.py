"""Opens streams and video files with PyAV, which reads some that OpenCV can't. The extra `pyav` brings it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import av
import numpy as np
from av.container import InputContainer

from daemon.capture_messages import Setting
from daemon.file_positions import FilePositions
from daemon.grabbing import LiveGrabs, why_not_open
from daemon.readers import BgrPicture, CameraLost

STREAM_OPTIONS = {"rtsp_transport": "tcp", "flags": "low_delay", "fpsprobesize": "0"}
"""As OpenCV gets them: docs/decisions/0042."""
FAILURES = (av.FFmpegError, OSError)


def open_stream(setting: Setting) -> PyavStream:
    """The reader for a network stream; CameraLost if there is no answer, or a refusal."""
    _print_complaints()
    began = time.monotonic()
    limits = (setting.open_timeout_s, setting.read_timeout_s)
    try:
        container = av.open(setting.uri, options=STREAM_OPTIONS, timeout=limits)
    except FAILURES as error:
        # Its text would hold the URL, with the password.
        raise why_not_open(setting, began, error.strerror or "") from None
    return PyavStream(container, setting)


def open_file(uri: str) -> PyavFile:
    """The reader for a video file; CameraLost if it can't be read."""
    _print_complaints()
    try:
        return PyavFile(av.open(uri))
    except FAILURES as error:
        raise CameraLost(f"{uri}: not a video that can be read: {error.strerror}") from None


class PyavReader:
    """What streams and files have in common."""

    def __init__(self, container: InputContainer) -> None:
        self._container = container
        if not container.streams.video:
            container.close()
            raise CameraLost("there is no video in it")
        self._stream = container.streams.video[0]
        self._stream.codec_context.thread_count = 1
        self._frames = self._decoded()
        self._frame: av.VideoFrame | None = None
        self._count = -1
        codec = self._stream.codec_context
        rate = self._stream.average_rate
        told = f" at {float(rate):.4g} fps" if rate else ""
        self.description = f"{codec.width}x{codec.height}{told}, {codec.name}"

    def picture(self) -> BgrPicture | None:
        assert self._frame is not None
        bgr = self._frame.to_ndarray(format="bgr24")
        return np.ascontiguousarray(np.rot90(bgr, self._frame.rotation // 90))

    def name(self) -> str:
        return f"frame {self._count}"

    def close(self) -> None:
        self._container.close()

    def _next(self) -> bool:
        """Goes to the next frame; False if there is none, for whatever reason."""
        try:
            self._frame = next(self._frames, None)
        except FAILURES:
            self._frame = None
        self._count += 1
        return self._frame is not None

    def _decoded(self) -> Iterator[av.VideoFrame]:
        for packet in self._container.demux(self._stream):
            try:
                yield from packet.decode()
            except av.InvalidDataError:
                # One packet is damaged, of which the decoder has complained. The next may be whole.
                continue


class PyavStream(PyavReader):
    """A network stream."""

    def __init__(self, container: InputContainer, setting: Setting) -> None:
        super().__init__(container)
        self._grabs = LiveGrabs(setting, self._next)
        self._size: tuple[int, int] | None = None

    @property
    def losses(self) -> int:
        return self._grabs.losses

    def grab(self) -> bool:
        self._grabs.next()
        frame = self._frame
        assert frame is not None
        size = frame.width, frame.height
        self._size = self._size or size
        if size != self._size:
            raise CameraLost(f"the pictures have another size from now on, {size[0]}x{size[1]}", "resized")
        if frame.time is not None:
            self._grabs.hold_against_the_clock(frame.time)
        return True

    def position_ns(self) -> int:
        return 0


class PyavFile(PyavReader):
    """A video file, frame by frame."""

    losses = 0

    def __init__(self, container: InputContainer) -> None:
        super().__init__(container)
        rate = self._stream.average_rate
        self._positions = FilePositions(float(rate) if rate else 0.0)

    def grab(self) -> bool:
        if not self._next():
            return False
        assert self._frame is not None
        time_base = self._stream.time_base
        if self._frame.pts is None or time_base is None:
            self._positions.next(None)
        else:
            since_start = self._frame.pts - (self._stream.start_time or 0)
            self._positions.next(float(since_start * time_base) * 1e9)
        return True

    def position_ns(self) -> int:
        return self._positions.position_ns


def _print_complaints() -> None:
    """FFmpeg prints what it has to complain of, as it does within OpenCV."""
    av.logging.restore_default_callback()
    av.logging.set_libav_level(av.logging.WARNING)
