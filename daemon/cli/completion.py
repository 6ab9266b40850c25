"""What a shell completes: people, cameras, strangers. Empty where it can't be known; never an error."""

from __future__ import annotations

import os
import re
from contextlib import suppress

from daemon.cli.common import configured, read_config
from daemon.errors import UsageError

ESCAPED = re.compile(r"[^\w@%+=:,./-]")
"""What bash would not take for part of a word."""


def known_people(incomplete: str) -> list[str]:
    """Names of who is enrolled, by the running daemon or the gallery's file."""
    from daemon.people_desk import open_desk
    from gallery.errors import GalleryError

    with suppress(UsageError, GalleryError, OSError), open_desk(configured(None)) as desk:
        return [_as_word(each.name) for each in desk.people() if each.name.startswith(incomplete)]
    return []


def known_cameras(incomplete: str) -> list[str]:
    """Names of configured cameras."""
    with suppress(UsageError, OSError):
        names = [camera.name for camera in read_config(None, None, None).camera]
        return [name for name in names if name.startswith(incomplete)]
    return []


def known_strangers(incomplete: str) -> list[tuple[str, str]]:
    """Numbers of strangers, each with where and when; none where no daemon runs."""
    from daemon.cli.life import open_life

    with suppress(UsageError, OSError), open_life(None) as life:
        rows = [(str(each["number"]), f"{each['camera']}, {each['last_seen']}") for each in life.strangers()]
        return [row for row in rows if row[0].startswith(incomplete)]
    return []


def _as_word(name: str) -> str:
    """Typer's scripts for zsh and fish quote by themselves; for bash a space in a name must be escaped.

    But not where the user began with a quote.
    """
    if os.environ.get("_VISAGED_COMPLETE") != "complete_bash":
        return name
    words = os.environ.get("COMP_WORDS", "").split("\n")
    begun = words[-1]
    return name if begun[:1] in {'"', "'"} else ESCAPED.sub(r"\\\g<0>", name)
