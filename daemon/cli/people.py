"""`visaged enroll`, `people`, `rename`: who is in the gallery."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.answer import (
    ConsentDateOption,
    ConsentOption,
    ExpiresOption,
    NoteOption,
    in_words,
    terms_of,
)
from daemon.cli.camera_enrolment import CameraOption, enroll_from
from daemon.cli.common import (
    ConfigOption,
    DeviceOption,
    JsonOption,
    check_plot,
    configured,
    print_json,
    print_table,
    progress_bar,
)
from daemon.cli.completion import known_people
from daemon.cli.refusals import refusals
from daemon.errors import UsageError

if TYPE_CHECKING:
    from daemon.config import Config
    from daemon.people_desk import PeopleDesk
    from gallery.consent_folder import Terms
    from gallery.enrolment import EnrolmentReport
    from gallery.enrolment_plan import Plan
    from gallery.people import PeopleStore
    from gallery.strict import Strict


def enroll(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="NAME IMAGE...", help="Who, and pictures of them alone.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="A folder with a folder for each person.")
    ] = None,
    camera: CameraOption = None,
    largest: Annotated[
        bool, typer.Option("--largest", help="Of several faces in a picture take the largest.")
    ] = False,
    is_not: Annotated[
        bool, typer.Option("--not", help="The pictures show look-alikes who are not to be given this name.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse what audit would find, with its code as the reason.")
    ] = False,
    basis: ConsentOption = None,
    consent_date: ConsentDateOption = None,
    expires: ExpiresOption = None,
    note: NoteOption = None,
    as_json: JsonOption = False,
    device: DeviceOption = None,
    config: ConfigOption = None,
) -> None:
    """Adds people to the gallery, or more pictures of somebody who is there.

    JPEG, PNG or WebP. Exits 1 if nothing was enrolled. With --from, a file consent.toml in DIR may say on
    what terms, for all and for each; "visaged consent" changes them later.

    With --camera, the running daemon takes the pictures: it asks for poses, keeps the best of 10 seconds, and
    enrols them as --strict would. Ctrl-C before the end leaves nothing enrolled.

    Examples: visaged enroll "Ann Lee" ann1.jpg ann2.jpg · visaged enroll --from people/ --strict ·
    visaged enroll "Ann Lee" --camera door ·
    visaged enroll "Ann Lee" --not her-sister.jpg ·
    visaged enroll "Ann Lee" ann1.jpg --consent consent:"form 12" --expires 1y
    """
    import time

    from daemon.engine import build_engine
    from daemon.people_desk import open_desk
    from gallery.consent_folder import terms_for
    from gallery.enrolment import Rules
    from gallery.enrolment import enroll as enroll_people

    if is_not and folder is not None:
        raise UsageError("--not is about one person: enroll NAME --not IMAGE…")
    if is_not and strict:
        raise UsageError("--strict is about people's own pictures; leave it out with --not")
    if camera is not None and (folder is not None or is_not or largest or len(words or []) != 1):
        raise UsageError("--camera takes one person's pictures itself: enroll NAME --camera CAMERA")
    said = {"consent": basis, "consent_date": consent_date, "expires": expires, "note": note}
    if camera is not None:
        raise typer.Exit(enroll_from(configured(config), (words or [])[0], camera, said, as_json=as_json))
    plan = _plan(words or [], folder)
    if is_not and any(value is not None for value in said.values()):
        raise UsageError("--not is no enrolment: leave --consent, --expires and --note out")
    terms = terms_for(said, folder, datetime.now().astimezone())
    settings = configured(config, device=device)
    with open_desk(settings, create=not is_not) as desk:
        store = _store(desk, plan, terms, is_not=is_not)
        engine, _ = build_engine(settings)
        rules = Rules(largest=largest, keep_crops=settings.gallery.keep_crops)
        judge = _strict(desk) if strict else None
        with _break_told(), progress_bar("enrolling", plan.image_count) as advance:
            report = enroll_people(store, engine, plan, time.time_ns(), rules, advance, judge)
        outdated = bool(report.enrolled) and not is_not and bool(desk.thresholds())
    if as_json:
        print_json(asdict(report))
    else:
        _tell(report, "look-alike" if is_not else "reference", strict=strict)
    if outdated:
        typer.echo("the thresholds were calibrated before this: run visaged calibrate again", err=True)
    raise typer.Exit(0 if report.enrolled else 1)


@contextmanager
def _break_told() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("broken off; who is enrolled stays, and the same command goes on from here", err=True)
        raise


def _plan(words: list[str], folder: Path | None) -> Plan:
    from gallery.enrolment_plan import plan_folder, plan_person

    if folder is not None and not words:
        return plan_folder(folder)
    if folder is None and len(words) > 1:
        return plan_person(words[0], [Path(image) for image in words[1:]])
    raise UsageError("enroll needs a name and images, or a folder: enroll NAME IMAGE… or enroll --from DIR")


def _store(desk: PeopleDesk, plan: Plan, terms: Terms, *, is_not: bool) -> PeopleStore:
    """Where it is kept who the pictures show, or who somebody is not; PersonUnknown, TermsRefused."""
    from gallery.consent import check_new
    from gallery.people import NotThisPerson, OnTerms, PersonName

    if not is_not:
        if desk.requires_consent:
            known = {person.name for person in desk.people()}
            for person in plan.people:
                if person.name not in known:
                    check_new(person.name, terms(person.name))
        return OnTerms(desk, terms)
    kept = desk.person(plan.people[0].name)
    return NotThisPerson(desk, PersonName(kept.id, kept.name))


def _strict(desk: PeopleDesk) -> Strict:
    from daemon.care_desk import care_of
    from gallery.strict import Strict

    return Strict(care_of(desk).material())


def _tell(report: EnrolmentReport, what: str, *, strict: bool) -> None:
    """Every refusal with its reason, and what was taken, a line a person."""
    from collections import Counter

    for each in [report.refused] if strict else [(one,) for one in report.refused]:
        for line in refusals(each):
            typer.echo(line, err=True)
    for name, count in Counter(enrolled.person.name for enrolled in report.enrolled).items():
        typer.echo(f"{name}: {count} new {what}{'' if count == 1 else 's'}")
    typer.echo(f"enrolled {len(report.enrolled)}, refused {len(report.refused)}")


def people(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="Show one person's references.", autocompletion=known_people),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Save one person's references as a contact sheet.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Lists who is enrolled, or what one person is known by.

    Examples: visaged people --json · visaged people "Ann Lee" --plot ann.png
    """
    from daemon.people_desk import open_desk

    if plot is not None:
        check_plot(plot)
        if name is None:
            raise UsageError("--plot shows one person: people NAME --plot PNG")
    settings = configured(config)
    with open_desk(settings, create=True) as desk:
        rows = _everybody(desk, settings) if name is None else _references(desk, name)
        if name is not None and not as_json:
            person = desk.person(name)
            typer.echo(f"{person.name}: {in_words(terms_of(desk, settings)[person.id])}")
        if plot is not None and name is not None:
            _plot(desk, name, plot)
    if as_json:
        print_json(rows)
    elif rows:
        print_table(list(rows[0]), [[_cell(cell) for cell in row.values()] for row in rows])
    else:
        typer.echo("nobody is enrolled yet; begin with: visaged enroll NAME IMAGE", err=True)


