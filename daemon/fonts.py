"""Finds fonts that have the letters of a name."""

from __future__ import annotations

import functools
import shutil
import subprocess
import unicodedata
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

    Font = FreeTypeFont

FC_LIST_TIMEOUT_S = 10
"""fontconfig may build its cache at the first call."""

FONT_FOLDERS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "~/.local/share/fonts",
    "~/.fonts",
    "/Library/Fonts",
    "/System/Library/Fonts",
)
"""Looked through where fontconfig is not installed: Debian's font packages do not bring it."""

NOT_A_LETTER = "\U0010fffe"
"""No font has it, so drawing it shows the font's box for what is missing."""


class NoFont(LookupError):
    """No font of this machine has the letters."""


def runs(text: str, size_px: int) -> list[tuple[str, Font]]:
    """The text in pieces, each with a font that can draw it; mostly one piece.

    Of a name in two scripts that no single font has, each letter takes a font that has it. Raises NoFont.
    """
    try:
        return [(text, font_for(text, size_px))]
    except NoFont:
        pieces = _letters_with_marks(text)
        try:
            fonts = [font_for(piece, size_px) for piece in pieces]
        except NoFont:
            raise NoFont(_no_font(text)) from None
    numbered = groupby(zip(pieces, fonts, strict=True), key=lambda each: id(each[1]))
    joined = [list(group) for _, group in numbered]
    return [("".join(piece for piece, _ in group), group[0][1]) for group in joined]


@functools.lru_cache(maxsize=1024)
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
    raise NoFont(_no_font(text))


def has_letters(font: Font, text: str) -> bool:
    """Whether the font draws each letter as something else than its box for what is missing."""
    missing = bytes(font.getmask(NOT_A_LETTER))
    return all(letter.isspace() or bytes(font.getmask(letter)) != missing for letter in set(text))


def _no_font(text: str) -> str:
    return (
        f"no font with the letters of {text!r} is installed, so the name is drawn by its code points; "
        "install one, for example Debian's fonts-noto-cjk"
    )


def _letters_with_marks(text: str) -> list[str]:
    """Marks and spaces go with the letter before them: alone they have no place."""
    pieces: list[str] = []
    for letter in text:
        if pieces and (letter.isspace() or unicodedata.combining(letter)):
            pieces[-1] += letter
        else:
            pieces.append(letter)
    return pieces


def _system_fonts(text: str) -> list[str]:
    """Files of the fonts that fontconfig says have all of these letters; without fontconfig, of all fonts."""
    program = shutil.which("fc-list")
    if program is None:
        return _font_files()
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


@functools.cache
def _font_files() -> list[str]:
    """Every font in the folders where they are installed."""
    folders = [Path(folder).expanduser() for folder in FONT_FOLDERS]
    files = (file for folder in folders for file in folder.rglob("*"))
    return sorted(str(file) for file in files if file.suffix.lower() in (".ttf", ".otf", ".ttc"))
