"""Sets lines of text in any script: as wide as they are, on one baseline whatever fonts they take."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.fonts import NoFont, runs
from gallery.people import printable

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

    from daemon.fonts import Font

LINE_HEIGHT = 1.25
BASELINE = 0.97
"""Of the size, below the line's top: Hangul and Han reach higher than Latin."""
SMALLEST_TEXT_PX = 8

Rgb = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text that is ready to be drawn."""

    pieces: tuple[tuple[str, Font], ...]
    """From left to right, each with its font."""
    width_px: float
    """Of all of them."""
    size_px: int
    """Of the fonts."""

    @property
    def height_px(self) -> int:
        """From one line to the next."""
        return math.ceil(self.size_px * LINE_HEIGHT)


def set_line(text: str, size_px: int, widest_px: float, notices: list[str]) -> Line:
    """The text at this size, or smaller where it would be too wide.

    What no font can draw is written as its code points, and noticed.
    """
    try:
        pieces = runs(text, size_px)
    except NoFont as missing:
        notices.append(str(missing))
        text = printable(text).encode("ascii", "backslashreplace").decode("ascii")
        pieces = runs(text, size_px)
    width_px = sum(font.getlength(piece) for piece, font in pieces)
    if width_px > widest_px and size_px > SMALLEST_TEXT_PX:
        smaller = max(SMALLEST_TEXT_PX, min(size_px - 1, int(size_px * widest_px / width_px)))
        return set_line(text, smaller, widest_px, [])
    return Line(tuple(pieces), width_px, size_px)


def draw_line(draw: ImageDraw, at: tuple[float, float], line: Line, rgb: Rgb) -> None:
    """Draws it with its top left corner there; in whole pixels, letters are sharper."""
    x, y = at
    for piece, font in line.pieces:
        draw.text((x, y + round(BASELINE * line.size_px)), piece, font=font, fill=rgb, anchor="ls")
        x += font.getlength(piece)
