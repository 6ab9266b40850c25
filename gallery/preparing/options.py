"""How faces are to be cut out: margins, sizes, which faces, and what becomes of images without one."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from gallery.preparing.errors import PreparingRefused

FaceChoice = Literal["best", "largest", "all"]
"""Of several faces: the one that the detector is surest of, the largest, or all of them."""

LARGEST_SIDE_PX = 12_000
"""As in gallery.image_header: what is written can be read again."""
LARGEST_MARGIN = 10_000
"""Pixels or percent."""
LARGEST_FACTOR = 100.0

_LENGTH = re.compile(r"(\d+(?:\.\d+)?)(%|px)?")
_SIZE = re.compile(r"(\d+)[x×](\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Length:
    """How far a crop reaches beyond the face's box on one side."""

    amount: float = 0.0
    """Pixels or percent, 0 or more."""
    percent: bool = False
    """Percent of the box's width (left, right) or height (top, bottom)."""

    def of(self, side_px: float) -> float:
        """Pixels, beside a box whose side is this long."""
        return side_px * self.amount / 100 if self.percent else self.amount

    def __str__(self) -> str:
        return f"{self.amount:g}{'%' if self.percent else ''}"


@dataclass(frozen=True, slots=True)
class Margin:
    """What a crop shows beyond the face's box."""

    left: Length = Length()
    """To the left."""
    top: Length = Length()
    """Above: the hair."""
    right: Length = Length()
    """To the right."""
    bottom: Length = Length()
    """Below."""

    @classmethod
    def parse(cls, text: str) -> Margin:
        """LEFT,TOP,RIGHT,BOTTOM, such as 10,40%,10,0."""
        matches = [_LENGTH.fullmatch(part.strip()) for part in text.split(",")]
        lengths = [Length(float(found[1]), found[2] == "%") for found in matches if found]
        if len(lengths) != len(matches) or len(lengths) != 4:
            raise PreparingRefused(
                f"--margin must be LEFT,TOP,RIGHT,BOTTOM in pixels or percent, such as 10,40%,10,0; "
                f"not {text}"
            )
        if max(length.amount for length in lengths) > LARGEST_MARGIN:
            raise PreparingRefused(f"--margin: {LARGEST_MARGIN} pixels or percent at most, not {text}")
        return cls(*lengths)

    def __str__(self) -> str:
        return f"{self.left},{self.top},{self.right},{self.bottom}"


@dataclass(frozen=True, slots=True)
class Size:
    """Of a picture, in whole pixels."""

    width_px: int
    """1 to LARGEST_SIDE_PX."""
    height_px: int
    """1 to LARGEST_SIDE_PX."""

    @classmethod
    def parse(cls, text: str, option: str) -> Size:
        """WxH, such as 160x160; the option is named where it is not."""
        found = _SIZE.fullmatch(text.strip())
        if not found:
            raise PreparingRefused(f"{option} must be WxH in pixels, such as 160x160; not {text}")
        size = cls(int(found[1]), int(found[2]))
        sides = (size.width_px, size.height_px)
        if min(sides) < 1 or max(sides) > LARGEST_SIDE_PX:
            raise PreparingRefused(f"{option}: each side must be 1 to {LARGEST_SIDE_PX} pixels, not {text}")
        return size

    def __str__(self) -> str:
        return f"{self.width_px}x{self.height_px}"


@dataclass(frozen=True, slots=True)
class Fallback:
    """What becomes of an image in which no face was found."""

    kind: Literal["skip", "center", "mean"] = "skip"
    """No crop; a centred one of a given size; a centred one as large as the others are on average."""
    size: Size | None = None
    """For center."""
    factor: float = 1.0
    """For mean: times the mean size."""

    @classmethod
    def parse(cls, text: str) -> Fallback:
        """skip, center:WxH or mean:FACTOR."""
        kind, _, value = text.strip().partition(":")
        if kind == "skip" and not value:
            return cls()
        if kind in ("center", "centre"):
            return cls("center", Size.parse(value, "--fallback center"))
        if kind == "mean":
            return cls("mean", factor=_factor(value))
        raise PreparingRefused(f"--fallback must be skip, center:WxH or mean:FACTOR, not {text}")

    def __str__(self) -> str:
        values = {"skip": "skip", "center": f"center:{self.size}", "mean": f"mean:{self.factor:g}"}
        return values[self.kind]


@dataclass(frozen=True, slots=True)
class CropOptions:
    """All that changes what is cut; whoever goes on with a run has to ask for the same."""

    margin: Margin = Margin()
    """Around the face's box; what lies outside the image is left out."""
    size: Size | None = None
    """To which each crop is scaled; None: it stays as large as it is."""
    faces: FaceChoice = "best"
    """Which of several faces."""
    fallback: Fallback = Fallback()
    """Instead of a face."""
    align: bool = False
    """Turn and scale each face so that eyes, nose and mouth lie where dlib's encoder expects them."""

    def __post_init__(self) -> None:
        if self.align and self.margin != Margin():
            raise PreparingRefused(
                "--margin is not for --align, which cuts by the landmarks; leave one of them out"
            )
        if self.align and self.size is not None and self.size.width_px != self.size.height_px:
            raise PreparingRefused(f"--size must be square with --align, such as 150x150; not {self.size}")

    def described(self) -> dict[str, str]:
        """Each option as it is given on the command line."""
        return {
            "--margin": str(self.margin),
            "--size": "as it is" if self.size is None else str(self.size),
            "--faces": self.faces,
            "--fallback": str(self.fallback),
            "--align": "yes" if self.align else "no",
        }


def _factor(text: str) -> float:
    try:
        factor = float(text)
    except ValueError:
        factor = math.nan
    if not 0 < factor <= LARGEST_FACTOR:
        raise PreparingRefused(
            f"--fallback mean:FACTOR must be a number above 0 and at most {LARGEST_FACTOR:g}, not {text}"
        )
    return factor
