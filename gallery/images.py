"""Opens the images that people are enrolled from, and refuses in time what is none or would do harm."""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from gallery.errors import ImageRefused
from gallery.faces.types import BgrImage
from gallery.image_header import Header, check_size, read_header

if TYPE_CHECKING:
    from PIL.Image import Image

LARGEST_FILE_BYTES = 20_000_000

Format = Literal["JPEG", "PNG", "WEBP"]
"""As Pillow calls them."""

BROKEN = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    LookupError,
    TypeError,
    AssertionError,
    struct.error,
    zlib.error,
)
"""What Pillow's readers raise on files that are not as they should be."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadedImage:
    """An image as it is meant to be seen."""

    bgr: BgrImage
    """uint8[height, width, 3], contiguous, upright; what was transparent is white."""
    digest: str
    """SHA-256 of the file's bytes, in hexadecimal."""
    format: Format
    """What the file holds, whatever its name says."""


def open_image(path: Path, tree: Path | None = None) -> LoadedImage:
    """Opens a JPEG, PNG or WebP file, or raises ImageRefused; given a tree, also for what lies outside."""
    data = _read(path if tree is None else _inside(path, tree))
    header = read_header(data)
    bgr = _as_bgr(_upright(_decode(header), header.orientation))
    return LoadedImage(bgr, hashlib.sha256(data).hexdigest(), header.format)


def path_text(path: Path) -> str:
    """A path to tell people and programs; bytes in it that are no text become \\udc80 and the like."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def _inside(path: Path, tree: Path) -> Path:
    """Where the path really leads, which must be below the tree."""
    try:
        place = Path(os.path.realpath(path))
        inside = place.is_relative_to(os.path.realpath(tree))
    except ValueError as error:
        raise ImageRefused("not_found", "there is no such file") from error
    if not inside:
        raise ImageRefused("outside_tree", "it leads out of the folder; put the picture itself there")
    return place


def _read(path: Path) -> bytes:
    try:
        _check_file(path.stat())
        # Should it have become a pipe since: non-blocking, so that nobody waits for its writer.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            _check_file(os.fstat(handle))
            data = file.read(LARGEST_FILE_BYTES + 1)
    except ImageRefused:
        raise
    # A ValueError: NUL or a lone surrogate in the path, and no file has such a name.
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise ImageRefused("not_found", "there is no such file") from error
    except OSError as error:
        raise ImageRefused("unreadable", f"the file can't be read: {error.strerror}") from error
    if len(data) > LARGEST_FILE_BYTES:
        raise _too_large()
    if not data:
        raise _empty()
    return data


def _check_file(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, socket or device"
        raise ImageRefused("not_a_file", f"{what}, not a file")
    if status.st_size > LARGEST_FILE_BYTES:
        raise _too_large()
    if not status.st_size:
        raise _empty()


def _too_large() -> ImageRefused:
    return ImageRefused("too_large_file", f"above {LARGEST_FILE_BYTES // 1_000_000} MB: scale it down")


def _empty() -> ImageRefused:
    return ImageRefused("empty", "the file has no content")


def _decode(header: Header) -> NDArray[np.uint8]:
    """uint8[height, width, 3] as stored, red, green, blue."""
    from PIL import Image

    try:
        with Image.open(BytesIO(header.pixels), formats=[header.format]) as image:
            check_size(*image.size)  # Should Pillow read the header otherwise than we do.
            return _as_rgb(image)
    except ImageRefused:
        raise
    except Image.DecompressionBombError as error:
        raise ImageRefused("too_many_pixels", _one_line(error)) from error
    except BROKEN as error:
        raise ImageRefused("truncated", f"the file is damaged: {_one_line(error)}") from error


def _as_rgb(image: Image) -> NDArray[np.uint8]:
    from PIL import Image

    if image.mode.startswith("I"):
        # Pillow would clip 16 bits at 255 instead of scaling them.
        grey = (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.has_transparency_data:
        layers = image.convert("RGBA")
        flat = Image.new("RGB", image.size, "white")
        flat.paste(layers, mask=layers)
        return np.asarray(flat)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undoes how the camera was held: EXIF 2.32, table 6."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _as_bgr(rgb: NDArray[np.uint8]) -> BgrImage:
    """Contiguous and writeable; numpy alone takes 20 times as long to swap colours."""
    import cv2

    return np.asarray(cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2BGR), np.uint8)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
