"""`visaged consent`, `trail`, and `export --person`: what whoever keeps faces has to answer for."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.common import ConfigOption, JsonOption, configured, print_json, print_table
from daemon.cli.completion import known_people
from daemon.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.answer_desk import Answers
    from daemon.config import Config
    from daemon.people_desk import PeopleDesk
    from gallery.audit_findings import Finding
    from gallery.consent import Terms
    from gallery.trail import Entry

ConsentOption = Annotated[
    str | None,
    typer.Option(
        "--consent", metavar="BASIS[:REFERENCE]", help="Why the face may be kept, and where that is written."
    ),
]
ConsentDateOption = Annotated[
    str | None,
    typer.Option("--consent-date", metavar="DATE", help="When it was given.", show_default="today"),
]
ExpiresOption = Annotated[
    str | None,
    typer.Option("--expires", metavar="DATE|90d|1y", help="Until when; after it the person is forgotten."),
]
NoteOption = Annotated[str | None, typer.Option("--note", metavar="TEXT", help="Noted with the person.")]

NEWEST = 100
"""So many entries of the trail are shown where nobody says how many."""


def consent(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The person's name.", autocompletion=known_people)
    ],
    basis: ConsentOption = None,
    date: ConsentDateOption = None,
    expires: ExpiresOption = None,
    note: NoteOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Shows on what ground somebody's face is kept and until when, or notes it anew; none takes it away.

    Examples: visaged consent "Ann Lee" --consent contract:"file 12" --expires 1y ·
    visaged consent "Ann Lee" --expires none · visaged consent "Ann Lee" --json
    """
    from daemon.people_desk import open_desk
    from gallery.consent import changes_of, told

    now = datetime.now().astimezone()
    changes = changes_of(consent=basis, consent_date=date, expires=expires, note=note, now=now)
    settings = configured(config)
    with open_desk(settings) as desk:
        person, answers = desk.person(name), _answers(desk, settings)
        terms = answers.change_terms(name, changes) if changes else answers.terms()[person.id]
    if as_json:
        print_json({"id": person.id, "name": person.name, **told(terms)})
    else:
        typer.echo(f"{person.name}: {in_words(terms)}")


def trail(
    person: Annotated[
        str | None,
        typer.Option(
            "--person", metavar="NAME|ID", help="Only what is about one person.", autocompletion=known_people
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DATE|TIME", help="Only from then on.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most so many.")] = NEWEST,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Lists who enrolled, removed, exported or changed what, and when; the newest come last.

    Nothing is ever taken out of it. It holds ids alone: who is forgotten has no name there.

    Examples: visaged trail · visaged trail --person "Ann Lee" --since 2026-01-31 · visaged trail --json
    """
    from daemon.people_desk import open_desk
    from gallery.own_copy import trail_row

    since_unix_ns = 0 if since is None else _moment(since)
    settings = configured(config)
    with open_desk(settings) as desk:
        entries = _answers(desk, settings).trail(person, since_unix_ns, limit)
        names = {each.id: each.name for each in desk.people()}
    if as_json:
        print_json([trail_row(each, names.get(each.person_id or "")) for each in entries])
    elif entries:
        print_table(["time", "who", "what", "person", "detail"], [_cells(each, names) for each in entries])
    else:
        typer.echo("there is nothing in the trail that fits", err=True)


def export_person(config: Config, name: str, file: Path, *, as_json: bool) -> None:
    """`visaged export --person NAME FILE`: all that is kept of one person, for that person."""
    from daemon.people_desk import open_desk
    from gallery.archive_file import created

    if file.suffix.lower() != ".zip":
        raise UsageError(f"{file}: a person's own copy is a zip; let the name end in .zip")
    if file.exists():
        raise UsageError(f"{file} is there already: name another file")
    if not file.absolute().parent.is_dir():
        raise UsageError(f"{file.absolute().parent} is no folder")
    with open_desk(config) as desk:
        person = desk.person(name)
        content = _answers(desk, config).own_copy(name)
    with created(file, force=False) as target:
        target.write(content)
    if as_json:
        print_json(
            {"file": str(file), "person": {"id": person.id, "name": person.name}, "bytes": len(content)}
        )
    else:
        typer.echo(f"{file}: all that is kept of {person.name}; README.txt in it says what is what")


def in_words(terms: Terms) -> str:
    """One line for a person."""
    from gallery.consent import moment

    basis = "no consent noted"
    if terms.consent_basis is not None:
        basis = terms.consent_basis + (f" ({terms.consent_reference})" if terms.consent_reference else "")
        basis += f" of {terms.consent_date}" if terms.consent_date else ""
    until = moment(terms.expires_unix_ns)
    parts = [basis, f"until {until}" if until else "no date to expire", terms.note or ""]
    return ", ".join(filter(None, parts))


def audited(desk: PeopleDesk, config: Config) -> list[Finding]:
    """What an audit finds of consent and dates to expire."""
    from gallery.consent_audit import findings

    required = desk.requires_consent
    return findings(
        desk.people(), _answers(desk, config).terms(), datetime.now().astimezone(), required=required
    )


def terms_of(desk: PeopleDesk, config: Config) -> dict[str, Terms]:
    """Everybody's, by their ids."""
    return _answers(desk, config).terms()


def _answers(desk: PeopleDesk, config: Config) -> Answers:
    from daemon.answer_desk import answers_of

    return answers_of(desk, config.journal_path)


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
        return round(moment.astimezone().timestamp() * 1e9)
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"--since: {text!r} is no time; write it as 2026-01-31 or 2026-01-31T08:00"
        ) from None


def _cells(entry: Entry, names: dict[str, str]) -> Sequence[object]:
    when = datetime.fromtimestamp(entry.unix_ns / 1e9).astimezone().isoformat(timespec="seconds")
    person = names.get(entry.person_id or "", entry.person_id or "")
    detail = " ".join(f"{key}={value}" for key, value in entry.detail.items())
    return when, entry.who, entry.what, person, detail


def add_to(app: typer.Typer) -> None:
    """Registers the commands."""
    app.command()(consent)
    app.command()(trail)
