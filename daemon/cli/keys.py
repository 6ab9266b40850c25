"""`visaged keys new`, `keys list` and `keys revoke`: whose programs may listen; `keys gallery`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli import encryption
from daemon.cli.common import ConfigOption, JsonOption, configured, print_json, print_table
from daemon.errors import UsageError

if TYPE_CHECKING:
    from daemon.keys import Client

Name = Annotated[str, typer.Argument(metavar="NAME", help="What the key is for, such as kiosk-2.")]

keys = typer.Typer(name="keys", rich_markup_mode=None)


@keys.callback(invoke_without_command=True)
def which(context: typer.Context) -> None:
    """Keys of programs that listen ([events] curve): new, list, revoke. Key of encryption: gallery."""
    if context.invoked_subcommand is None:
        raise UsageError(
            "keys needs to know what: keys new NAME, keys list, keys revoke NAME or keys gallery FILE"
        )


@keys.command()
def new(
    name: Name,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where to write it.", show_default="NAME.keys"),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Writes one file with which a program may listen, readable by its owner alone, and lets it in.

    It holds a secret: hand it over as you would a password.

    Example: visaged keys new kiosk --out kiosk.keys
    """
    import time

    from daemon.keys import check_name, new_pair, write_client_file
    from daemon.keys_desk import open_keys

    check_name(name)
    file = Path(f"{name}.keys") if out is None else out
    settings = configured(config)
    with open_keys(settings) as desk:
        pair = new_pair()
        write_client_file(file, name, pair, desk.server_public)
        try:
            client = desk.add(name, pair.public, time.time_ns())
        except BaseException:
            file.unlink(missing_ok=True)
            raise
    if as_json:
        print_json({"name": client.name, "public": client.public, "file": str(file)})
    else:
        typer.echo(f"{file}: {client.name} may listen with it")


@keys.command("list")
def list_(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Lists who was given a key, also those whose key was revoked.

    Example: visaged keys list --json
    """
    from daemon.keys_desk import open_keys

    with open_keys(configured(config)) as desk:
        rows = [_row(client) for client in desk.clients()]
    if as_json:
        print_json(rows)
    elif rows:
        print_table(list(rows[0]), [[cell or "" for cell in row.values()] for row in rows])
    else:
        typer.echo("nobody has a key yet; begin with: visaged keys new NAME", err=True)


@keys.command()
def revoke(name: Name, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Lets nobody in by this key any more; who is connected with it is cut off within two seconds.

    Example: visaged keys revoke kiosk
    """
    import time

    from daemon.keys_desk import open_keys

    with open_keys(configured(config)) as desk:
        client = desk.revoke(name, time.time_ns())
    if as_json:
        print_json(_row(client))
    else:
        typer.echo(f"the key of {client.name} is revoked")


def _row(client: Client) -> dict[str, str | None]:
    return {
        "name": client.name,
        "public": client.public,
        "added": _when(client.added_unix_ns),
        "revoked": None if client.revoked_unix_ns is None else _when(client.revoked_unix_ns),
    }


def _when(unix_ns: int) -> str:
    return datetime.fromtimestamp(unix_ns / 1e9).astimezone().isoformat(timespec="seconds")


def add_to(app: typer.Typer) -> None:
    """Registers the commands."""
    keys.command("gallery")(encryption.new_key)
    app.add_typer(keys)
