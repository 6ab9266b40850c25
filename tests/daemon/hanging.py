"""`python -m tests.daemon.hanging detect|refine ARGUMENT…`: visaged with a detector that hangs when asked it.

A detector that hangs can't be had otherwise. All else is what `visaged ARGUMENT…` runs.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gallery.faces.engine import FaceEngine
from gallery.faces.types import BgrImage, Faces
from tests.daemon.serving import NoNets


class Hanging(NoNets):
    """Says on stdout that it begins to hang."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self._where = where

    def detect(self, images: Sequence[BgrImage]) -> list[Faces]:
        self._may_hang("detect")
        return super().detect(images)

    def refine(self, images: Sequence[BgrImage], boxes: Sequence[NDArray[np.float32]]) -> list[Faces]:
        self._may_hang("refine")
        return super().refine(images, boxes)

    def _may_hang(self, where: str) -> None:
        if where == self._where:
            print("hangs", flush=True)
            while True:
                threading.Event().wait()


def main(where: str, arguments: list[str]) -> None:
    """As the console script."""
    import daemon.colour_test
    import daemon.engine
    from daemon.cli.app import run_command_line

    nets = Hanging(where)
    daemon.engine.build_engine = lambda config: (FaceEngine(nets, nets), "no device")
    daemon.colour_test.check_colours = lambda *_: True
    sys.exit(run_command_line(arguments))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
