"""Makes a folder of files that are rare kinds of photographs, or look like one and are none, or do harm."""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image


@dataclass(frozen=True, slots=True)
class BadImage:
    """One of them."""

    path: Path
    reason: str | None
    """Why it is refused; None: it is opened."""


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """A whole chunk with its checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *chunks: bytes, bits: int = 8, colour: int = 2) -> bytes:
    """A PNG that says it has this size, of these chunks."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + png_chunk(b"IEND", b"")


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    """A file's bytes."""
    buffer = BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg_of_size(jpeg: bytes, width: int, height: int) -> bytes:
    """The same JPEG, which says now that it has this size."""
    data = bytearray(jpeg)
    at = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def make(folder: Path, photo: Image.Image) -> list[BadImage]:
    """All kinds in a new folder; the photo is what those show that can be opened."""
    tree = folder / "tree"
    tree.mkdir()
    made = [BadImage(_written(tree / name, data), reason) for name, data, reason in _files(photo)]
    return made + list(_places(tree, folder, encoded(photo, "JPEG", quality=95)))


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _files(photo: Image.Image) -> Iterator[tuple[str, bytes, str | None]]:
    jpeg = encoded(photo, "JPEG", quality=95)
    yield from _bombs(jpeg)
    yield from _halves(photo)
    yield from _kinds(photo)
    yield from _no_pictures(photo)
    yield from _busy(photo)


def _bombs(jpeg: bytes) -> Iterator[tuple[str, bytes, str | None]]:
    zeros = zlib.compress(bytes(30_000 * 3_000), 9)
    yield "bomb.png", png(30_000, 30_000, png_chunk(b"IDAT", zeros)), "too_many_pixels"
    yield "bomb.jpg", jpeg_of_size(jpeg, 30_000, 30_000), "too_many_pixels"
    extended = b"VP8X\x0a\x00\x00\x00" + bytes(4) + (29_999).to_bytes(3, "little") * 2
    yield "bomb.webp", b"RIFF\x16\x00\x00\x00WEBP" + extended, "too_many_pixels"
    gif = bytearray(encoded(Image.new("P", (8, 8)), "GIF"))
    gif[6:10] = struct.pack("<HH", 30_000, 30_000)
    yield "bomb.gif", bytes(gif), "unsupported_format"
    yield "thread.png", png(1, 900_000_000, png_chunk(b"IDAT", zeros)), "too_many_pixels"
    # Its header says 100 x 100, and its data unpacks to 90 MB: what is more than asked for is left packed.
    yield "unpacks.png", png(100, 100, png_chunk(b"IDAT", zeros)), None


