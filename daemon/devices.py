"""Lists the webcams of this machine, for people who look for the right `source`. On Linux alone."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from dataclasses import dataclass
from pathlib import Path

SYSTEM_FOLDER = Path("/sys/class/video4linux")
DEVICE_FOLDER = Path("/dev")

# linux/videodev2.h: struct v4l2_capability is driver[16], card[32], bus_info[32], then version, capabilities,
# device_caps and three reserved, each 32 bits.
_VIDIOC_QUERYCAP = 0x80685600
_CAPABILITY_FORMAT = "=16s32s32s6I"
_VIDEO_CAPTURE = 0x00000001
_VIDEO_CAPTURE_MPLANE = 0x00001000
_DEVICE_CAPS_ARE_TOLD = 0x80000000


@dataclass(frozen=True, slots=True)
class Webcam:
    """A device that gives pictures."""

    index: int
    """N of /dev/videoN; may be another after a restart."""
    path: str
    """/dev/videoN."""
    by_id: str | None
    """Its lasting name below /dev/v4l/by-id, the better `source`; None if it has none."""
    name: str
    """What it calls itself."""
    problem: str | None
    """Why it can't be opened now, in one line; None if it can."""


def webcams(system_folder: Path = SYSTEM_FOLDER, device_folder: Path = DEVICE_FOLDER) -> list[Webcam]:
    """The webcams that are plugged in, by index. A webcam's second node, for metadata alone, is none."""
    lasting_names = _lasting_names(device_folder / "v4l" / "by-id")
    found = []
    for entry in system_folder.glob("video*"):
        number = entry.name.removeprefix("video")
        device = device_folder / entry.name
        if not number.isdecimal():
            continue
        captures, problem = look_at(device)
        if captures is None:
            # It can't be asked: the first node of a device is the one that gives pictures.
            captures = _read(entry / "index") in ("0", "")
        if captures:
            name = _read(entry / "name") or "unnamed"
            found.append(Webcam(int(number), str(device), lasting_names.get(device.resolve()), name, problem))
    return sorted(found, key=lambda webcam: webcam.index)


def look_at(device: Path) -> tuple[bool | None, str | None]:
    """Whether it gives pictures (None: it does not say), and what is in the way of opening it."""
    try:
        descriptor = os.open(device, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError:
        return None, "access denied: the user must be in the group `video`"
    except OSError as error:
        return None, error.strerror or str(error)
    try:
        answer = fcntl.ioctl(descriptor, _VIDIOC_QUERYCAP, bytes(struct.calcsize(_CAPABILITY_FORMAT)))
    except OSError as error:
        not_a_camera = error.errno in (errno.ENOTTY, errno.EINVAL)
        return (False, None) if not_a_camera else (None, error.strerror)
    finally:
        os.close(descriptor)
    return captures_video(answer), None


def captures_video(capability: bytes) -> bool:
    """Whether a node with this answer to VIDIOC_QUERYCAP gives pictures."""
    *_, capabilities, device_capabilities, _, _, _ = struct.unpack(_CAPABILITY_FORMAT, capability)
    own = device_capabilities if capabilities & _DEVICE_CAPS_ARE_TOLD else capabilities
    return bool(own & (_VIDEO_CAPTURE | _VIDEO_CAPTURE_MPLANE))


def _lasting_names(folder: Path) -> dict[Path, str]:
    if not folder.is_dir():
        return {}
    return {link.resolve(): str(link) for link in sorted(folder.iterdir(), reverse=True)}


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
