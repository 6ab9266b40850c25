"""Which images are opened, as what, and with which reason the others are refused."""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from gallery.errors import ImageRefused
from gallery.images import LARGEST_FILE_BYTES, open_image
from tests.gallery.bad_images import encoded, png, png_chunk

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def quarters(width: int = 64, height: int = 48) -> Image.Image:
    """Red, green, blue and white quarters: a picture whose sides and colours can't be mistaken."""
    picture = Image.new("RGB", (width, height), "white")
    picture.paste(RED, (0, 0, width // 2, height // 2))
    picture.paste(GREEN, (width // 2, 0, width, height // 2))
    picture.paste(BLUE, (0, height // 2, width // 2, height))
    return picture


def bgr(picture: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(picture.convert("RGB"))[:, :, ::-1]


def refusal(path: Path) -> ImageRefused:
    with pytest.raises(ImageRefused) as refused:
        open_image(path)
    assert refused.value.detail
    assert "\n" not in refused.value.detail
    return refused.value


def reason_of(data: bytes, path: Path) -> str:
    path.write_bytes(data)
    return refusal(path).reason


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "picture"


@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("WEBP", {"quality": 95}, 12),
        ("JPEG", {"quality": 95, "subsampling": 0}, 4),
        ("JPEG", {"quality": 95, "subsampling": 0, "progressive": True}, 4),
    ],
)
def test_a_picture_comes_as_contiguous_bgr_with_the_digest_of_its_file(
    path: Path, kind: str, options: dict[str, object], tolerance: int
) -> None:
    data = encoded(quarters(), kind, **options)
    path.write_bytes(data)
    image = open_image(path)
    assert image.bgr.dtype == np.uint8
    assert image.bgr.flags.c_contiguous
    assert image.bgr.flags.writeable
    # Nine tenths: lossy WebP halves the colours' resolution, which shows where the quarters meet.
    assert np.percentile(np.abs(image.bgr.astype(int) - bgr(quarters())), 90) <= tolerance
    assert image.digest == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_each_exif_orientation_is_undone(path: Path, kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x010F] = "A maker"
    exif[0x0112] = orientation
    path.write_bytes(encoded(quarters(), kind, exif=exif.tobytes(), lossless=True, quality=95))
    with Image.open(path) as stored:
        upright = ImageOps.exif_transpose(stored).convert("RGB")
    found = open_image(path).bgr
    assert found.shape == (upright.height, upright.width, 3)
    assert np.abs(found.astype(int) - bgr(upright)).max() <= 4
    # And that against the picture as it was before it was turned: orientation 1 shows red at the top left.
    corner = {1: RED, 2: GREEN, 3: (255, 255, 255), 4: BLUE, 5: RED, 6: BLUE, 7: (255, 255, 255), 8: GREEN}
    assert np.abs(found[4, 4, ::-1].astype(int) - corner[orientation]).max() <= 12


@pytest.mark.parametrize(
    "exif", [b"", b"Exif\x00\x00", b"II*\x00\xff\xff\xff\xff", b"MM\x00*\x00\x00\x00\x08\xff\xff"]
)
def test_a_picture_with_broken_exif_is_taken_as_it_stands(path: Path, exif: bytes) -> None:
    path.write_bytes(
        png(1, 1, png_chunk(b"eXIf", exif), png_chunk(b"IDAT", zlib.compress(b"\x00\x01\x02\x03")))
    )
    assert open_image(path).bgr.tolist() == [[[3, 2, 1]]]


def test_sixteen_bit_grey_is_scaled_and_not_clipped(path: Path) -> None:
    levels = np.array([[0, 256, 0x7FFF, 0xFFFF]], np.uint16)
    Image.fromarray(levels).save(path, "PNG")
    assert open_image(path).bgr.tolist() == [[[0] * 3, [1] * 3, [127] * 3, [255] * 3]]


def test_sixteen_bit_colour_is_scaled(path: Path) -> None:
    row = b"\x00" + struct.pack(">6H", 0xFFFF, 0x8000, 0x0100, 0, 0x1234, 0xFE00)
    path.write_bytes(png(2, 1, png_chunk(b"IDAT", zlib.compress(row)), bits=16))
    assert open_image(path).bgr.tolist() == [[[1, 128, 255], [254, 18, 0]]]


def test_cmyk_keeps_its_colours(path: Path) -> None:
    path.write_bytes(encoded(quarters().convert("CMYK"), "JPEG", quality=95, subsampling=0))
    assert np.abs(open_image(path).bgr.astype(int) - bgr(quarters())).max() <= 6


def test_palette_and_grey_and_bilevel_pictures_are_read(path: Path) -> None:
    for mode in ("P", "L", "1", "LA", "PA"):
        source = quarters().convert("P") if mode == "PA" else quarters().convert(mode)
        path.write_bytes(encoded(source, "PNG"))
        assert np.array_equal(open_image(path).bgr, bgr(source)), mode


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_what_is_transparent_is_white(path: Path, kind: str) -> None:
    picture = quarters().convert("RGBA")
    picture.putalpha(Image.new("L", picture.size, 0))
    path.write_bytes(encoded(picture, kind, lossless=True))
    assert (open_image(path).bgr == 255).all()


def test_a_palette_with_a_transparent_colour_is_read(path: Path) -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([*RED, *BLUE])
    picture.putpixel((1, 0), 1)
    path.write_bytes(encoded(picture, "PNG", transparency=1))
    assert open_image(path).bgr.tolist() == [[[0, 0, 255], [255, 255, 255]]]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_it_is_told_what_a_file_holds_whatever_it_is_called(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "photo.heic"
    path.write_bytes(encoded(quarters(), kind))
    assert open_image(path).format == kind


def test_a_tree_is_not_left_by_links_but_may_have_links_within(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "ann").mkdir(parents=True)
    for place in (tree / "ann" / "real", tmp_path / "outside"):
        place.write_bytes(encoded(quarters(), "PNG"))
    (tree / "within").symlink_to(tree / "ann" / "real")
    (tree / "out").symlink_to(tmp_path / "outside")
    (tree / "folder").symlink_to(tmp_path)
    (tmp_path / "door").symlink_to(tree)
    for inside in (tree / "ann" / "real", tree / "within", tmp_path / "door" / "within"):
        assert open_image(inside, tree).bgr.shape == (48, 64, 3)
    assert open_image(tree / "within", tmp_path / "door").format == "PNG"
    for outside in (tree / "out", tree / "folder" / "outside", tree / ".." / "outside"):
        assert open_image(outside).format == "PNG"
        with pytest.raises(ImageRefused) as refused:
            open_image(outside, tree)
        assert refused.value.reason == "outside_tree"


def test_a_link_to_a_picture_is_followed(path: Path) -> None:
    path.write_bytes(encoded(quarters(), "PNG"))
    link = path.with_name("link")
    link.symlink_to(path)
    assert np.array_equal(open_image(link).bgr, bgr(quarters()))


def test_a_photo_of_several_pictures_gives_the_first(path: Path) -> None:
    buffer = BytesIO()
    quarters().save(buffer, "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))], quality=95)
    path.write_bytes(buffer.getvalue())
    assert open_image(path).bgr.shape == (48, 64, 3)


def animated(kind: str) -> bytes:
    buffer = BytesIO()
    quarters().save(buffer, kind, save_all=True, append_images=[Image.new("RGB", (64, 48))], duration=100)
    return buffer.getvalue()


HALF: Callable[[bytes], bytes] = lambda data: data[: len(data) // 2]  # noqa: E731


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"hello, world", "not_an_image"),
        (b"\x00" * 5000, "not_an_image"),
        (b"\x00\x00\x00\x18ftypisom" + b"\x00" * 99, "not_an_image"),
        (b"\x00\x00\x00\x18ftypheic" + b"\x00" * 99, "heic"),
        (b"\x00\x00\x00\x18ftypmif1" + b"\x00" * 99, "heic"),
        (b"\x00\x00\x00\x18ftypavif" + b"\x00" * 99, "unsupported_format"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "unsupported_format"),
        (encoded(quarters(), "GIF"), "unsupported_format"),
        (encoded(quarters(), "TIFF"), "unsupported_format"),
        (encoded(quarters(), "BMP"), "unsupported_format"),
        (animated("PNG"), "animated"),
        (animated("WEBP"), "animated"),
        (HALF(encoded(quarters(), "PNG")), "truncated"),
        (HALF(encoded(quarters(), "WEBP")), "truncated"),
        (HALF(encoded(quarters(640, 480), "JPEG")), "truncated"),
        (HALF(encoded(quarters(640, 480), "JPEG", progressive=True)), "truncated"),
        (encoded(quarters(), "PNG")[:-1], "truncated"),
        (encoded(quarters(), "WEBP")[:-1], "truncated"),
        (encoded(quarters(), "JPEG")[:-1], "truncated"),
        (b"\xff\xd8\xff", "truncated"),
        (b"\x89PNG\r\n\x1a\n", "truncated"),
        (b"RIFF\x04\x00\x00\x00WEBP", "truncated"),
        (png(0, 9), "truncated"),
        (png(9, 9), "truncated"),
        (png(12_001, 1), "too_many_pixels"),
        (png(10_000, 5_001), "too_many_pixels"),
        (png(30_000, 30_000, png_chunk(b"IDAT", zlib.compress(bytes(10_000_000)))), "too_many_pixels"),
        (
            b"RIFF\x16\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00" + bytes(4) + b"\xff\xff\x3f\xff\xff\x3f",
            "too_many_pixels",
        ),
        (b"RIFF\x16\x00\x00\x00WEBPVP8L\x0a\x00\x00\x00\x2f\xff\xff\xff\x0f" + bytes(5), "too_many_pixels"),
        (b"\xff\xd8" + b"\xff" * 5_000_000, "truncated"),
        (b"\xff\xd8" + b"\xff\xe2\x00\x02" * 1_000_000, "truncated"),
        (b"\x89PNG\r\n\x1a\n" + png_chunk(b"tEXt", b"") * 1_000_000, "truncated"),
    ],
)
def test_what_cannot_be_opened_is_refused_with_its_reason(path: Path, data: bytes, reason: str) -> None:
    assert reason_of(data, path) == reason


def jpeg_of_size(width: int, height: int) -> bytes:
    data = bytearray(encoded(quarters(), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def test_a_jpegs_size_is_checked_before_it_is_decoded(path: Path) -> None:
    assert reason_of(jpeg_of_size(30_000, 30_000), path) == "too_many_pixels"
    assert reason_of(jpeg_of_size(12_001, 10), path) == "too_many_pixels"


def test_the_largest_picture_is_opened(path: Path) -> None:
    rows = zlib.compress(bytes((1 + 12_000) * 4_166))
    path.write_bytes(png(12_000, 4_166, png_chunk(b"IDAT", rows), colour=0))
    assert open_image(path).bgr.shape == (4_166, 12_000, 3)


def test_a_jpeg_of_a_thousand_scans_is_refused(path: Path) -> None:
    data = encoded(quarters(), "JPEG", progressive=True)
    at = data.rindex(b"\xff\xda")
    assert reason_of(data[:at] + data[at:-2] * 1000 + data[-2:], path) == "unsupported_format"


def test_text_that_unpacks_without_end_is_left_packed(path: Path) -> None:
    text = png_chunk(b"zTXt", b"Comment\x00\x00" + zlib.compress(bytes(100_000_000), 9))
    path.write_bytes(png(1, 1, *[text] * 20, png_chunk(b"IDAT", zlib.compress(b"\x00\x01\x02\x03"))))
    assert open_image(path).bgr.tolist() == [[[3, 2, 1]]]


def test_a_file_above_20_megabytes_is_refused_and_one_of_exactly_20_is_not(path: Path) -> None:
    picture = encoded(quarters(), "PNG")
    path.write_bytes(picture)
    os.truncate(path, LARGEST_FILE_BYTES)
    assert open_image(path).bgr.shape == (48, 64, 3)
    os.truncate(path, LARGEST_FILE_BYTES + 1)
    assert refusal(path).reason == "too_large_file"


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("missing", "file/below", "dangling", "with\x00nul", "\ud800"):
        assert refusal(tmp_path / name).reason == "not_found", name


def test_a_folder_a_pipe_and_a_device_are_no_files_and_nobody_waits_for_them(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        assert refusal(path).reason == "not_a_file", path


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_unreadable(path: Path) -> None:
    path.write_bytes(encoded(quarters(), "PNG"))
    path.chmod(0)
    assert refusal(path).reason == "unreadable"


def test_a_link_that_leads_in_a_circle_is_unreadable(path: Path) -> None:
    path.symlink_to(path)
    assert refusal(path).reason == "unreadable"


SOURCES = {
    "baseline": encoded(quarters(), "JPEG", exif=Image.Exif().tobytes()),
    "progressive": encoded(quarters(), "JPEG", progressive=True),
    "png": encoded(quarters().convert("P"), "PNG"),
    "webp": encoded(quarters(), "WEBP"),
    "lossless": encoded(quarters(), "WEBP", lossless=True),
}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(SOURCES)), data=st.data())
def test_a_damaged_picture_is_opened_or_refused_and_nothing_else(
    path: Path, name: str, data: st.DataObject
) -> None:
    damaged = bytearray(SOURCES[name])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged)
    with suppress(ImageRefused):
        assert open_image(path).bgr.ndim == 3


MEASURE = """
import sys
from pathlib import Path
from PIL import Image, PngImagePlugin, JpegImagePlugin, WebPImagePlugin
from gallery.errors import ImageRefused
from gallery.images import open_image

def peak_kib():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])

before = peak_kib()
try:
    open_image(Path(sys.argv[1]))
except ImageRefused as refused:
    print(refused.reason, peak_kib() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak of the memory")
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (png(30_000, 30_000, png_chunk(b"IDAT", zlib.compress(bytes(19_000_000), 0))), "too_many_pixels"),
        (png(7_000, 7_000, png_chunk(b"IDAT", zlib.compress(bytes(1_000_000))), colour=6), "truncated"),
        (HALF(encoded(Image.effect_noise((5_000, 5_000), 80), "JPEG", progressive=True)), "truncated"),
        (b"\xff\xd8" + b"\xff\xe2\x00\x02" * 4_900_000, "truncated"),
    ],
)
def test_a_refusal_adds_less_than_200_megabytes(path: Path, data: bytes, reason: str) -> None:
    path.write_bytes(data)
    done = subprocess.run([sys.executable, "-c", MEASURE, path], capture_output=True, text=True, check=True)
    found, added_kib = done.stdout.split()
    assert found == reason
    assert int(added_kib) * 1024 < 200_000_000
