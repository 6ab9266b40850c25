"""Measures where MTCNN's landmarks lie in the chips that dlib cuts: the template of alignment = "mtcnn".

uv run python -m benchmarks.alignment_template [--photographs DIR] [--limit 800]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import dlib
import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import machine_line
from benchmarks.pairs import LFW_VIEW_1, main_faces, photographs
from gallery.faces.aligner import DLIB_SIZE_PX, DLIB_TEMPLATE
from gallery.faces.dlib_reference import PADDING
from gallery.faces.models import DLIB_FIVE_POINTS
from gallery.faces.types import BgrImage, Faces

POINTS = ("left eye", "right eye", "nose", "left mouth corner", "right mouth corner")


def to_chip(bgr: BgrImage, faces: Faces, predictor: dlib.shape_predictor) -> NDArray[np.float64]:
    """float64[2, 3]: from the image to the chip that dlib cuts for the first face."""
    left, top, right, bottom = (round(float(side)) for side in faces.boxes[0])
    shape = predictor(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dlib.rectangle(left, top, right, bottom))
    chip = dlib.get_face_chip_details(shape, DLIB_SIZE_PX, PADDING)
    # dlib turns the chip's rectangle about its middle and lays three of its corners on those of the chip.
    near, far = (
        np.array([chip.rect.left(), chip.rect.top()]),
        np.array([chip.rect.right(), chip.rect.bottom()]),
    )
    corners = np.array([near, [far[0], near[1]], far])
    cosine, sine = np.cos(chip.angle), np.sin(chip.angle)
    turned = (corners - (near + far) / 2) @ np.array([[cosine, sine], [-sine, cosine]]) + (near + far) / 2
    last = DLIB_SIZE_PX - 1
    goal = np.array([[0, 0], [last, 0], [last, last]], np.float32)
    return np.asarray(cv2.getAffineTransform(turned.astype(np.float32), goal), np.float64)


def main() -> None:
    """Prints the mean place of each landmark, its spread, and the template in use."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photographs", type=Path, default=LFW_VIEW_1 / "images", metavar="DIR")
    parser.add_argument("--limit", type=int, default=800)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    predictor = dlib.shape_predictor(str(DLIB_FIVE_POINTS.checked()))
    places = []
    for bgr, faces in main_faces(photographs(given.photographs)[: given.limit], given.device):
        if len(faces):
            matrix = to_chip(bgr, faces, predictor)
            places.append(faces.landmarks[0] @ matrix[:, :2].T + matrix[:, 2])
    print(machine_line())
    print(f"{len(places)} faces; mean ± standard deviation, and the template in use")
    for name, mean, spread, used in zip(
        POINTS, np.mean(places, axis=0), np.std(places, axis=0), DLIB_TEMPLATE, strict=True
    ):
        x, y = (f"{at:6.2f} ± {by:4.2f}" for at, by in zip(mean, spread, strict=True))
        print(f"{name:18}  {x}  {y}   {used[0]:6.2f} {used[1]:6.2f}")


if __name__ == "__main__":
    main()
