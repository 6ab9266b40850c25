"""FaceNet computes what facenet-pytorch computes; its weights are never fetched for the user."""

from __future__ import annotations

import hashlib
import warnings
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from gallery.faces import facenet
from gallery.faces.encoder import build_encoder
from gallery.faces.facenet import MARGIN_PX, SIZE_PX, InceptionResnet, cut
from gallery.faces.models import ModelUnusable
from gallery.faces.types import Faces


@cache
def theirs() -> torch.nn.Module:
    """facenet-pytorch's network with weights at random, and statistics that a normalisation has to undo."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from facenet_pytorch import InceptionResnetV1
    torch.manual_seed(0)
    network: torch.nn.Module = InceptionResnetV1(pretrained=None).eval()
    for name, values in network.state_dict().items():
        if name.endswith("running_mean"):
            values.normal_(0, 0.1)
        elif name.endswith("running_var"):
            values.uniform_(0.5, 1.5)
    return network


def chips(count: int) -> torch.Tensor:
    drawn = torch.Generator().manual_seed(count)
    return torch.randint(0, 256, (count, SIZE_PX, SIZE_PX, 3), dtype=torch.uint8, generator=drawn)


def test_the_network_gives_facenet_pytorchs_encodings() -> None:
    given = chips(3)
    with torch.inference_mode():
        expected = theirs()((given.permute(0, 3, 1, 2).float() - 127.5) / 128)
        found = InceptionResnet(theirs().state_dict(), "cpu")(given)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert found.shape == (3, 512)


@pytest.mark.parametrize(
    "box", [(30.4, 20.7, 90.2, 110.9), (-0.0, 0.0, 40.5, 50.5), (100.0, 90.0, 160.0, 120.0)]
)
def test_faces_are_cut_as_facenet_pytorch_cuts_them(box: tuple[float, float, float, float]) -> None:
    from facenet_pytorch.models.utils.detect_face import extract_face

    bgr = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    faces = Faces(np.array([box], np.float32), np.ones(1, np.float32), np.zeros((1, 5, 2), np.float32))
    rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    expected = extract_face(rgb, faces.boxes[0].astype(float), SIZE_PX, MARGIN_PX).permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(cut(bgr, faces)[0], expected)


def test_a_box_without_any_area_is_black() -> None:
    faces = Faces(np.zeros((1, 4), np.float32), np.ones(1, np.float32), np.zeros((1, 5, 2), np.float32))
    assert cut(np.full((50, 50, 3), 255, np.uint8), faces).max() == 0


def test_weights_from_a_file_make_an_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "weights.pt"
    torch.save(theirs().state_dict(), file)
    monkeypatch.setattr(facenet, "SHA256", hashlib.sha256(file.read_bytes()).hexdigest())
    encoder = build_encoder("facenet", weights=str(file))
    box = np.array([[10, 10, 90, 90]], np.float32)
    faces = Faces(box, np.ones(1, np.float32), np.zeros((1, 5, 2), np.float32))
    encodings = encoder.encode(np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8), faces)
    assert encodings.shape == (1, 512)
    assert np.linalg.norm(encodings) == pytest.approx(1, abs=1e-5)
    assert (encoder.threshold, encoder.model[:14]) == (1.0, "facenet-mtcnn-")


def test_without_weights_the_error_says_which_and_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ModelUnusable, match=r"fetch 20180402-114759-vggface2\.pt") as caught:
        build_encoder("facenet")
    assert str(tmp_path / "checkpoints") in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_other_weights_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    file.write_bytes(b"something else")
    with pytest.raises(ModelUnusable, match="damaged or another model"):
        build_encoder("facenet", weights=str(file))


def test_weights_that_lack_a_layer_are_refused() -> None:
    state = dict(theirs().state_dict())
    del state["repeat_2.3.conv2d.bias"]
    with pytest.raises(ModelUnusable, match=r"repeat_2\.3\.conv2d\.bias is missing"):
        InceptionResnet(state, "cpu")