def _cell(value: object) -> object:
    if isinstance(value, dict):
        return " ".join(str(each) for each in value.values() if each is not None)
    return "" if value is None else value


def _plot(desk: PeopleDesk, name: str, file: Path) -> None:
    from daemon.care_desk import care_of
    from daemon.contact_sheet import save

    person = desk.person(name)
    for notice in save(file, person.name, desk.references(name), care_of(desk).crops(name)):
        typer.echo(notice, err=True)
    typer.echo(f"saved {file}", err=True)


def _everybody(desk: PeopleDesk, settings: Config) -> list[dict[str, object]]:
    from gallery.consent import told

    terms = terms_of(desk, settings)
    own = {each.person.id: each.distance for each in desk.thresholds()}
    return [
        {
            "id": person.id,
            "name": person.name,
            "references": person.references,
            "threshold": own.get(person.id),
            "enrolled": _when(person.first_enrolled_unix_ns),
            "changed": _when(person.last_enrolled_unix_ns),
            **told(terms[person.id]),
        }
        for person in desk.people()
    ]


def _references(desk: PeopleDesk, name: str) -> list[dict[str, object]]:
    kept = [(reference, True) for reference in desk.references(name)]
    kept += [(reference, False) for reference in desk.not_references(name)]
    return [
        {
            "id": reference.id,
            "image": reference.source_name,
            "is_person": is_person,
            "quality": round(reference.quality, 3),
            "model": reference.model,
            "set_aside": reference.set_aside,
            "enrolled": _when(reference.enrolled_unix_ns),
        }
        for reference, is_person in kept
    ]


def rename(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The name now.", autocompletion=known_people)],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The name from now on.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Gives a person another name; the references stay.

    Example: visaged rename "Ann Lee" "Ann Lee-Kim"
    """
    from daemon.people_desk import open_desk

    with open_desk(configured(config)) as desk:
        person = desk.rename(old, new)
    if as_json:
        print_json({"id": person.id, "name": person.name})
    else:
        typer.echo(f"{old} is now {person.name}")


def _when(unix_ns: int) -> str:
    return datetime.fromtimestamp(unix_ns / 1e9).astimezone().isoformat(timespec="seconds")


def reject(
    track: Annotated[str, typer.Argument(metavar="TRACK", help="data.track of the event that was wrong.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Says that a face was not who the running daemon named; it and its likes lose that name.

    Example: visaged reject 6a3f6f3c-8d0f-4f0e-9a55-1f6b7a5f9e4e
    """
    from daemon.control_client import RemoteGallery, is_running

    settings = configured(config)
    if not is_running(settings.reached_path):
        raise UsageError("no daemon is running, and only a running one remembers its tracks")
    with RemoteGallery(settings.reached_path) as remote:
        person = remote.reject(track)
    if as_json:
        print_json({"id": person.id, "name": person.name})
    else:
        typer.echo(f"noted: that was not {person.name}")


def add_to(app: typer.Typer) -> None:
    """Registers the commands."""
    app.command()(enroll)
    app.command()(people)
    app.command()(rename)
    app.command()(reject)
