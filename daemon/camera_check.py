"""Says before anything is opened what can't be right about a camera's settings."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from daemon import sources

if TYPE_CHECKING:
    from daemon.config import CameraConfig


def checked_source(camera: CameraConfig) -> sources.Source:
    """Where its pictures come from; ValueError with one line if that can't be.

    Whether the camera is there is not asked.
    """
    source = sources.parse(camera.source)
    if camera.backend == "pyav" and source.kind == "webcam":
        raise ValueError('backend must be "opencv" for a webcam; "pyav" reads streams and files')
    if camera.backend == "pyav" and find_spec("av") is None:
        raise ValueError('backend "pyav" needs the extra pyav: uv sync --extra pyav')
    source.uri_with_password()
    return source