def _halves(photo: Image.Image) -> Iterator[tuple[str, bytes, str]]:
    for name, data in (
        ("half.jpg", encoded(photo, "JPEG")),
        ("half-progressive.jpg", encoded(photo, "JPEG", progressive=True)),
        ("half.png", encoded(photo, "PNG")),
        ("half.webp", encoded(photo, "WEBP")),
    ):
        yield name, data[: len(data) // 2], "truncated"
    whole = encoded(photo, "PNG")
    yield "damaged.png", whole[:-9000] + bytes(8000) + whole[-1000:], "truncated"
    yield "short.png", png(6_000, 6_000, png_chunk(b"IDAT", zlib.compress(bytes(1_000_000)))), "truncated"


def _kinds(photo: Image.Image) -> Iterator[tuple[str, bytes, None]]:
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield (
            f"exif-{orientation}.jpg",
            encoded(_turned(photo, orientation), "JPEG", exif=exif, quality=95),
            None,
        )
    grey = np.asarray(photo.convert("L")).astype(np.uint16) * 257
    yield "16-bit-grey.png", encoded(Image.fromarray(grey), "PNG"), None
    rgb = (np.asarray(photo.convert("RGB")).astype(np.uint16) * 257).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in rgb)
    data = png_chunk(b"IDAT", zlib.compress(rows, 1))
    yield "16-bit-colour.png", png(photo.width, photo.height, data, bits=16), None
    yield "cmyk.jpg", encoded(photo.convert("CMYK"), "JPEG", quality=95), None
    yield "grey.jpg", encoded(photo.convert("L"), "JPEG", quality=95), None
    yield "palette.png", encoded(photo.quantize(256), "PNG"), None
    yield "transparent.webp", encoded(photo.convert("RGBA"), "WEBP", lossless=True), None
    yield "really-a-png.jpg", encoded(photo, "PNG"), None
    yield "broken-exif.jpg", encoded(photo, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff", quality=95), None


def _turned(photo: Image.Image, orientation: int) -> Image.Image:
    """As a camera held that way stores it: what undoes the orientation, backwards."""
    undoes = Image.Transpose
    back = {
        2: undoes.FLIP_LEFT_RIGHT,
        3: undoes.ROTATE_180,
        4: undoes.FLIP_TOP_BOTTOM,
        5: undoes.TRANSPOSE,
        6: undoes.ROTATE_90,
        7: undoes.TRANSVERSE,
        8: undoes.ROTATE_270,
    }
    return photo if orientation == 1 else photo.transpose(back[orientation])


def _no_pictures(photo: Image.Image) -> Iterator[tuple[str, bytes, str]]:
    svg = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    yield "empty.jpg", b"", "empty"
    yield "svg.jpg", svg, "unsupported_format"
    yield "svgz.jpg", gzip.compress(svg), "not_an_image"
    yield "notes.txt.jpg", b"Pictures of Ann, 2019\n", "not_an_image"
    yield "zeros.jpg", bytes(1_000_000), "not_an_image"
    yield "page.jpg", b"<!DOCTYPE html><html><body>404 Not Found</body></html>", "not_an_image"
    yield "iphone.jpg", b"\x00\x00\x00\x18ftypheic" + bytes(1000), "heic"
    yield "scan.jpg", encoded(photo, "TIFF"), "unsupported_format"
    yield "old.jpg", encoded(photo, "BMP"), "unsupported_format"
    for kind in ("PNG", "WEBP"):
        buffer = BytesIO()
        small = photo.resize((64, 64))
        small.save(buffer, kind, save_all=True, append_images=[Image.new("RGB", (64, 64))], duration=100)
        yield f"animated.{kind.lower()}", buffer.getvalue(), "animated"
    yield "nothing.png", png(0, 9), "truncated"


def _busy(photo: Image.Image) -> Iterator[tuple[str, bytes, str | None]]:
    """What costs time or memory without being large."""
    yield "segments.jpg", b"\xff\xd8" + b"\xff\xe2\x00\x02" * 4_900_000, "truncated"
    yield "chunks.png", b"\x89PNG\r\n\x1a\n" + png_chunk(b"tEXt", b"") * 1_500_000, "truncated"
    progressive = encoded(photo.resize((64, 64)), "JPEG", progressive=True)
    at = progressive.rindex(b"\xff\xda")
    scans = progressive[:at] + progressive[at:-2] * 1000 + progressive[-2:]
    yield "scans.jpg", scans, "unsupported_format"
    text = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(50_000_000), 9))
    pixels = png_chunk(b"IDAT", zlib.compress(b"\0\1\2\3"))
    yield "text.png", png(1, 1, *[text] * 20, pixels), None
    profile = png_chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(50_000_000), 9))
    yield "profile.png", png(1, 1, profile, pixels), None


def _places(tree: Path, outside: Path, jpeg: bytes) -> Iterator[BadImage]:
    """What a path may lead to other than a file."""
    yield BadImage(tree / "with\0nul.jpg", "not_found")
    yield BadImage(tree / "missing.jpg", "not_found")
    (outside / "secret.jpg").write_bytes(jpeg)
    (tree / "out.jpg").symlink_to(outside / "secret.jpg")
    yield BadImage(tree / "out.jpg", "outside_tree")
    (tree / "password.jpg").symlink_to("/etc/passwd")
    yield BadImage(tree / "password.jpg", "outside_tree")
    yield BadImage(tree / ".." / "secret.jpg", "outside_tree")
    (tree / "dangling.jpg").symlink_to(tree / "missing.jpg")
    yield BadImage(tree / "dangling.jpg", "not_found")
    (tree / "circle.jpg").symlink_to(tree / "circle.jpg")
    yield BadImage(tree / "circle.jpg", "unreadable")
    (tree / "alias.jpg").symlink_to("exif-1.jpg")
    yield BadImage(tree / "alias.jpg", None)
    (tree / "folder.jpg").mkdir()
    yield BadImage(tree / "folder.jpg", "not_a_file")
    os.mkfifo(tree / "pipe.jpg")
    yield BadImage(tree / "pipe.jpg", "not_a_file")
    (tree / "huge.jpg").write_bytes(jpeg)
    os.truncate(tree / "huge.jpg", 50_000_000_000)
    yield BadImage(tree / "huge.jpg", "too_large_file")
