"""Runs orders on painted pictures: each rectangle of one colour on black is a face."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gallery.faces.types import Detector
from gallery.preparing.crop_desk import Rows
from gallery.preparing.job import Job, Result, Rewrite, check, run
from gallery.preparing.options import CropOptions
from tests.gallery.painted import PaintedDetector


@dataclass(slots=True)
class Order:
    """A tree of images, a folder of crops, and how to come from one to the other."""

    folder: Path
    detector: Detector

    @property
    def tree(self) -> Path:
        return self.folder / "photos"

    @property
    def crops(self) -> Path:
        return self.folder / "crops"

    def __call__(
        self,
        options: CropOptions | None = None,
        *,
        force: bool = False,
        manifest: Path | None = None,
        rewrite: Rewrite | None = None,
        progress: Callable[[int, Rows], None] = lambda total, rows: None,
    ) -> Result:
        job = Job(
            self.tree,
            self.crops,
            options or CropOptions(),
            manifest or self.crops / "manifest.csv",
            rewrite,
            force,
        )
        return run(job, lambda: self.detector, check(job), progress)

    def manifest(self) -> list[dict[str, str]]:
        with (self.crops / "manifest.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    def reasons(self) -> dict[str, str]:
        return {row["source"]: row["reason"] for row in self.manifest()}

    def crop(self, name: str) -> NDArray[np.uint8]:
        """Red, green, blue."""
        with Image.open(self.crops / name) as picture:
            return np.asarray(picture.convert("RGB"))

    def files(self) -> dict[str, bytes]:
        """All that is there but what we keep for ourselves."""
        found = sorted(path for path in self.crops.rglob("*") if path.is_file())
        return {
            str(path.relative_to(self.crops)): path.read_bytes()
            for path in found
            if not path.relative_to(self.crops).parts[0].startswith(".")
        }


def order(folder: Path) -> Order:
    """An empty one."""
    (folder / "photos").mkdir()
    return Order(folder, PaintedDetector())


def numbers(text: str) -> list[float]:
    """A box of the manifest."""
    found = json.loads(text)
    assert isinstance(found, list)
    return found
