"""Files of weights: found without importing their package, refused when they are not the expected ones."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gallery.faces import models
from gallery.faces.models import ModelFile, ModelUnusable


@pytest.mark.parametrize("file", [*models.DETECTOR, models.DLIB_RESNET, models.DLIB_FIVE_POINTS])
def test_every_shipped_file_is_the_expected_one(file: ModelFile) -> None:
    assert len(file.read()) > 10_000


def test_finding_a_file_imports_neither_its_package_nor_anything_heavy() -> None:
    heavy = ("face_recognition_models", "facenet_pytorch", "torch", "dlib", "cv2", "pkg_resources")
    code = (
        "import sys; from gallery.faces import models;"
        "models.DLIB_RESNET.locate(); models.MTCNN_PNET.locate();"
        f"sys.exit(', '.join(name for name in {heavy!r} if name in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_package_that_is_not_there_is_told_with_what_to_install() -> None:
    absent = replace(models.DLIB_RESNET, package="no_such_package")
    with pytest.raises(ModelUnusable, match="comes with face-recognition-models"):
        absent.locate()


@pytest.mark.parametrize("damage", ["one bit", "cut short", "empty"])
def test_a_damaged_file_is_refused(tmp_path: Path, damage: str) -> None:
    content = bytearray(models.MTCNN_PNET.read())
    content[1000] ^= damage == "one bit"
    kept = {"one bit": len(content), "cut short": len(content) // 2, "empty": 0}[damage]
    file = tmp_path / "pnet.pt"
    file.write_bytes(content[:kept])
    with pytest.raises(ModelUnusable, match="damaged or another model"):
        models.read_one_of(file, [models.MTCNN_PNET.sha256])


def test_a_file_that_cannot_be_read_is_told_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ModelUnusable, match=r"absent\.dat: No such file"):
        models.read_one_of(tmp_path / "absent.dat", ["00"])


def test_another_encoder_alignment_or_file_gives_another_model_text() -> None:
    texts = {
        models.model_text("dlib", "mtcnn", ["aa", "bb"]),
        models.model_text("sface", "mtcnn", ["aa", "bb"]),
        models.model_text("dlib", "dlib", ["aa", "bb"]),
        models.model_text("dlib", "mtcnn", ["aa", "bc"]),
    }
    assert len(texts) == 4
    assert all(len(text.rsplit("-", 1)[1]) == 16 for text in texts)
