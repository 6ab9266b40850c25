"""Opens video files and folders of images, which have an end and times of their own."""

from __future__ import annotations

import re
from pathlib import Path

import cv2

from daemon.capture_messages import Setting
from daemon.file_positions import FALLBACK_FPS, FilePositions
from daemon.readers import BgrPicture, CameraLost, CaptureReader, Reader, as_bgr, open_ffmpeg

IMAGE_SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
FILE_TIMEOUT_S = 120.0
"""FFmpeg takes a read that times out for the end of the file; the daemon gives up sooner, and says so."""


def open_path(setting: Setting) -> Reader:
    """The reader for this file or folder; CameraLost if there is nothing to read."""
    path = Path(setting.uri)
    try:
        if path.is_dir():
            return FolderReader(path)
        with path.open("rb"):
            pass
    except OSError as error:
        raise CameraLost(f"{path}: {error.strerror}") from error
    if setting.backend == "pyav":
        from daemon.pyav_readers import open_file

        return open_file(setting.uri)
    capture = open_ffmpeg(setting.uri, FILE_TIMEOUT_S, FILE_TIMEOUT_S)
    if not capture.isOpened():
        raise CameraLost(f"{path}: not a video that can be read")
    return FileReader(capture)


class FolderReader:
    """The images of a folder, in the order in which people count: 2.jpg before 10.jpg."""

    losses = 0

    def __init__(self, folder: Path) -> None:
        images = [path for path in folder.iterdir() if _is_image(path)]
        if not images:
            raise CameraLost(f"{folder}: no images ({', '.join(sorted(IMAGE_SUFFIXES))}) in this folder")
        self._images = sorted(images, key=lambda path: _natural(path.name))
        self._at = -1
        self.description = f"{len(images)} images at {FALLBACK_FPS:g} fps"

    def grab(self) -> bool:
        self._at += 1
        return self._at < len(self._images)

    def picture(self) -> BgrPicture | None:
        picture = cv2.imread(str(self._images[self._at]), cv2.IMREAD_COLOR)
        return None if picture is None else as_bgr(picture)

    def position_ns(self) -> int:
        return round(self._at * 1e9 / FALLBACK_FPS)

    def name(self) -> str:
        return self._images[self._at].name

    def close(self) -> None:
        pass


class FileReader(CaptureReader):
    """A video file, frame by frame."""

    losses = 0

    def __init__(self, capture: cv2.VideoCapture) -> None:
        super().__init__(capture)
        self._positions = FilePositions(capture.get(cv2.CAP_PROP_FPS))
        self._count = 0

    def grab(self) -> bool:
        if not self._capture.grab():
            return False
        self._count += 1
        self._positions.next(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
        return True

    def position_ns(self) -> int:
        return self._positions.position_ns

    def name(self) -> str:
        return f"frame {self._count - 1}"


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
