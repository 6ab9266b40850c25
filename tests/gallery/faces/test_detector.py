"""Faces on real photographs and on pictures that nobody should send, held against facenet-pytorch's MTCNN."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

import gallery.faces.detector
from benchmarks.agreement import agreement
from benchmarks.facenet_mtcnn import FacenetMtcnn
from benchmarks.scenes import SAMPLES, compose, portraits
from gallery.faces.detector import EngineUnavailable, MtcnnDetector, resolve_engine
from gallery.faces.device import DeviceUnavailable
from gallery.faces.types import BgrImage, Faces
from tests.conftest import REPOSITORY

openvino_only = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="the extra openvino is not installed"
)
ENGINES = ["compiled", "torch", pytest.param("openvino", marks=openvino_only)]


@cache
def detector(engine: str = "compiled") -> MtcnnDetector:
    return MtcnnDetector(engine=engine)


@cache
def reference() -> FacenetMtcnn:
    return FacenetMtcnn()


def read(path: Path) -> BgrImage:
    return np.asarray(cv2.imread(str(path)), np.uint8)


@cache
def people() -> list[BgrImage]:
    """The shipped ones, so that every machine sees the same scenes."""
    return portraits(SAMPLES)


def scene(height: int, width: int, faces: int, seed: int = 0) -> BgrImage:
    return compose(people(), height, width, faces, np.random.default_rng(seed))


def samples() -> list[Path]:
    return sorted(SAMPLES.rglob("*.jpg"))


def assert_sound(faces: Faces, picture: BgrImage) -> None:
    """What every answer promises."""
    height, width = picture.shape[:2]
    assert faces.boxes.shape == (len(faces), 4)
    assert faces.scores.shape == (len(faces),)
    assert faces.landmarks.shape == (len(faces), 5, 2)
    for values in (faces.boxes, faces.scores, faces.landmarks):
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
    assert (faces.boxes >= 0).all()
    assert (faces.boxes <= [width, height, width, height]).all()


def assert_same(expected: Faces, found: Faces) -> None:
    agreed = agreement(expected, found)
    assert agreed.complete, agreed
    assert agreed.farthest_px < 0.01, agreed


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("path", samples(), ids=lambda path: path.stem)
def test_a_portrait_gives_facenet_pytorchs_boxes_and_landmarks(path: Path, engine: str) -> None:
    picture = read(path)
    (found,) = detector(engine).detect([picture])
    assert len(found) >= 1
    assert_same(reference().detect(picture), found)
    assert_sound(found, picture)


@pytest.mark.parametrize("engine", ENGINES)
def test_faces_come_in_facenet_pytorchs_order_with_its_scores(engine: str) -> None:
    picture = scene(480, 854, faces=6)
    expected = reference().detect(picture)
    (found,) = detector(engine).detect([picture])
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.01)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    np.testing.assert_allclose(found.landmarks, expected.landmarks, atol=0.01)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_batch_of_mixed_sizes_gives_what_each_picture_gives_alone(engine: str) -> None:
    pictures = [
        scene(240, 427, faces=2),
        np.zeros((16, 16, 3), np.uint8),
        scene(480, 360, faces=4),
        scene(240, 427, faces=3, seed=1),
        np.full((300, 200, 3), 128, np.uint8),
    ]
    for picture, found in zip(pictures, detector(engine).detect(pictures), strict=True):
        (alone,) = detector(engine).detect([picture])
        assert len(alone) == len(found)
        np.testing.assert_allclose(found.boxes, alone.boxes, atol=0.01)


def test_no_pictures_give_no_answers() -> None:
    assert detector().detect([]) == []


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (11, 300), (16, 16), (20, 20), (21, 500), (37, 41)])
@pytest.mark.parametrize("value", [0, 255])
def test_small_and_flat_pictures_have_no_face(height: int, width: int, value: int, engine: str) -> None:
    (found,) = detector(engine).detect([np.full((height, width, 3), value, np.uint8)])
    assert len(found) == 0
    assert_sound(found, np.zeros((height, width, 3), np.uint8))


def test_a_face_as_large_as_a_picture_of_the_smallest_size_that_fits_is_looked_for() -> None:
    face = cv2.resize(people()[2][40:190, 40:190], (20, 20), interpolation=cv2.INTER_AREA)
    picture = np.asarray(face, np.uint8)
    assert_same(reference().detect(picture), detector().detect([picture])[0])


def test_300_faces_are_found_as_by_facenet_pytorch() -> None:
    picture = scene(1080, 1920, faces=300)
    (found,) = detector().detect([picture])
    assert len(found) > 200
    assert_same(reference().detect(picture), found)


def test_a_frame_of_4k_with_faces_is_searched_down_to_20_px() -> None:
    picture = scene(2160, 3840, faces=2)
    picture[-60:, -60:] = cv2.resize(people()[3], (60, 60), interpolation=cv2.INTER_AREA)
    (found,) = detector().detect([picture])
    assert len(found) >= 2
    assert_same(reference().detect(picture), found)


def test_sums_beyond_32_bits_wrap_and_change_nothing() -> None:
    picture = np.full((3200, 3840, 3), 255, np.uint8)
    picture[-300:, -300:] = cv2.resize(people()[2], (300, 300))
    assert picture[:, :, 0].sum() > 2**31
    (found,) = detector().detect([picture])
    assert len(found) == 1
    assert_same(reference().detect(picture), found)


def test_a_face_cut_by_the_frames_edge_has_its_box_inside_the_frame() -> None:
    picture = np.ascontiguousarray(people()[2][:, 105:])
    (found,) = detector().detect([picture])
    assert len(found) == 1
    assert found.boxes[0, 0] == 0
    assert_same(reference().detect(picture), found)


def test_a_view_of_a_larger_array_is_read_as_it_is() -> None:
    picture = scene(480, 854, faces=3)
    view = picture[::-1, ::-1][::-1, ::-1][20:460, 10:800]
    assert not view.flags.c_contiguous
    (found,) = detector().detect([view])
    (copied,) = detector().detect([np.ascontiguousarray(view)])
    np.testing.assert_array_equal(found.boxes, copied.boxes)


def test_colours_are_read_as_blue_green_red() -> None:
    picture = np.array(people()[2])
    (as_it_is,) = detector().detect([picture])
    assert_same(reference().detect(picture), as_it_is)
    (swapped,) = detector().detect([np.ascontiguousarray(picture[:, :, ::-1])])
    assert not np.array_equal(as_it_is.scores, swapped.scores)


@pytest.mark.parametrize("thresholds", [(0.6, 0.7, 0.95), (0.8, 0.8, 0.8)])
def test_thresholds_are_facenet_pytorchs(thresholds: tuple[float, float, float]) -> None:
    from facenet_pytorch import MTCNN

    picture = scene(360, 640, faces=5)
    mtcnn = MTCNN(keep_all=True, thresholds=list(thresholds))
    boxes, _ = mtcnn.detect(np.ascontiguousarray(picture[:, :, ::-1]))
    (found,) = MtcnnDetector(thresholds=thresholds).detect([picture])
    expected = np.clip(boxes.astype(np.float32), 0, [640, 360, 640, 360])
    np.testing.assert_allclose(found.boxes, expected, atol=0.01)


def test_a_larger_smallest_face_is_facenet_pytorchs() -> None:
    picture = scene(480, 854, faces=12)
    (found,) = MtcnnDetector(min_face_px=60).detect([picture])
    assert_same(FacenetMtcnn(min_face_px=60).detect(picture), found)


def test_a_smallest_face_below_the_first_nets_window_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 12, not 11"):
        MtcnnDetector(min_face_px=11)


def test_stills_and_clips_give_facenet_pytorchs_faces(shared_data: Path) -> None:
    fixtures = shared_data / "fixtures"
    pictures = [read(path) for path in sorted((fixtures / "stills").glob("*.jpg"))]
    pictures += [frame_of(path, 20) for path in sorted((fixtures / "clips").glob("*.m*"))]
    assert len(pictures) > 8
    for picture, found in zip(pictures, detector().detect(pictures), strict=True):
        assert_same(reference().detect(picture), found)


def frame_of(clip: Path, index: int) -> BgrImage:
    capture = cv2.VideoCapture(str(clip))
    for _ in range(index):
        capture.grab()
    _, frame = capture.read()
    return np.asarray(frame, np.uint8)


@openvino_only
def test_windows_screened_in_bfloat16_give_the_boxes_of_float32() -> None:
    from gallery.faces.mtcnn.openvino_nets import has_bfloat16

    if not has_bfloat16():
        pytest.skip("this CPU has no bfloat16")
    pictures = [scene(360, 641, faces=faces, seed=faces) for faces in (0, 1, 5, 15)]
    found = detector("openvino-bf16").detect(pictures)
    for exact, screened in zip(detector("openvino").detect(pictures), found, strict=True):
        np.testing.assert_allclose(screened.boxes, exact.boxes, atol=1e-3)


@pytest.mark.parametrize("bfloat16", [True, False])
@pytest.mark.parametrize("installed", [True, False])
def test_fewer_digits_are_never_chosen_unless_asked_for(
    bfloat16: bool, installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery.faces.detector, "_has_bfloat16", lambda: bfloat16)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if installed else None)
    assert resolve_engine("auto", "cpu") == "compiled"
    assert resolve_engine("auto", "cuda:0") == "torch"


def test_bfloat16_is_refused_on_a_cpu_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery.faces.detector, "_has_bfloat16", lambda: False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    with pytest.raises(EngineUnavailable, match="needs a CPU with bfloat16: use auto or openvino"):
        resolve_engine("openvino-bf16", "cpu")


def test_an_engine_that_does_not_exist_is_refused() -> None:
    with pytest.raises(
        EngineUnavailable, match="one of auto, compiled, torch, openvino, openvino-bf16, not 'tensorrt'"
    ):
        MtcnnDetector(engine="tensorrt")


@pytest.mark.parametrize("engine", ["compiled", "openvino", "openvino-bf16"])
def test_engines_for_the_cpu_are_refused_on_a_gpu(engine: str) -> None:
    with pytest.raises(EngineUnavailable, match="for the CPU, not for cuda:0"):
        resolve_engine(engine, "cuda:0")


def test_a_device_that_does_not_exist_is_refused() -> None:
    with pytest.raises(DeviceUnavailable):
        MtcnnDetector(device="cuda:99")


def test_finding_faces_imports_neither_pytorch_nor_what_belongs_to_it() -> None:
    code = """
import sys, numpy as np
from gallery.faces.detector import MtcnnDetector
detector = MtcnnDetector()
detector.detect([np.zeros((100, 100, 3), np.uint8)])
others = ("torch", "facenet_pytorch", "torchvision", "openvino", "numba", "scipy")
print([name for name in others if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr
