"""Reads what an image's file says of itself, without decoding a pixel or unpacking anything."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from gallery.errors import ImageRefused

MOST_PIXELS = 50_000_000
LONGEST_SIDE_PX = 12_000
MOST_PIECES = 50_000
"""JPEG segments, PNG or WebP chunks: 20 MB written in pieces of 400 bytes. More is made to keep us busy."""
MOST_SCANS = 200
"""Of a progressive JPEG, which has about 10. Each costs a pass over the whole picture."""

ORIENTATION_TAG = 0x0112
SHORT = 3
"""EXIF's type of a 16-bit number."""


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of an image before it is decoded."""

    format: Literal["JPEG", "PNG", "WEBP"]
    """As Pillow calls it."""
    width: int
    """Pixels as stored, before the orientation is applied."""
    height: int
    """Pixels as stored, before the orientation is applied."""
    orientation: int
    """1 to 8, as EXIF counts; 1: upright."""
    pixels: bytes
    """The file without its texts, profiles, thumbnails and EXIF, which a decoder might unpack or trust."""


def read_header(data: bytes) -> Header:
    """The header of a whole file's bytes; raises ImageRefused for what is not to be decoded."""
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data)
    raise _unsupported(data)


def check_size(width: int, height: int) -> None:
    """Raises ImageRefused for a picture with too many pixels, or with none."""
    if width < 1 or height < 1:
        raise ImageRefused("truncated", f"the file is damaged: a picture of {width} x {height} pixels")
    if width * height > MOST_PIXELS or max(width, height) > LONGEST_SIDE_PX:
        raise ImageRefused(
            "too_many_pixels",
            f"{width} x {height} pixels; at most {MOST_PIXELS // 1_000_000} megapixels "
            f"and {LONGEST_SIDE_PX} a side: scale it down",
        )


def _jpeg(data: bytes) -> Header:
    width = height = 0
    orientation = 1
    kept = [b"\xff\xd8"]
    for marker, start, end in _jpeg_segments(data):
        body = data[start + 4 : end]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            if len(body) < 5:
                raise _damaged("its frame header is too short")
            precision, height, width = struct.unpack_from(">BHH", body)
            if precision != 8:
                raise ImageRefused("unsupported_format", f"a JPEG of {precision} bits; 8 can be read")
            check_size(width, height)
        if marker == 0xE1 and body.startswith(b"Exif\x00\x00"):
            orientation = _orientation(body)
        # APP0 and APP14 say how colours are stored; the other APPs and comments are not needed to decode.
        if marker in (0xE0, 0xEE) or not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            kept.append(data[start:end])
    first_scan = end
    if not width:
        raise _damaged("it has no frame header")
    # Within a scan FF is followed by 00, so neither mark can be there by chance.
    if data.find(b"\xff\xd9", first_scan) < 0:
        raise _cut_off()
    if data.count(b"\xff\xda", first_scan) > MOST_SCANS:
        raise ImageRefused("unsupported_format", f"a JPEG of more than {MOST_SCANS} scans")
    kept.append(data[first_scan:])
    return Header("JPEG", width, height, orientation, b"".join(kept))


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment, and last the start of the scan's own data."""
    fill = re.compile(rb"\xff+")
    position = 2
    for _ in range(MOST_PIECES):
        found = fill.match(data, position)
        if found is None:
            raise _damaged("a marker is missing") if position < len(data) else _cut_off()
        start = found.end() - 1
        if start + 4 > len(data):
            raise _cut_off()
        marker = data[start + 1]
        if marker == 0xD9:
            raise _damaged("it ends before its picture")
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            position = start + 2
            continue
        position = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
        if position > len(data):
            raise _cut_off()
        yield marker, start, position
        if marker == 0xDA:
            return
    raise _too_many_pieces()


