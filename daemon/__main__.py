"""Runs the command line: `visaged`, or `python -m daemon`."""

from __future__ import annotations

import sys


def main() -> None:
    """The console script. Exits 0: done; 1: a bug or a failed run; 2: wrong usage, configuration or start."""
    from daemon.cli.app import run_command_line

    sys.exit(run_command_line(sys.argv[1:]))


if __name__ == "__main__":
    main()
