"""Runs the command line: `visaged`, or `python -m daemon`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TextIO

from daemon.ending import Ending


def main() -> None:
    """The console script. Exits 0: done; 1: a bug or a failed run; 2: wrong usage, configuration or start."""
    # Closed by whoever started us (`>&-`, some supervisors): then nobody wants to read it.
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    ending = Ending()
    try:
        from daemon.cli.app import run_command_line

        sys.exit(run_command_line(sys.argv[1:]))
    except KeyboardInterrupt:
        # So early that no command runs yet.
        sys.exit(1)
    finally:
        ending.leave()


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w")


if __name__ == "__main__":
    main()
