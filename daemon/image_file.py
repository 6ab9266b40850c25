"""Encodes pictures, and saves them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daemon import private_file
from daemon.errors import UsageError

FORMATS = (".jpg", ".jpeg", ".png", ".webp")


def save(file: Path, bgr: NDArray[np.uint8]) -> None:
    """Writes the picture in the format of the file's name; UsageError where that can't be."""
    import cv2

    check_format(file)
    encoded, content = cv2.imencode(file.suffix.lower(), bgr)
    assert encoded, file
    write(file, content.tobytes())


def write(file: Path, content: bytes) -> None:
    """Puts an encoded picture there whole, or leaves what is there; UsageError where it can't be written."""
    # A link stays one, and what is no file, such as a pipe, is written to.
    target = Path(os.path.realpath(file))
    # In a folder of others the file alone may be ours to write.
    replaceable = os.access(target.parent, os.R_OK | os.W_OK) and (target.is_file() or not target.exists())
    try:
        if replaceable:
            private_file.replace_bytes(target, content, _usual_mode(target))
        else:
            target.write_bytes(content)
    except OSError as error:
        raise UsageError(f"{file}: can't be written: {error.strerror}") from None


def jpeg(bgr: NDArray[np.uint8], quality: int = 95) -> bytes:
    """The picture as a JPEG; quality: 0 to 100."""
    import cv2

    encoded, content = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert encoded, bgr.shape
    return content.tobytes()


def check_format(file: Path) -> None:
    """UsageError where we can't write such a file; to be asked before the work is done."""
    if file.suffix.lower() not in FORMATS:
        raise UsageError(f"{file}: the name must end in one of {', '.join(FORMATS)}")


def _usual_mode(file: Path) -> int:
    """As open() would leave it."""
    if file.exists():
        return stat.S_IMODE(file.stat().st_mode)
    umask = os.umask(0o077)
    os.umask(umask)
    return 0o666 & ~umask
