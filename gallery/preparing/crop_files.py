"""Writes crops: under which name, in which format, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Set
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from gallery.faces.types import BgrImage
from gallery.images import Format, path_text
from gallery.preparing.errors import PreparingFailed

QUALITY = 95
"""Of JPEG and WebP, 0 to 100."""


def names(source: str, taken: Set[str]) -> Iterator[str]:
    """Names for the crops of an image: its own, then with -2, -3 and so on, without those of other images."""
    yield source
    path, number = PurePosixPath(source), 2
    while True:
        name = str(path.with_name(f"{path.stem}-{number}{path.suffix}"))
        if name not in taken:
            yield name
        number += 1


def encoded(bgr: BgrImage, kind: Format) -> bytes:
    """A file's bytes."""
    suffix, parameters = {
        "JPEG": (".jpg", [cv2.IMWRITE_JPEG_QUALITY, QUALITY]),
        "PNG": (".png", []),
        "WEBP": (".webp", [cv2.IMWRITE_WEBP_QUALITY, QUALITY]),
    }[kind]
    worked, content = cv2.imencode(suffix, np.ascontiguousarray(bgr), parameters)
    assert worked, bgr.shape
    return content.tobytes()


def write(target: Path, content: bytes, part: Path) -> None:
    """Puts the file there whole; part is a path on the same file system that nobody else writes to."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        part.replace(target)
    except OSError as error:
        raise PreparingFailed(f"{path_text(target)}: can't be written: {error.strerror}") from error
