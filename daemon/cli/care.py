"""`visaged audit`, `reinstate`, `merge`: what is wrong with a gallery, and how it is mended."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.answer import audited
from daemon.cli.common import ConfigOption, JsonOption, configured, print_json, print_table, progress_bar
from daemon.cli.completion import known_people

if TYPE_CHECKING:
    from gallery.audit_findings import Audit

SHORT_ID = 8
"""Characters of a reference's id in tables; `reinstate` takes them."""


def audit(
    fix: Annotated[
        bool, typer.Option("--fix", help="Set aside the references that are wrong; reinstate takes it back.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Looks for what leads to wrong names: swapped pictures, outliers, no faces, duplicates, look-alikes;
    and for consent that is missing, and who expires within 30 days.

    Nothing is deleted, and without --fix nothing is changed. Exits 0, whatever was found.

    Examples: visaged audit · visaged audit --fix · visaged audit --json
    """
    from daemon.care_desk import care_of
    from daemon.people_desk import open_desk
    from gallery.audit import audit as look
    from gallery.audit import steps
    from gallery.consent_audit import with_findings

    settings = configured(config)
    with open_desk(settings) as desk:
        care = care_of(desk)
        material = care.material()
        with progress_bar("comparing", steps(material)) as advance:
            found = with_findings(look(material, advance), audited(desk, settings))
        codes = {reference: each.code for each in found.findings for reference in each.set_aside}
        changed = care.set_aside(codes) if fix and codes else 0
    if as_json:
        print_json({**asdict(found), "fixed": changed})
        return
    _tell(found)
    if changed:
        typer.echo(f"set aside {changed}; take one back with: visaged reinstate REF")
    elif codes and not fix:
        typer.echo(f"visaged audit --fix sets {len(codes)} references aside; nothing was changed")


def _tell(found: Audit) -> None:
    for each in found.findings:
        names = ", ".join(person.name for person in each.people)
        references = " ".join(reference.id[:SHORT_ID] for reference in each.references)
        typer.echo(f"{each.severity}: {each.code}: {names}{f' ({references})' if references else ''}")
        typer.echo(f"  {each.explanation}")
        typer.echo(f"  {each.remedy}")
    if found.findings:
        from collections import Counter

        counts = Counter((each.code, each.severity) for each in found.findings)
        typer.echo()
        print_table(["finding", "severity", "count"], [(*key, count) for key, count in counts.items()])
    typer.echo(
        f"{found.people} people, {found.references} references in use, {found.set_aside} set aside, "
        f"{len(found.findings)} findings"
    )
    if not found.measured and found.references:
        typer.echo(
            f"distances of {found.model} were never measured: only quality and counts were looked at",
            err=True,
        )


def reinstate(
    references: Annotated[
        list[str], typer.Argument(metavar="REF...", help="Ids of references, or how they begin.")
    ],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Matches again with references that audit --fix set aside; all of those that are named, or none.

    `visaged people NAME` lists them with their ids.

    Example: visaged reinstate 1f0c2a9e
    """
    from daemon.care_desk import care_of
    from daemon.people_desk import open_desk

    with open_desk(configured(config)) as desk:
        found = care_of(desk).reinstate(references)
    if as_json:
        print_json({"reinstated": found})
    else:
        typer.echo(f"{len(found)} in use again")


def merge(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="Who is the same person, and goes.", autocompletion=known_people),
    ],
    into: Annotated[
        str, typer.Argument(metavar="INTO", help="Whose name and id stay.", autocompletion=known_people)
    ],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Makes one person of two: INTO gets all the references of NAME, and NAME is gone.

    This can't be taken back. Where the two have different dates to be forgotten at, the earlier one holds.

    Example: visaged merge "Ann L." "Ann Lee"
    """
    from daemon.care_desk import care_of
    from daemon.people_desk import open_desk

    with open_desk(configured(config)) as desk:
        person = care_of(desk).merge(name, into)
    if as_json:
        print_json({"id": person.id, "name": person.name, "references": person.references})
    else:
        typer.echo(f"{name} is now {person.name}, with {person.references} references")


def add_to(app: typer.Typer) -> None:
    """Registers the commands."""
    app.command()(audit)
    app.command()(reinstate)
    app.command()(merge)
