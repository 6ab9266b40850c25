"""What `visaged doctor` says about the speed of finding faces."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest

import gallery.faces.detector
import gallery.faces.device
from daemon import doctor
from daemon.config import Config, DetectorConfig
from gallery.faces.types import BgrImage, Faces


class Recorded:
    """A detector that only notes what was asked of it."""

    asked: list[str]

    def __init__(self, device: str, min_face_px: int, thresholds: tuple[float, ...], engine: str) -> None:
        self.engine = f"{engine} on {device}"
        self.asked.append(self.engine)

    def detect(self, images: Sequence[BgrImage]) -> list[Faces]:
        assert [image.shape for image in images] == [(720, 1280, 3)]
        self.asked.append("detect")
        return [Faces(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32))]


def test_the_engine_and_its_speed_on_the_cpu_are_told() -> None:
    (finding,) = doctor._speed(Config(detector=DetectorConfig(min_face_px=200)))
    assert finding.status == "ok"
    assert re.search(r": CPU, \d+ threads?, compiled: \d+ ms", finding.detail), finding.detail


def test_beside_a_gpu_both_are_told_each_with_its_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    Recorded.asked = []
    monkeypatch.setattr(gallery.faces.device, "resolve", lambda asked: "cuda:0")
    monkeypatch.setattr(gallery.faces.device, "describe", {"cpu": "CPU", "cuda:0": "CUDA 0: H100"}.get)
    monkeypatch.setattr(gallery.faces.detector, "MtcnnDetector", Recorded)
    (finding,) = doctor._speed(Config(detector=DetectorConfig(engine="openvino")))
    assert re.search(
        r": CPU, openvino on cpu: \d+ ms; CUDA 0: H100, auto on cuda:0: \d+ ms$", finding.detail
    ), finding.detail


def test_what_the_first_pictures_load_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    Recorded.asked = []
    monkeypatch.setattr(gallery.faces.device, "resolve", lambda asked: "cpu")
    monkeypatch.setattr(gallery.faces.detector, "MtcnnDetector", Recorded)
    list(doctor._speed(Config()))
    assert Recorded.asked == ["auto on cpu", *["detect"] * (doctor.SPEED_RUNS + 1)]
