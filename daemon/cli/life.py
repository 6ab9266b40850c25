"""`visaged strangers` and `name`: who was seen and is not known, and giving them a name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.answer import ConsentDateOption, ConsentOption, ExpiresOption, NoteOption
from daemon.cli.common import ConfigOption, JsonOption, configured, print_json, print_table
from daemon.cli.completion import known_people, known_strangers
from daemon.cli.refusals import refusals
from daemon.errors import UsageError

if TYPE_CHECKING:
    from daemon.control_messages import Json
    from daemon.life_client import Life
    from gallery.enrolment import EnrolmentReport

SHORT_ID = 8
"""Characters of a stranger's id in tables."""
FEWEST_CHARACTERS = 4
"""Of a stranger's id, where only its beginning is given."""
OUTDATED = "the thresholds were calibrated before this: run visaged calibrate again"


def in_terms(said: Mapping[str, str | None]) -> Json | None:
    """What --consent, --consent-date, --expires and --note say, for the control socket; None: nothing."""
    from gallery.consent import changes_of

    return changes_of(**said, now=datetime.now().astimezone()) or None


@contextmanager
def open_life(config: Path | None) -> Iterator[Life]:
    """Of the running daemon; UsageError where none runs."""
    from daemon.control_client import RemoteGallery, is_running
    from daemon.life_client import Life

    settings = configured(config)
    if not is_running(settings.reached_path):
        raise UsageError("no daemon is running, and only a running one remembers strangers")
    with RemoteGallery(settings.reached_path) as remote:
        yield Life(remote)


def strangers(
    stranger: Annotated[
        str | None,
        typer.Argument(
            metavar="[STRANGER]",
            help="Number, or how the id begins.",
            show_default="all",
            autocompletion=known_strangers,
        ),
    ] = None,
    forget: Annotated[bool, typer.Option("--forget", help="Forget them: one, or all.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Lists who was seen and is nobody of the gallery, as the running daemon remembers.

    In memory alone: until [strangers] forget_after, --forget, or the daemon's end. A stranger is who stayed
    long enough to be told of as unknown; `visaged name` gives one a name.

    Examples: visaged strangers · visaged strangers --forget 3 · visaged strangers --forget
    """
    with open_life(config) as life:
        if forget:
            gone = life.forget(stranger)
            rows = []
        else:
            rows = [each for each in life.strangers() if stranger is None or _is(each, stranger)]
    if forget:
        print_json({"forgotten": gone}) if as_json else typer.echo(f"forgotten: {len(gone)}")
        return
    if stranger is not None and len(rows) != 1:
        raise UsageError(f"{stranger}: no such stranger is remembered; visaged strangers lists them")
    if as_json:
        print_json(rows)
    elif rows:
        headings = ["stranger", "id", "first seen", "last seen", "camera", "stays", "samples", "best quality"]
        print_table(headings, [_row(each) for each in rows])
    else:
        typer.echo("no stranger is remembered", err=True)


def _is(row: dict[str, object], wanted: str) -> bool:
    return str(row["number"]) == wanted or (
        len(wanted) >= FEWEST_CHARACTERS and str(row["id"]).startswith(wanted)
    )


def _row(row: dict[str, object]) -> list[object]:
    return [
        row["number"],
        str(row["id"])[:SHORT_ID],
        _moment(row["first_seen"]),
        _moment(row["last_seen"]),
        row["camera"],
        row["stays"],
        row["samples"],
        row["best_quality"],
    ]


def _moment(told: object) -> str:
    return datetime.fromisoformat(str(told)).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def name(
    stranger: Annotated[
        str,
        typer.Argument(
            metavar="STRANGER", help="Number, or how the id begins.", autocompletion=known_strangers
        ),
    ],
    person: Annotated[
        str, typer.Argument(metavar="NAME", help="Who it is, in any script.", autocompletion=known_people)
    ],
    strict: Annotated[
        bool,
        typer.Option("--strict/--no-strict", help="Refuse what audit would find, as enroll does."),
    ] = True,
    basis: ConsentOption = None,
    consent_date: ConsentDateOption = None,
    expires: ExpiresOption = None,
    note: NoteOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Enrols a stranger by what the running daemon remembers; to a name that is there, it adds references.

    What was told of the stranger before is referred to by an event face/<camera>/named/. Exits 1 if nothing
    was enrolled.

    Examples: visaged name 3 "Ann Lee" · visaged name e2d1c0b9 "Ann Lee" --json
    """
    said = {"consent": basis, "consent_date": consent_date, "expires": expires, "note": note}
    with open_life(config) as life:
        done = life.name(stranger, person, strict=strict, terms=in_terms(said))
    report = done.report
    if as_json:
        print_json(asdict(report))
    else:
        tell(report)
        if report.enrolled:
            typer.echo(f"{done.events} events of the journal are referred to")
    if done.outdated:
        typer.echo(OUTDATED, err=True)
    raise typer.Exit(0 if report.enrolled else 1)


def tell(report: EnrolmentReport) -> None:
    """Every refusal with its reason, and what was taken."""
    if report.refused:
        for line in refusals(report.refused, report.refused[0].image.rpartition(", ")[0]):
            typer.echo(line, err=True)
    if report.enrolled:
        count = len(report.enrolled)
        typer.echo(f"{report.enrolled[0].person.name}: {count} new reference{'' if count == 1 else 's'}")
    typer.echo(f"enrolled {len(report.enrolled)}, refused {len(report.refused)}")


def add_to(app: typer.Typer) -> None:
    """Registers the commands."""
    app.command()(strangers)
    app.command()(name)
