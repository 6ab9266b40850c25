"""All commands under one name, and what becomes of their errors."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

# Typer carries its own copy of click and names only some of its errors.
from typer._click.exceptions import ClickException

from daemon.cli import (
    answer,
    bridge,
    calibrate,
    care,
    carry,
    compare,
    crop,
    demo,
    doctor,
    encryption,
    forgetting,
    identify,
    keys,
    life,
    look,
    people,
    reencode,
    replay,
    run,
    service,
    status,
    watch,
)
from daemon.errors import UsageError
from gallery.errors import GalleryError

CTRL_C = 130

app = typer.Typer(
    name="visaged",
    help="Cameras in, trustworthy face-recognition events out over ZeroMQ. Start with: visaged demo",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for commands in (
    demo,
    run,
    status,
    people,
    forgetting,
    life,
    care,
    carry,
    reencode,
    answer,
    identify,
    compare,
    crop,
    calibrate,
    watch,
    bridge,
    replay,
    look,
    keys,
    encryption,
    service,
    doctor,
):
    commands.add_to(app)


def run_command_line(arguments: Sequence[str]) -> int:
    """Runs one command and returns its exit code; an error that the user can mend is one line on stderr."""
    try:
        code = app(args=list(arguments) or ["--help"], prog_name="visaged", standalone_mode=False)
    except ClickException as error:
        return _refused(error.format_message().replace("\n", " "))
    except (UsageError, GalleryError) as error:
        return _refused(str(error))
    except typer.Abort:
        return 1
    except SystemExit as leaving:
        # So typer and rich say that the reader of our output went away (`visaged watch | head`): we are done.
        if isinstance(leaving.__context__, BrokenPipeError):
            return 0
        raise
    # Typer's code for Ctrl-C, where a command has no other use for it.
    return 1 if code == CTRL_C else code if isinstance(code, int) else 0


def _refused(line: str) -> int:
    print(f"visaged: {line}", file=sys.stderr)  # noqa: T201
    return 2
