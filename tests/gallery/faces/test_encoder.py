"""Encodings of real photographs, held against face_recognition's own."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gallery.faces.detector import MtcnnDetector
from gallery.faces.encoder import DlibEncoder, build_encoder
from gallery.faces.types import BgrImage, Encodings, Faces


@cache
def detector() -> MtcnnDetector:
    return MtcnnDetector(device="cpu")


@cache
def encoder(alignment: str) -> DlibEncoder:
    return DlibEncoder(alignment=alignment)


def picture(shared_data: Path, name: str) -> tuple[BgrImage, Faces]:
    bgr = np.asarray(cv2.imread(str(shared_data / "fixtures" / name)), np.uint8)
    return bgr, detector().detect([bgr])[0]


def theirs(bgr: BgrImage, faces: Faces) -> NDArray[np.float64]:
    """face_recognition's encodings of the same boxes, rounded to whole pixels as it needs them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import face_recognition
    places = [
        (round(top), round(right), round(bottom), round(left))
        for left, top, right, bottom in faces.boxes.tolist()
    ]
    rgb = np.ascontiguousarray(bgr[:, :, ::-1])
    return np.array(face_recognition.face_encodings(rgb, places, model="small"))


@pytest.mark.parametrize(
    "name", ["stills/multiface.jpg", "stills/obama_partial_face.jpg", "gallery/biden.jpg"]
)
def test_with_dlibs_own_alignment_encodings_equal_face_recognitions(shared_data: Path, name: str) -> None:
    bgr, faces = picture(shared_data, name)
    assert len(faces) > 0
    np.testing.assert_allclose(encoder("dlib").encode(bgr, faces), theirs(bgr, faces), atol=1e-5)


@pytest.mark.parametrize("alignment", ["mtcnn", "dlib"])
def test_two_photographs_of_one_person_are_near_and_two_people_are_far(
    shared_data: Path, alignment: str
) -> None:
    names = ("obama.jpg", "obama2.jpg", "biden.jpg", "biden2.jpg")
    obama, obama_later, biden, biden_later = (largest(shared_data, name, alignment) for name in names)
    limit = encoder(alignment).threshold
    assert np.linalg.norm(obama - obama_later) <= limit
    assert np.linalg.norm(biden - biden_later) <= limit
    assert np.linalg.norm(obama - biden) > limit


def largest(shared_data: Path, name: str, alignment: str) -> Encodings:
    bgr, faces = picture(shared_data, f"gallery/{name}")
    widths = faces.boxes[:, 2] - faces.boxes[:, 0]
    row: Encodings = encoder(alignment).encode(bgr, faces)[int(widths.argmax())]
    return row


@pytest.mark.parametrize("alignment", ["mtcnn", "dlib"])
def test_no_face_gives_no_encoding(alignment: str) -> None:
    encodings = encoder(alignment).encode(np.zeros((20, 30, 3), np.uint8), Faces.none())
    assert encodings.shape == (0, 128)
    assert encodings.dtype == np.float32


