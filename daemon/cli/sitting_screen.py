"""What a terminal shows while somebody sits before a camera: the pose, the quality, the time left."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

    from daemon.sitting import Progress

BAR = 20
"""Characters of a bar."""

ASKED = {
    "straight": "look straight into the camera",
    "left": "turn your head a little to your left",
    "right": "turn your head a little to your right",
    "up": "lift your chin a little",
    "down": "lower your chin a little",
}
HINTS = {
    "no_face": "no face is in view",
    "several_faces": "several faces are in view: be alone before the camera",
    "another_face": "this is another face than before",
    "face_too_small": "come nearer",
    "too_small": "come nearer",
    "low_quality": "the picture is poor: more light, hold still",
    "turn": "",
    "blurred": "blurred: hold still",
    "dark": "too dark: more light",
    "profile": "that is too far: turn back a little",
    "clipped": "the face is cut off at the edge: move into the picture",
    "low_confidence": "the face is hard to see",
}


@contextmanager
def shown() -> Iterator[Callable[[Progress], None]]:
    """What to call with each progress: on a terminal it is drawn in place, else told when it changes."""
    if not sys.stderr.isatty():
        said: list[str] = []

        def tell(progress: Progress) -> None:
            line = _line(progress)
            if line and line not in said[-1:]:
                said.append(line)
                typer.echo(line, err=True)

        yield tell
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True), transient=True, refresh_per_second=10) as live:
        yield lambda progress: live.update(_drawn(progress))


def _line(progress: Progress) -> str:
    hint = HINTS[progress.hint] if progress.hint else ""
    if progress.asked is None:
        return ""
    return hint if progress.hint in ("no_face", "several_faces") else ASKED[progress.asked]


def _further(progress: Progress) -> str:
    """What is still wanting of the turn that was asked for."""
    from daemon.sitting import TURNED_PITCH, TURNED_YAW

    turned = {"left": progress.yaw, "right": -progress.yaw, "up": progress.pitch, "down": -progress.pitch}
    if progress.asked is None or progress.asked == "straight":
        return ""
    least = TURNED_YAW if progress.asked in ("left", "right") else TURNED_PITCH
    return "a little further" if turned[progress.asked] < least else "back a little"


def _drawn(progress: Progress) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    from daemon.sitting import ENOUGH

    alone = progress.hint not in ("no_face", "several_faces")
    asked = ASKED[progress.asked] if progress.asked is not None else "thank you"
    lines = [Text(asked if alone else HINTS[str(progress.hint)], "bold cyan" if alone else "bold yellow")]
    dots = Text()
    for pose, count in progress.taken.items():
        style = "green" if count >= ENOUGH else "bold cyan" if pose == progress.asked else "dim"
        dots.append(f"{pose} {'●' * count}{'○' * (ENOUGH - count)}   ", style)
    lines.append(dots)
    filled = round(progress.quality * BAR)
    colour = "green" if progress.quality >= 0.7 else "yellow" if progress.quality >= 0.4 else "red"
    quality = Text(f"quality  {'█' * filled}{'░' * (BAR - filled)} {progress.quality:.2f}  ", colour)
    if alone and progress.hint:
        quality.append(HINTS[progress.hint] or _further(progress), "yellow")
    lines.append(quality)
    left_s = progress.left_s if alone else progress.waiting_s
    lines.append(Text(f"{left_s:4.1f} s {'left' if alone else 'until it is given up'}; Ctrl-C stops", "dim"))
    return Group(*lines)
