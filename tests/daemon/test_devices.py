"""The list of webcams, from folders laid out as Linux does."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from daemon.devices import Webcam, captures_video, webcams


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Two webcams whose nodes can't be opened, the first with a second node for metadata."""
    for number, name, place in [
        (10, "Doorcam", 0),
        (2, "HD Webcam: HD Webcam", 0),
        (3, "HD Webcam: metadata", 1),
    ]:
        entry = tmp_path / "sys" / f"video{number}"
        entry.mkdir(parents=True)
        (entry / "name").write_text(f"{name}\n")
        (entry / "index").write_text(f"{place}\n")
    by_id = tmp_path / "dev" / "v4l" / "by-id"
    by_id.mkdir(parents=True)
    (by_id / "usb-Acme_HD_Webcam-video-index0").symlink_to("../../video2")
    return tmp_path


def test_webcams_are_listed_by_index_with_their_lasting_names_and_without_metadata_nodes(
    machine: Path,
) -> None:
    dev = machine / "dev"
    assert webcams(machine / "sys", dev) == [
        Webcam(
            index=2,
            path=str(dev / "video2"),
            by_id=str(dev / "v4l/by-id/usb-Acme_HD_Webcam-video-index0"),
            name="HD Webcam: HD Webcam",
            problem="No such file or directory",
        ),
        Webcam(10, str(dev / "video10"), None, "Doorcam", "No such file or directory"),
    ]


def test_a_node_that_is_no_camera_is_not_listed(machine: Path) -> None:
    (machine / "dev" / "video10").touch()
    assert [webcam.index for webcam in webcams(machine / "sys", machine / "dev")] == [2]


def test_a_machine_without_webcams_has_an_empty_list(tmp_path: Path) -> None:
    assert webcams(tmp_path / "sys", tmp_path / "dev") == []


@pytest.mark.parametrize(
    ("capabilities", "device_capabilities", "captures"),
    [
        (0x84A00001, 0x04200001, True),  # A UVC webcam's first node ...
        (0x84A00001, 0x04A00000, False),  # ... and its second, which gives metadata.
        (0x84201000, 0x04201000, True),  # A camera of several planes, as on boards.
        (0x05000001, 0, True),  # An old driver, which tells nothing of the node.
        (0x80000002, 0x00000002, False),  # A video output.
    ],
)
def test_a_node_that_gives_pictures_is_told_from_one_that_does_not(
    capabilities: int, device_capabilities: int, captures: bool
) -> None:
    answer = struct.pack(
        "=16s32s32s6I", b"uvcvideo", b"Webcam", b"usb", 0x60000, capabilities, device_capabilities, 0, 0, 0
    )
    assert captures_video(answer) is captures
