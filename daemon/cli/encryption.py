"""`visaged encrypt`, `decrypt` and `keys gallery`: gallery and journal at rest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.common import ConfigOption, JsonOption, configured, print_json
from daemon.errors import UsageError

if TYPE_CHECKING:
    from daemon.config import Config
    from gallery.encryption import Key


def encrypt(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Encrypts gallery and journal with the key of [gallery] key_file, where they are not encrypted yet.

    No daemon may run. Each is written anew, compared, and put in its place in one step; what was there is
    overwritten. Whoever has the file of the key can read them, and without it nobody can: keep a copy of it.

    Example: visaged keys gallery /etc/visaged/gallery.key, name it in config.toml, then: visaged encrypt
    """
    _change(configured(config), as_json=as_json, encrypted=True)


def decrypt(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Takes the encryption from gallery and journal, with the key of [gallery] key_file.

    No daemon may run. Afterwards take key_file out of config.toml.

    Example: visaged decrypt
    """
    _change(configured(config), as_json=as_json, encrypted=False)


def new_key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it; there must be none yet.")],
    as_json: JsonOption = False,
) -> None:
    """Writes a new key for [gallery] key_file, readable by its owner alone. It changes nothing else.

    Example: visaged keys gallery /etc/visaged/gallery.key
    """
    from daemon.gallery_key import make_key_file

    make_key_file(file)
    if as_json:
        print_json({"file": str(file.absolute())})
    else:
        typer.echo(f'{file}: set [gallery] key_file = "{file.absolute()}", then run: visaged encrypt')


def _change(config: Config, *, as_json: bool, encrypted: bool) -> None:
    from daemon.control_client import is_running
    from daemon.gallery_key import gallery_key
    from daemon.starting import is_starting
    from gallery.encryption_change import change, is_there_encrypted

    key = gallery_key(config)
    if key is None:
        raise UsageError(
            "[gallery] key_file is not set: visaged keys gallery FILE makes a key; then name FILE"
        )
    if is_running(config.reached_path) or is_starting(config.reached_path):
        raise UsageError("a daemon is running: stop it first")
    files = {path: is_there_encrypted(path) for path in (config.gallery_path, config.journal_path)}
    _check(files, key)
    done = []
    for path, is_now in files.items():
        if is_now is not None and is_now != encrypted:
            change(path, None if encrypted else key, key if encrypted else None)
            done.append(path)
    if config.gallery_path in done:
        _note(config, key if encrypted else None, "encrypted" if encrypted else "decrypted")
    left = _beside(list(files), encrypted=not encrypted)
    if as_json:
        told = [str(path) for path in left]
        kinds = {"in_clear": told if encrypted else [], "still_encrypted": [] if encrypted else told}
        print_json({"changed": [str(path) for path in done], **kinds})
        return
    for path, is_now in files.items():
        state = "is not there yet" if is_now is None else "is encrypted" if encrypted else "is in clear"
        typer.echo(f"{path} {state}{'' if path in done or is_now is None else ' already'}")
    state = "is left in clear" if encrypted else "is left encrypted and needs this key still"
    for path in left:
        typer.echo(f"{path} {state}: remove it if nobody needs it", err=True)
    if not encrypted:
        but = ", but keep the key: these files need it" if left else ""
        typer.echo(f"now take key_file out of [gallery] in config.toml{but}", err=True)


def _check(files: dict[Path, bool | None], key: Key) -> None:
    """KeyRefused before anything is changed, where one of them has another key."""
    from gallery.encryption import check_key, read_header

    for path, is_encrypted in files.items():
        if is_encrypted:
            check_key(path, read_header(path), key)


def _note(config: Config, key: Key | None, what: str) -> None:
    from daemon.user import user_name
    from gallery.store import Gallery

    with Gallery.open(config.gallery_path, create=False, key=key) as gallery:
        gallery.who = user_name()
        with gallery.change() as note:
            note(what, None)


def _beside(paths: list[Path], *, encrypted: bool) -> list[Path]:
    """What was kept beside them of earlier files, damaged or from before a restore, and is so."""
    from gallery.encryption import HEADER_MAGIC, is_encrypted, read_header

    beside = [file for path in paths for file in path.parent.glob(f"{path.name}.*") if file.is_file()]
    headers = ((file, read_header(file)) for file in beside)
    return sorted(
        file for file, header in headers if (is_encrypted(header) if encrypted else header == HEADER_MAGIC)
    )


def add_to(app: typer.Typer) -> None:
    """Registers the commands."""
    app.command()(encrypt)
    app.command()(decrypt)
