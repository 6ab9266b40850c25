"""`python -m tests.daemon.slow_start FILE ARGUMENT…`: visaged whose nets load until FILE is there.

A start that lasts just as long as a test looks at it can't be had otherwise. The rest is `visaged ARGUMENT…`.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from gallery.faces.engine import FaceEngine
from tests.daemon.serving import NoNets

LOOK_S = 0.02


def main(file: Path, arguments: list[str]) -> None:
    """As the console script."""
    import daemon.colour_test
    import daemon.engine
    from daemon.cli.app import run_command_line

    def build_engine(config: object) -> tuple[FaceEngine, str]:
        while not file.exists():
            time.sleep(LOOK_S)
        nets = NoNets()
        return FaceEngine(nets, nets), "no device"

    daemon.engine.build_engine = build_engine
    daemon.colour_test.check_colours = lambda *_: True
    sys.exit(run_command_line(arguments))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
