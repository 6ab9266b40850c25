"""`visaged cameras` and `visaged snapshot`: to find a camera and to aim it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.common import (
    ConfigOption,
    DeviceOption,
    JsonOption,
    configured,
    print_json,
    print_table,
)
from daemon.cli.completion import known_cameras
from daemon.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from daemon.config import CameraConfig, Config

SNAPSHOT_TIMEOUT_S = 20.0
"""A stream shows nothing before its first key frame, and those may be ten seconds apart."""


def cameras(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Lists the webcams of this machine.

    Example: visaged cameras
    """
    from daemon.devices import webcams

    configured(config)
    found = [asdict(webcam) for webcam in webcams()]
    if as_json:
        print_json(found)
    elif found:
        print_table(
            list(found[0]), [["" if value is None else value for value in each.values()] for each in found]
        )
    else:
        typer.echo("no webcam found; is one plugged in, and may this user open /dev/video*?", err=True)


def snapshot(
    camera: Annotated[
        str,
        typer.Argument(
            metavar="CAMERA", help="A configured camera's name, or a source.", autocompletion=known_cameras
        ),
    ],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to save it: .jpg, .png or .webp.")],
    annotated: Annotated[bool, typer.Option("--annotated", help="Draw faces, names and distances.")] = False,
    device: DeviceOption = None,
    config: ConfigOption = None,
) -> None:
    """Saves what a camera sees. A camera that the running daemon holds is asked of the daemon.

    Example: visaged snapshot door door.jpg --annotated
    """
    from daemon.image_file import check_format, save

    check_format(file)
    settings = configured(config, device=device)
    bgr = _from_daemon(settings, camera)
    if bgr is None:
        bgr = _from_camera(_chosen(settings, camera))
    if annotated:
        bgr = _annotated(settings, bgr)
    save(file, bgr)
    typer.echo(f"{file}: {bgr.shape[1]}×{bgr.shape[0]} pixels")


def _chosen(config: Config, camera: str) -> CameraConfig:
    """The configured camera of that name, else the text taken for a source."""
    from daemon.config_file import with_source

    for each in config.camera:
        if each.name == camera:
            return each
    known = ", ".join(each.name for each in config.camera)
    if not (camera.isdecimal() or "/" in camera or Path(camera).exists()):
        raise UsageError(f"no camera is named {camera}; configured are {known}, or give a source")
    return with_source(config, camera, "snapshot", realtime=False).camera[0]


def _from_daemon(config: Config, camera: str) -> NDArray[np.uint8] | None:
    """The newest frame of the running daemon's camera; None: no daemon runs, or it has none."""
    from daemon.control_client import RemoteGallery, is_running

    if not is_running(config.reached_path):
        return None
    with RemoteGallery(config.reached_path) as remote:
        jpeg = remote.snapshot(camera)
    if jpeg is None:
        return None
    import cv2
    import numpy as np

    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def _annotated(config: Config, bgr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    from daemon.annotated import with_faces
    from daemon.engine import build_engine
    from daemon.people_desk import open_desk
    from gallery.identification import identify_faces

    with open_desk(config, create=True) as desk:
        engine, _ = build_engine(config)
        faces = identify_faces(bgr, engine, desk, config.rules)
    drawn, notices = with_faces(bgr, faces)
    for notice in notices:
        typer.echo(notice, err=True)
    return drawn


def _from_camera(camera: CameraConfig) -> NDArray[np.uint8]:
    import time

    from daemon.capture import Cameras
    from daemon.frame import Frame, StartTime

    started = StartTime.now()
    reason = "it gave no picture"
    with Cameras([camera], started) as opened:
        while not opened.ended and time.monotonic_ns() - started.monotonic_ns < SNAPSHOT_TIMEOUT_S * 1e9:
            for item in opened.gather(0.2):
                if isinstance(item, Frame):
                    return item.bgr
                if item.state == "offline":
                    reason = item.reason or reason
    raise UsageError(f"camera {camera.name}: {reason}")


def add_to(app: typer.Typer) -> None:
    """Registers the commands."""
    app.command()(cameras)
    app.command()(snapshot)
