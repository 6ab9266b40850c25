"""Reads what FFmpeg and OpenCV print while they read a camera: why it failed, and what was damaged."""

from __future__ import annotations

import re

KEPT_BYTES = 4096
"""A line that is longer is none of FFmpeg's."""
WARNING = 24
"""FFmpeg's number for it; more important messages have lower ones."""
NO_REASONS = ("deprecated pixel format", "Immediate exit requested", "Stream #")
"""FFmpeg says the first of every MJPEG stream, and the second when our own time limit ends a read."""

DAMAGE = re.compile(
    "|".join(
        [
            # H.264: blocks that can't be decoded, and the errors in them that lead to that.
            r"error while decoding MB",
            r"corrupted macroblock",
            r"mb_type \S+ in \S+ slice too large",
            r"sub_mb_type \S+ out of range",
            r"cbp too large",
            r"negative number of zero coeffs",
            r"out of range intra chroma pred mode",
            r"block unavailable for requested intra",
            r"Invalid level prefix",
            r"cabac decode",
            # H.264 and H.265: a whole picture is missing that this one is made from.
            r"Missing reference picture",
            r"Frame num gap",
            r"Could not find ref with POC",
            r"undecodable NALU",
            # MPEG-4, JPEG, and packets known to be lost.
            r"Error at MB",
            r"error (?:y|dc|count)",
            r"overread",
            r"RTP: missed",
            r"max delay reached",
            r"dropping frame",
        ]
    )
)
"""What FFmpeg 8 said of streams that lost 1 to 20 % of their packets, and never of whole ones.

docs/decisions/0044.
"""

_OPENCV_PREFIX = re.compile(r"\[OPENCV:FFMPEG:(\d+)\]\s*")
_FFMPEG_PREFIX = re.compile(r"\[[^\]]+ @ (?:0x)?[0-9a-f]+\]\s*")
_SESSION_DESCRIPTION = re.compile(r"[a-z]=")
_NEW_SIZE = re.compile(r"Reinit context to (\d+)x(\d+)")


class DecoderLog:
    """What one capture process has printed so far."""

    def __init__(self) -> None:
        self.complaint = ""
        """The last warning, error or line of a traceback, without what is no reason."""
        self.damaged = 0
        """How many lines told of damaged or missing pictures."""
        self.damage = ""
        """The last of them."""
        self.size: tuple[int, int] | None = None
        """Width and height, in whole blocks of 16, that the H.264 decoder was set up for last."""
        self._rest = b""

    def feed(self, printed: bytes) -> None:
        """Takes what was printed since."""
        *lines, rest = (self._rest + printed).split(b"\n")
        self._rest = rest[-KEPT_BYTES:]
        for line in lines:
            self._heed(line.decode(errors="replace").strip())

    def end(self) -> None:
        """Nothing more will come: what has no line's end is a line too."""
        self.feed(b"\n")

    def _heed(self, line: str) -> None:
        prefix = _OPENCV_PREFIX.match(line)
        text = _FFMPEG_PREFIX.sub("", line[prefix.end() :] if prefix else line, count=1)
        if new_size := _NEW_SIZE.search(text):
            self.size = int(new_size[1]), int(new_size[2])
        if not text or (prefix and int(prefix[1]) > WARNING) or _SESSION_DESCRIPTION.match(text):
            return
        if DAMAGE.search(text):
            self.damaged += 1
            self.damage = text
        if not any(word in text for word in NO_REASONS):
            self.complaint = text
