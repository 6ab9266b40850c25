"""What is refused of a camera before anything is opened, and what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon import camera_check
from daemon.camera_check import checked_source
from daemon.config import CameraConfig, SecretSource


def test_a_camera_that_is_not_there_is_no_mistake() -> None:
    assert checked_source(CameraConfig(name="door", source="/dev/video987")).kind == "webcam"
    assert checked_source(CameraConfig(name="door", source="rtsp://nowhere/1", backend="pyav")).live


def test_a_webcam_is_read_by_opencv_alone() -> None:
    with pytest.raises(ValueError, match='backend must be "opencv" for a webcam'):
        checked_source(CameraConfig(name="door", source=0, backend="pyav"))


def test_a_backend_that_is_not_installed_is_told_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(camera_check, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="uv sync --extra pyav"):
        checked_source(CameraConfig(name="door", source="rtsp://cam/1", backend="pyav"))


def test_a_password_that_can_not_be_read_at_the_start_is_a_mistake(tmp_path: Path) -> None:
    source = SecretSource(url="rtsp://admin@cam/1", password_file=tmp_path / "nowhere")
    with pytest.raises(ValueError, match="password_file"):
        checked_source(CameraConfig(name="door", source=source))
