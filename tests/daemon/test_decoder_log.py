"""What FFmpeg and OpenCV print, as it really came out of them."""

from __future__ import annotations

import pytest

from daemon.decoder_log import DecoderLog


def log_of(*printed: str) -> DecoderLog:
    log = DecoderLog()
    for part in printed:
        log.feed(part.encode())
    return log


def test_the_last_warning_or_error_is_the_complaint_and_messages_below_are_not() -> None:
    log = log_of(
        "[OPENCV:FFMPEG:16] method DESCRIBE failed: 401 Unauthorized\n",
        "[OPENCV:FFMPEG:40] Successfully connected to 127.0.0.1 port 34751\n",
        "[OPENCV:FFMPEG:40] SDP:\nv=0\no=- 1 1 IN IP4 127.0.0.1\n\n",
        "[OPENCV:FFMPEG:24] deprecated pixel format used, make sure you did set range correctly\n",
    )
    assert log.complaint == "method DESCRIBE failed: 401 Unauthorized"
    assert log.damaged == 0


def test_what_a_process_prints_when_it_dies_is_a_complaint_even_without_an_end_of_line() -> None:
    log = log_of("Traceback (most recent call last):\n", "ModuleNotFoundError: No module named 'av'")
    log.end()
    assert log.complaint == "ModuleNotFoundError: No module named 'av'"


@pytest.mark.parametrize(
    "line",
    [
        "[OPENCV:FFMPEG:16] error while decoding MB 12 3, bytestream 412",
        "[h264 @ 0x55d0c8f5e0c0] error while decoding MB 12 3",
        "[h264 @ 0x7f1a2c00b2c0] left block unavailable for requested intra mode",
        "[OPENCV:FFMPEG:16] Missing reference picture, default is 65530",
        "[OPENCV:FFMPEG:16] Could not find ref with POC 27",
        "[OPENCV:FFMPEG:16] Skipping invalid undecodable NALU: 1",
        "[OPENCV:FFMPEG:16] cabac decode of qscale diff failed at 33 17",
        "[OPENCV:FFMPEG:16] P sub_mb_type 5 out of range at 3 19",
        "[OPENCV:FFMPEG:24] RTP: missed 12 packets",
    ],
)
def test_damage_is_counted(line: str) -> None:
    log = log_of(line + "\n")
    assert log.damaged == 1
    assert log.damage in line
    assert not log.damage.startswith("[")


@pytest.mark.parametrize(
    "line",
    [
        "[OPENCV:FFMPEG:24] deprecated pixel format used, make sure you did set range correctly",
        "[OPENCV:FFMPEG:16] mmco: unref short failure",
        "[OPENCV:FFMPEG:16] reference picture missing during reorder",
        "[OPENCV:FFMPEG:16] co located POCs unavailable",
        "[OPENCV:FFMPEG:16] non-existing PPS 0 referenced",
        "[OPENCV:FFMPEG:40] error while decoding MB 1 1 was told before",
    ],
)
def test_what_healthy_streams_make_decoders_say_is_no_damage(line: str) -> None:
    assert log_of(line + "\n").damaged == 0


def test_a_line_may_come_in_pieces() -> None:
    log = log_of(
        "[OPENCV:FFMPEG:16] error while deco", "ding MB 1 2\n[OPENCV:FFMP", "EG:16] Missing reference"
    )
    assert log.damaged == 1
    log.feed(b" picture, default is 0\n")
    assert log.damaged == 2


def test_a_flood_without_ends_of_lines_takes_no_memory_and_no_harm() -> None:
    log = DecoderLog()
    for _ in range(100):
        log.feed(b"\xff" * 65536)
    log.feed(b"\n[OPENCV:FFMPEG:16] error while decoding MB 1 2\n")
    assert log.damaged == 1


def test_the_size_that_the_decoder_was_set_up_for_last_is_known() -> None:
    line = "[OPENCV:FFMPEG:40] Reinit context to {}, pix_fmt: yuv420p\n"
    log = log_of(line.format("320x240"))
    assert log.size == (320, 240)
    log.feed(line.format("640x480").encode())
    assert log.size == (640, 480)
    assert log.complaint == ""
