"""`visaged import --from-face-recognition`, `--from-frigate`: what other programs have collected."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from daemon.cli.common import print_json, progress_bar
from daemon.errors import UsageError

if TYPE_CHECKING:
    from daemon.config import Config
    from gallery.enrolment_plan import Plan


def import_foreign(
    config: Config, face_recognition: Path | None, frigate: Path | None, *, largest: bool, as_json: bool
) -> NoReturn:
    """One of the two is given. Exits 1 if nothing was enrolled."""
    if frigate is not None:
        from gallery.importing.frigate import plan

        _enrol(config, plan(frigate), largest=largest, as_json=as_json)
    assert face_recognition is not None
    if face_recognition.is_dir():
        from gallery.enrolment_plan import plan_folder

        _enrol(config, plan_folder(face_recognition), largest=largest, as_json=as_json)
    if largest:
        raise UsageError("--largest is for pictures; a pickle holds none to choose from")
    _take_pickle(config, face_recognition, as_json=as_json)


def _enrol(config: Config, plan: Plan, *, largest: bool, as_json: bool) -> NoReturn:
    """As `visaged enroll --from` does."""
    from daemon.engine import build_engine
    from daemon.people_desk import open_desk
    from gallery.enrolment import Rules, enroll

    with open_desk(config, create=True) as desk:
        engine, _ = build_engine(config)
        with progress_bar("enrolling", plan.image_count) as advance:
            rules = Rules(largest=largest, keep_crops=config.gallery.keep_crops)
            report = enroll(desk, engine, plan, time.time_ns(), rules, advance)
    if as_json:
        print_json(asdict(report))
    else:
        for refused in report.refused:
            typer.echo(f"{refused.image}: {refused.reason}: {refused.detail}", err=True)
        people = {each.person.id for each in report.enrolled}
        typer.echo(
            f"{len(people)} people got {len(report.enrolled)} references; {len(report.refused)} refused"
        )
    raise typer.Exit(0 if report.enrolled else 1)


def _take_pickle(config: Config, file: Path, *, as_json: bool) -> NoReturn:
    from daemon.people_desk import open_desk
    from gallery.errors import GalleryError
    from gallery.importing import face_recognition
    from gallery.importing.pickled import MOST_BYTES

    _check_encoder(config)
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{file} can't be read: {error.strerror}") from None
    try:
        known = face_recognition.people(content)
    except GalleryError as error:
        raise UsageError(f"{file} is refused, and nothing was changed: {error}") from None
    with open_desk(config, create=True) as desk:
        added, present = face_recognition.take_in(desk, known, file.name, time.time_ns())
    if as_json:
        rows = [{"name": name, "added": added[name], "present": present[name]} for name in added]
        print_json({"people": rows})
    else:
        typer.echo(
            f"{len(added)} people: {sum(added.values())} encodings are new, {sum(present.values())} were "
            "here already; their quality is not known, for there are no pictures"
        )
    raise typer.Exit(0 if any(added.values()) or any(present.values()) else 1)


def _check_encoder(config: Config) -> None:
    """face_recognition turns faces upright by dlib's landmarks: such encodings fit no other setting."""
    encoder = config.encoder
    if (encoder.name, encoder.alignment, encoder.mirror) != ("dlib", "dlib", False):
        raise UsageError(
            "encodings of face_recognition can only be compared with [encoder] name = "
            '"dlib", alignment = "dlib" and mirror = false; import the pictures instead '
            "(--from-face-recognition DIR), which fits every setting"
        )
