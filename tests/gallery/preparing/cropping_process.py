"""Crops a tree of painted pictures, to be killed in the middle: argv is the folder that holds both."""

from __future__ import annotations

import sys
from pathlib import Path

from gallery.preparing.options import CropOptions, Fallback
from tests.gallery.painted import PaintedDetector
from tests.gallery.preparing.orders import Order

OPTIONS = CropOptions(faces="all", fallback=Fallback.parse("mean:1"))


def main() -> None:
    print("open", flush=True)
    Order(Path(sys.argv[1]), PaintedDetector())(OPTIONS)


if __name__ == "__main__":
    main()
