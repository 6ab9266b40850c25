"""Finds a font that has the letters of a name."""

from __future__ import annotations

import functools
import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

    Font = FreeTypeFont

FC_LIST_TIMEOUT_S = 10
"""fontconfig may build its cache at the first call."""

NOT_A_LETTER = "\U0010fffe"
"""No font has it, so drawing it shows the font's box for what is missing."""


class NoFont(LookupError):
    """No font of this machine has the letters."""


@functools.lru_cache(maxsize=256)
def font_for(text: str, size_px: int) -> Font:
    """A font that can draw every letter of the text: Pillow's own, else one of the system's.

    Raises NoFont with a line that says what to install.
    """
    from PIL import ImageFont

    built_in = ImageFont.load_default(size_px)
    if isinstance(built_in, ImageFont.FreeTypeFont) and has_letters(built_in, text):
        return built_in
    for file in _system_fonts(text):
        try:
            font = ImageFont.truetype(file, size_px)
        except OSError:
            # fontconfig also lists bitmap fonts, which Pillow can't open.
            continue
        if has_letters(font, text):
            return font
    raise NoFont(
        f"no font with the letters of {text!r} is installed, so the name is drawn by its code points; "
        "install one, for example Debian's fonts-noto-cjk"
    )


def has_letters(font: Font, text: str) -> bool:
    """Whether the font draws each letter as something else than its box for what is missing."""
    missing = bytes(font.getmask(NOT_A_LETTER))
    return all(letter.isspace() or bytes(font.getmask(letter)) != missing for letter in set(text))


def _system_fonts(text: str) -> list[str]:
    """Files of the fonts that fontconfig says have all of these letters; none where it is not installed."""
    program = shutil.which("fc-list")
    if program is None:
        return []
    letters = " ".join(f"{ord(letter):x}" for letter in sorted(set(text)) if not letter.isspace())
    try:
        found = subprocess.run(
            [program, "--format", "%{file}\n", f":charset={letters}"],
            capture_output=True,
            text=True,
            timeout=FC_LIST_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return sorted(set(found.stdout.splitlines()))
