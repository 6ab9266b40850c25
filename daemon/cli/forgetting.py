"""`visaged forget`: removes people and all that is kept of them, and says what was found after that."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.common import ConfigOption, JsonOption, configured, print_json
from daemon.cli.completion import known_people

if TYPE_CHECKING:
    from daemon.forgetting import Receipt
    from daemon.people_desk import PeopleDesk

STEPS = {
    "waiting": "waiting for its turn",
    "tracks": "taking the name from who is in view",
    "journal": "blanking the name in the journal",
    "log": "emptying the journal's log",
    "files": "searching every file",
}
"""What a person reads meanwhile."""
FOUND = {
    "name": "the name stands in it",
    "encoding": "an encoding is in it",
    "picture": "a picture is in it",
    "called": "the name is part of its own",
    "compressed": "it is packed, and can't be looked through",
    "unreadable": "it can't be read",
}
"""What is left."""


def forget(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...", help="Who, by name; none: who was begun with.", autocompletion=known_people
        ),
    ] = None,
    ids: Annotated[list[str] | None, typer.Option("--id", metavar="ID", help="Who, by id.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask, on a terminal.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Removes people and everything that is kept of them: pictures, encodings, their names in the journal.

    Every file of the state folder is searched after that. Exits 1 if something is left.

    Examples: visaged forget "Ann Lee" · visaged forget --id 6a3f6f3c-8d0f-4f0e-9a55-1f6b7a5f9e4e --yes
    """
    from daemon.forgetting_desk import forgetting_of
    from daemon.people_desk import open_desk

    settings = configured(config)
    with open_desk(settings) as desk:
        forgetting = forgetting_of(desk, settings)
        wanted = [forgetting.find(name, None) for name in names or ()]
        wanted += [forgetting.find(None, each) for each in ids or ()]
        if wanted and not yes and sys.stdin.isatty() and sys.stderr.isatty():
            _confirm(desk, wanted)
        # Who was begun with and broken off is done as well.
        wanted += forgetting.begun()
        receipts = [forgetting.forget(each, _teller()) for each in dict.fromkeys(wanted)]
    if as_json:
        print_json({"forgotten": [asdict(receipt) for receipt in receipts]})
    else:
        _tell(receipts)
    raise typer.Exit(0 if all(receipt.verified for receipt in receipts) else 1)


def _confirm(desk: PeopleDesk, wanted: list[str]) -> None:
    known = {person.id: person for person in desk.people()}
    for each in wanted:
        person = known.get(each)
        kept = "no longer enrolled" if person is None else f"{person.name}, {person.references} references"
        typer.echo(f"{each}: {kept}", err=True)
    typer.confirm("Forget them everywhere? This can't be undone.", abort=True, err=True)


def _teller() -> Callable[[str], None]:
    """Says each step once, on a terminal."""
    said = set() if sys.stderr.isatty() else set(STEPS)

    def tell(step: str) -> None:
        if step in STEPS and step not in said:
            said.add(step)
            typer.echo(f"{STEPS[step]} …", err=True)

    return tell


def _tell(receipts: list[Receipt]) -> None:
    if not receipts:
        typer.echo("nobody is half forgotten; name somebody: visaged forget NAME", err=True)
    for receipt in receipts:
        typer.echo(
            f"{receipt.id} is forgotten: {receipt.references} references, {receipt.crops} pictures, the name "
            f"in {receipt.events} events; {receipt.files} files were searched"
        )
        for left in receipt.left:
            typer.echo(
                f"{left.file}: {FOUND[left.what]} ({left.count}); remove it, or what is in it", err=True
            )
        if not receipt.verified and not receipt.left:
            typer.echo(
                "it was broken off before it could be told where something is left: look at the files in the "
                "state folder that are not visaged's own, and at backups and exports",
                err=True,
            )


def add_to(app: typer.Typer) -> None:
    """Registers the command."""
    app.command()(forget)
