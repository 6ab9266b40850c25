"""`visaged enroll NAME --camera CAMERA`: asks for poses, with live feedback, and enrols the best."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.common import print_json
from daemon.cli.life import OUTDATED, in_terms, known_cameras, tell
from daemon.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from daemon.config import Config
    from daemon.control_messages import Json
    from daemon.life_desk import Life
    from daemon.sitting import Progress
    from gallery.enrolment import EnrolmentReport

CameraOption = Annotated[
    str | None,
    typer.Option(
        "--camera",
        metavar="CAMERA",
        help="A camera of the running daemon, which asks for poses.",
        autocompletion=known_cameras,
    ),
]
POLL_S = 0.1
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
FAILURES = {
    "no_face": "no_face",
    "several_faces": "several_faces",
    "another_face": "several_faces",
    "face_too_small": "face_too_small",
}
"""Reason codes of enrolling for what was in the way last; low_quality for all others."""


def enroll_from(
    settings: Config, name: str, camera: str, said: Mapping[str, str | None], *, as_json: bool
) -> int:
    """Asks for poses, enrols the best and tells of it; the exit code. said: as in_terms."""
    try:
        report = sit(settings, name, camera, in_terms(said))
    except KeyboardInterrupt:
        typer.echo("stopped: nothing was enrolled", err=True)
        return 1
    if as_json:
        print_json(asdict(report))
    else:
        tell(report)
    return 0 if report.enrolled else 1


def sit(settings: Config, name: str, camera: str, terms: Json | None = None) -> EnrolmentReport:
    """Asks for poses and enrols the best; UsageError where no daemon runs, or it has no such camera.

    Raises KeyboardInterrupt where somebody broke it off: nothing is enrolled then.
    """
    from daemon.control_client import is_running
    from daemon.life_desk import Life
    from daemon.people_desk import open_desk

    if not is_running(settings.reached_path):
        raise UsageError("no daemon is running, and --camera needs its cameras: start visaged run first")
    with open_desk(settings) as desk:
        life = Life(desk)  # type: ignore[arg-type]
        sitting = life.begin(camera, name, terms)
        try:
            progress = _watched(life, sitting)
            if progress.state == "failed":
                return _failed(camera, progress)
            with _uninterrupted():
                report = life.enroll(sitting, name, terms)
            if report.enrolled and desk.thresholds():
                typer.echo(OUTDATED, err=True)
            return report
        finally:
            _leave(settings, sitting)


def _watched(life: Life, sitting: str) -> Progress:
    """Shows how it goes until it is over."""
    with _shown() as show:
        while True:
            progress = life.look(sitting)
            show(progress)
            if progress.state != "posing":
                return progress
            time.sleep(POLL_S)


def _leave(settings: Config, sitting: str) -> None:
    """Over another connection: on the first, an answer may still be under way."""
    from daemon.control_client import RemoteGallery
    from daemon.life_desk import Life

    # A daemon that is gone has forgotten it.
    with suppress(UsageError), RemoteGallery(settings.reached_path) as remote:
        Life(remote).leave(sitting)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Whoever sees that it was broken off can rely on it: in here it is too late for that."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _failed(camera: str, progress: Progress) -> EnrolmentReport:
    from typing import cast

    from gallery.enrolment import EnrolmentReport
    from gallery.enrolment_plan import Reason, Refused

    hint = progress.hint or "low_quality"
    detail = HINTS[hint] or "nothing that was asked for was seen: look into the camera, then turn as asked"
    reason = cast("Reason", FAILURES.get(hint, "low_quality"))
    return EnrolmentReport((), (Refused(f"camera {camera}", reason, detail),))


@contextmanager
def _shown() -> Iterator[Callable[[Progress], None]]:
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
