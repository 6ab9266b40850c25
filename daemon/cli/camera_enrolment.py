"""`visaged enroll NAME --camera CAMERA`: asks for poses, with live feedback, and enrols the best."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.common import print_json
from daemon.cli.completion import known_cameras
from daemon.cli.life import OUTDATED, in_terms, tell
from daemon.cli.sitting_screen import HINTS, shown
from daemon.errors import UsageError

if TYPE_CHECKING:
    from daemon.config import Config
    from daemon.control_messages import Json
    from daemon.life_client import Life
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
RETRY_S = 60.0
"""How long enrolling is tried again where the disk is full; the daemon keeps what is asked for."""
RETRY_GAP_S = 1.0
NO_DAEMON = "no daemon is running, and --camera needs its cameras: start visaged run first"
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
    from daemon.control_client import RemoteGallery, is_running
    from daemon.life_client import Life
    from daemon.people_desk import open_desk

    if not is_running(settings.reached_path):
        raise UsageError(NO_DAEMON)
    with open_desk(settings) as desk:
        if not isinstance(desk, RemoteGallery):
            # It ended just now.
            raise UsageError(NO_DAEMON)
        life = Life(desk)
        sitting = life.begin(camera, name, terms)
        report: EnrolmentReport | None = None
        try:
            progress = _watched(life, sitting)
            failed = progress.state == "failed"
            report = _failed(camera, progress) if failed else _enrolled(life, sitting, name, terms)
            if report.enrolled and desk.thresholds():
                typer.echo(OUTDATED, err=True)
        except KeyboardInterrupt:
            if report is None:
                raise
            # Too late: it is done, and to be told.
        finally:
            with _uninterrupted():
                _leave(settings, sitting)
        return report


def _watched(life: Life, sitting: str) -> Progress:
    """Shows how it goes until it is over."""
    with shown() as show:
        while True:
            progress = life.look(sitting)
            show(progress)
            if progress.state != "posing":
                return progress
            time.sleep(POLL_S)


def _enrolled(life: Life, sitting: str, name: str, terms: Json | None) -> EnrolmentReport:
    """Tries again for a while where the gallery can't be written, and nobody has to sit again for that."""
    from gallery.errors import GalleryBusy, GalleryError

    until_s, told = time.monotonic() + RETRY_S, False
    while True:
        try:
            with _uninterrupted():
                return life.enroll(sitting, name, terms)
        except GalleryError as error:
            # Those of other kinds, such as consent that is missing, stay as they are.
            if type(error) not in {GalleryError, GalleryBusy} or time.monotonic() >= until_s:
                raise
            if not told:
                typer.echo(f"{error}; what was taken is kept, trying again for {RETRY_S:g} s", err=True)
            told = True
        time.sleep(RETRY_GAP_S)


def _leave(settings: Config, sitting: str) -> None:
    """Over another connection: on the first, an answer may still be under way."""
    from daemon.control_client import RemoteGallery
    from daemon.life_client import Life

    # A daemon that is gone has forgotten it.
    with suppress(UsageError), RemoteGallery(settings.reached_path) as remote:
        Life(remote).leave(sitting)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Whoever sees that it was broken off can rely on it: in here it is too late for that."""
    breaking_off = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.SIG_IGN) for number in breaking_off]
    try:
        yield
    finally:
        for number, handler in zip(breaking_off, before, strict=True):
            signal.signal(number, handler)


def _failed(camera: str, progress: Progress) -> EnrolmentReport:
    from typing import cast

    from gallery.enrolment import EnrolmentReport
    from gallery.enrolment_plan import Reason, Refused

    hint = progress.hint or "low_quality"
    detail = HINTS[hint] or "nothing that was asked for was seen: look into the camera, then turn as asked"
    reason = cast("Reason", FAILURES.get(hint, "low_quality"))
    return EnrolmentReport((), (Refused(f"camera {camera}", reason, detail),))