def _png(data: bytes) -> Header:
    width = height = 0
    orientation = 1
    kept = [data[:8]]
    for kind, start, end in _png_chunks(data):
        if kind == b"IHDR" and end - start == 25:
            width, height = struct.unpack_from(">II", data, start + 8)
            check_size(width, height)
        if kind == b"acTL":
            raise ImageRefused("animated", "an animated PNG; save one picture of it")
        if kind == b"eXIf":
            orientation = _orientation(data[start + 8 : end - 4])
        if kind in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            kept.append(data[start:end])
    if not width:
        raise _damaged("it has no header")
    return Header("PNG", width, height, orientation, b"".join(kept))


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of each chunk, the last one being IEND."""
    position = 8
    for _ in range(MOST_PIECES):
        kind = data[position + 4 : position + 8]
        end = position + 12 + int.from_bytes(data[position : position + 4], "big")
        if len(kind) < 4 or end > len(data):
            raise _cut_off()
        yield kind, position, end
        if kind == b"IEND":
            return
        position = end
    raise _too_many_pieces()


def _webp(data: bytes) -> Header:
    if 8 + int.from_bytes(data[4:8], "little") > len(data) or len(data) < 30:
        raise _cut_off()
    kind = data[12:16]
    if kind == b"VP8X":
        if data[20] & 0x02:
            raise ImageRefused("animated", "an animated WebP; save one picture of it")
        width = 1 + int.from_bytes(data[24:27], "little")
        height = 1 + int.from_bytes(data[27:30], "little")
    elif kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width = int.from_bytes(data[26:28], "little") & 0x3FFF
        height = int.from_bytes(data[28:30], "little") & 0x3FFF
    else:
        raise _damaged("its first chunk is no picture")
    check_size(width, height)
    return Header("WEBP", width, height, _webp_orientation(data), data)


def _webp_orientation(data: bytes) -> int:
    position = 12
    for _ in range(MOST_PIECES):
        size = int.from_bytes(data[position + 4 : position + 8], "little")
        if data[position : position + 4] == b"EXIF":
            return _orientation(data[position + 8 : position + 8 + size])
        position += 8 + size + size % 2
        if position >= len(data):
            return 1
    raise _too_many_pieces()


def _orientation(exif: bytes) -> int:
    """The one number that we need, read by itself: EXIF's other entries may point anywhere, and often."""
    exif = exif.removeprefix(b"Exif\x00\x00")
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (first,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, first)
        for place in range(first + 2, first + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", exif, place)
            if tag == ORIENTATION_TAG:
                return value if kind == SHORT and 1 <= value <= 8 else 1
    except struct.error:
        pass  # Broken EXIF is common, and the picture is none the worse for it.
    return 1


def _unsupported(data: bytes) -> ImageRefused:
    if data[4:8] == b"ftyp":
        brand = data[8:12]
        if brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"):
            return ImageRefused(
                "heic",
                "a HEIC photo; save it as JPEG (iPhone: Settings, Camera, Formats, Most Compatible; "
                "or `heif-convert photo.heic photo.jpg`)",
            )
        if brand in (b"avif", b"avis"):
            return _unsupported_format("AVIF")
    if b"<svg" in data[:4096].lower():
        return _unsupported_format("SVG")
    for beginning, name in OTHER_FORMATS.items():
        if data.startswith(beginning):
            return _unsupported_format(name)
    return ImageRefused("not_an_image", "not an image; JPEG, PNG and WebP can be read")


OTHER_FORMATS = {
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"8BPS": "Photoshop",
    b"\x00\x00\x01\x00": "ICO",
    b"\x00\x00\x00\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\xff\x0a": "JPEG XL",
    b"\x00\x00\x00\x0cJXL ": "JPEG XL",
    b"%PDF": "PDF",
    b"qoif": "QOI",
    b"P5": "PGM",
    b"P6": "PPM",
}
"""How files begin that are images, or often taken for one."""


def _unsupported_format(name: str) -> ImageRefused:
    return ImageRefused("unsupported_format", f"{name} can't be read; save it as JPEG, PNG or WebP")


def _cut_off() -> ImageRefused:
    return ImageRefused("truncated", "the file ends before the picture does; copy it again")


def _damaged(finding: str) -> ImageRefused:
    return ImageRefused("truncated", f"the file is damaged: {finding}")


def _too_many_pieces() -> ImageRefused:
    return _damaged(f"more than {MOST_PIECES} pieces")
