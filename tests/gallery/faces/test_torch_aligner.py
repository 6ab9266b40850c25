"""The aligner of the GPU, run on the CPU, cuts what the CPU's aligner cuts."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from gallery.faces import aligner, torch_aligner
from gallery.faces.aligner import DLIB_SIZE_PX, DLIB_TEMPLATE, Chips
from gallery.faces.detector import MtcnnDetector
from gallery.faces.types import BgrImage, Faces


def by_torch(images: list[BgrImage], faces: list[Faces]) -> Chips:
    chips = torch_aligner.cut(images, faces, DLIB_TEMPLATE, DLIB_SIZE_PX, "cpu")
    return np.asarray(chips.numpy(), np.uint8)


def by_opencv(images: list[BgrImage], faces: list[Faces]) -> Chips:
    pairs = zip(images, faces, strict=True)
    return np.concatenate(
        [aligner.cut(bgr, found.landmarks, DLIB_TEMPLATE, DLIB_SIZE_PX) for bgr, found in pairs]
    )


def test_faces_of_all_sizes_in_several_images_are_cut_alike(shared_data: Path) -> None:
    names = ("stills/multiface.jpg", "gallery/biden.jpg", "stills/two_people.jpg")
    images = [np.asarray(cv2.imread(str(shared_data / "fixtures" / name)), np.uint8) for name in names]
    faces = MtcnnDetector(device="cpu").detect(images)
    # A very large and a very small copy in one image, so that it is sampled at two scales.
    faces[1] = Faces(
        *(np.concatenate([part, part]) for part in (faces[1].boxes, faces[1].scores, shrunk(faces[1])))
    )
    ours, theirs = by_torch(images, faces), by_opencv(images, faces)
    assert len(ours) == sum(len(found) for found in faces)
    assert np.abs(ours.astype(int) - theirs).max() <= 2


def shrunk(faces: Faces) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return (faces.landmarks / 4).astype(np.float32)


@pytest.mark.parametrize("scale", [0.4, 1, 3, 9])
def test_what_lies_outside_is_black_in_both(scale: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (151, 203, 3), np.uint8)
    landmarks = np.float32(scale) * (DLIB_TEMPLATE[None] - np.float32(60))
    face = Faces(np.zeros((1, 4), np.float32), np.ones(1, np.float32), landmarks)
    ours, theirs = by_torch([noise], [face]), by_opencv([noise], [face])
    assert (ours == 0).all(axis=3).sum() > 1000
    assert np.abs(ours.astype(int) - theirs).max() <= 2


def test_an_image_smaller_than_a_step_is_black_in_both() -> None:
    tiny = np.full((3, 3, 3), 255, np.uint8)
    face = Faces(np.zeros((1, 4), np.float32), np.ones(1, np.float32), DLIB_TEMPLATE[None] * 9)
    assert by_torch([tiny], [face]).max() == by_opencv([tiny], [face]).max() == 0


def test_no_face_at_all_gives_no_chip() -> None:
    assert by_torch([np.zeros((9, 9, 3), np.uint8)], [Faces.none()]).shape == (0, 150, 150, 3)