@pytest.mark.parametrize("alignment", ["mtcnn", "dlib"])
def test_a_face_cut_by_the_edge_gives_a_finite_encoding(shared_data: Path, alignment: str) -> None:
    bgr, faces = picture(shared_data, "gallery/obama2.jpg")
    left, top, right, bottom = faces.boxes[0].round().astype(int)
    corner = np.ascontiguousarray(bgr[(top + bottom) // 2 :, (left + right) // 2 :])
    shift = np.array([(left + right) // 2, (top + bottom) // 2], np.float32)
    cut = Faces(faces.boxes[:1] - np.tile(shift, 2), faces.scores[:1], faces.landmarks[:1] - shift)
    encodings = encoder(alignment).encode(corner, cut)
    assert encodings.shape == (1, 128)
    assert np.isfinite(encodings).all()


def test_many_images_at_once_give_what_each_gives_alone(shared_data: Path) -> None:
    pictures = [picture(shared_data, f"stills/{name}.jpg") for name in ("multiface", "two_people")]
    pictures.insert(1, (np.zeros((16, 16, 3), np.uint8), Faces.none()))
    together = encoder("mtcnn").encode_many([bgr for bgr, _ in pictures], [faces for _, faces in pictures])
    assert [len(rows) for rows in together] == [len(faces) for _, faces in pictures]
    for rows, (bgr, faces) in zip(together, pictures, strict=True):
        np.testing.assert_allclose(rows, encoder("mtcnn").encode(bgr, faces), atol=1e-5)


def test_no_images_give_no_encodings() -> None:
    assert encoder("mtcnn").encode_many([], []) == []


def test_the_two_alignments_are_different_models() -> None:
    assert encoder("mtcnn").model.startswith("dlib-mtcnn-")
    assert encoder("dlib").model.startswith("dlib-dlib-")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alignment": "eyes"}, 'encoder.alignment must be "mtcnn" or "dlib", not "eyes"'),
        (
            {"engine": "onnx"},
            'encoder.engine must be "auto" or "compiled" or "torch" or "dlib" or "openvino", not "onnx"',
        ),
        ({"name": "arcface"}, 'encoder.name must be "dlib" or "facenet" or "sface", not "arcface"'),
        ({"weights": "a.pt"}, "encoder.weights: dlib's encoder brings its own"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        build_encoder(**settings)  # type: ignore[arg-type]


def test_an_engine_that_is_not_installed_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "gallery.faces.dlib_openvino", raising=False)
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ValueError, match="uv sync --extra openvino"):
        build_encoder(engine="openvino")


@pytest.mark.parametrize("engine", ["compiled", "torch", "openvino"])
def test_every_engine_gives_comparable_encodings(shared_data: Path, engine: str) -> None:
    pytest.importorskip("llvmlite" if engine == "compiled" else engine)
    bgr, faces = picture(shared_data, "stills/two_people.jpg")
    reference, ours = DlibEncoder(engine="dlib"), DlibEncoder(engine=engine)
    assert (ours.engine, ours.model) == (engine, reference.model)
    np.testing.assert_allclose(reference.encode(bgr, faces), ours.encode(bgr, faces), atol=1e-5)


def test_machine_code_is_what_a_processor_gets_unless_told_otherwise() -> None:
    assert DlibEncoder("cpu").engine == "compiled"


def test_a_mirrored_face_has_the_same_encoding_where_mirror_images_are_averaged(shared_data: Path) -> None:
    bgr, faces = picture(shared_data, "gallery/biden.jpg")
    mirrored = np.ascontiguousarray(bgr[:, ::-1])
    right_left = faces.landmarks[:, [1, 0, 2, 4, 3]] * np.array([-1, 1], np.float32)
    # Landmarks of the mirror image, moved so that the slightly lopsided template cuts the same square.
    averaging, plain = DlibEncoder(mirror=True), encoder("mtcnn")
    there = Faces(faces.boxes, faces.scores, right_left + np.array([bgr.shape[1] - 1, 0], np.float32))
    near = np.linalg.norm(averaging.encode(bgr, faces) - averaging.encode(mirrored, there))
    far = np.linalg.norm(plain.encode(bgr, faces) - plain.encode(mirrored, there))
    assert near < far / 2
    assert averaging.threshold == 0.588
    assert averaging.model != plain.model


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_same_encodings(shared_data: Path) -> None:
    pictures = [picture(shared_data, f"stills/{name}.jpg") for name in ("multiface", "two_people")]
    images, faces = [bgr for bgr, _ in pictures], [found for _, found in pictures]
    for mirror in (False, True):
        on_gpu = DlibEncoder("cuda", mirror=mirror).encode_many(images, faces)
        on_cpu = DlibEncoder("cpu", mirror=mirror).encode_many(images, faces)
        for ours, theirs in zip(on_gpu, on_cpu, strict=True):
            assert np.linalg.norm(ours - theirs, axis=1).max() < 0.02
    assert DlibEncoder("cuda").encode(images[0], Faces.none()).shape == (0, 128)


def test_by_default_neither_dlib_nor_face_recognition_is_imported() -> None:
    unwanted = (
        "dlib",
        "_dlib_pybind11",
        "face_recognition",
        "facenet_pytorch",
        "openvino",
        "torchvision",
        "numba",
    )
    code = (
        # The first start of all logs that it compiles.
        "import logging; logging.lastResort = None\n"
        "import sys, numpy as np; from gallery.faces.encoder import build_encoder\n"
        "from gallery.faces.types import Faces\n"
        "points = np.float32([[[1, 1], [5, 1], [3, 3], [1, 5], [5, 5]]])\n"
        "face = Faces(np.float32([[0, 0, 9, 9]]), np.ones(1, np.float32), points)\n"
        "build_encoder().encode(np.zeros((9, 9, 3), np.uint8), face)\n"
        f"sys.exit(', '.join(name for name in {unwanted!r} if name in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
