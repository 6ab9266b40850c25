"""The key with which gallery and journal are encrypted: a file that [gallery] key_file names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from daemon import private_file
from daemon.errors import UsageError

if TYPE_CHECKING:
    from daemon.config import Config
    from gallery.encryption import Key

CREDENTIALS = "CREDENTIALS_DIRECTORY"
"""Where systemd puts a unit's credentials; a path of key_file may begin with $CREDENTIALS_DIRECTORY."""
SYSTEMD_CREDENTIALS = Path("/run/credentials")
MOST_BYTES = 4096
"""A key has 64 digits; more is another file taken for it."""


def gallery_key(config: Config) -> Key | None:
    """With what this configuration's databases are encrypted; None: they are not.

    UsageError where the file is missing, no key, or readable by others. No error tells what is in it.
    """
    if config.gallery.key_file is None:
        return None
    from gallery.encryption import Key

    file = _place(config.gallery.key_file)
    try:
        if not file.is_file():
            raise UsageError(
                f"[gallery] key_file: {file} is no file; visaged keys gallery {file} makes a new key"
            )
        if not _is_credential(file) and not private_file.is_private(file):
            raise UsageError(f"[gallery] key_file: {file} can be read by others: chmod 600 it")
        with file.open("rb") as content:
            text = content.read(MOST_BYTES)
    except OSError as error:
        raise UsageError(f"[gallery] key_file: {file} can't be read: {error.strerror}") from None
    key = Key.parse(text.decode("ascii", "replace"))
    if key is None:
        raise UsageError(f"[gallery] key_file: {file} must hold 64 hexadecimal digits and nothing else")
    return key


def make_key_file(file: Path) -> None:
    """Writes a fresh key, for its owner alone; UsageError where there is a file already."""
    from gallery.encryption import Key

    try:
        private_file.create(file, Key.new().text + "\n")
    except FileExistsError:
        raise UsageError(
            f"{file} is there already and stays: whatever it encrypted would be lost without it"
        ) from None
    except OSError as error:
        raise UsageError(f"{file} can't be written: {error.strerror}") from None


def _place(given: Path) -> Path:
    variable = f"${CREDENTIALS}"
    if given.parts[0] != variable:
        return given.absolute()
    folder = os.environ.get(CREDENTIALS)
    if folder is None:
        raise UsageError(
            f"[gallery] key_file: {given} is a credential, which systemd gives to the service alone: "
            "start the service, whose commands go over its socket"
        )
    return Path(folder, *given.parts[1:])


def _is_credential(file: Path) -> bool:
    """systemd keeps others from the folder; the file's own mode shows the mask of an access list."""
    folders = [SYSTEMD_CREDENTIALS, *(Path(each) for each in [os.environ.get(CREDENTIALS)] if each)]
    return any(file.is_relative_to(folder) for folder in folders)
