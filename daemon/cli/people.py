"""`visaged enroll`, `people`, `forget`, `rename`: who is in the gallery."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.common import (
    ConfigOption,
    DeviceOption,
    JsonOption,
    configured,
    print_json,
    print_table,
    progress_bar,
)
from daemon.errors import UsageError

if TYPE_CHECKING:
    from gallery.enrolment import EnrolmentReport

Name = Annotated[str, typer.Argument(metavar="NAME", help="The person's name, in any script.")]


def people(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Show one person's references.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Lists who is enrolled, or what one person is known by.

    Example: visaged people --json
    """
    from daemon.people_desk import open_desk

    with open_desk(configured(config), create=True) as desk:
        if name is not None:
            references = desk.references(name)
            rows = [
                {
                    "id": reference.id,
                    "image": reference.source_name,
                    "quality": round(reference.quality, 3),
                    "model": reference.model,
                    "enrolled": _when(reference.enrolled_unix_ns),
                }
                for reference in references
            ]
        else:
            rows = [
                {
                    "id": person.id,
                    "name": person.name,
                    "references": person.references,
                    "enrolled": _when(person.first_enrolled_unix_ns),
                    "changed": _when(person.last_enrolled_unix_ns),
                }
                for person in desk.people()
            ]
    if as_json:
        print_json(rows)
    elif rows:
        print_table(list(rows[0]), [list(row.values()) for row in rows])
    else:
        typer.echo("nobody is enrolled yet; begin with: visaged enroll NAME IMAGE", err=True)


def forget(name: Name, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Removes a person and everything that is kept of them.

    Example: visaged forget "Ann Lee"
    """
    from daemon.people_desk import open_desk

    with open_desk(configured(config)) as desk:
        person = desk.forget(name)
    if as_json:
        print_json({"forgotten": {"id": person.id, "name": person.name}, "references": person.references})
    else:
        typer.echo(f"{person.name} is forgotten, with {person.references} references")


def rename(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The name now.")],
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
