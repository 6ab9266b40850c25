"""Reads the configuration again while the daemon runs, and tells what of it can take effect."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from daemon.camera_check import checked_source
from daemon.errors import UsageError

if TYPE_CHECKING:
    from daemon.config import CameraConfig, Config

logger = logging.getLogger(__name__)

CHANGEABLE: dict[str, frozenset[str]] = {
    "daemon": frozenset({"log_level"}),
    "encoder": frozenset({"threshold", "calibrated"}),
    "events": frozenset({"sightings", "crops", "deadline_ms"}),
}
"""Keys that take effect at once, of tables where not all do or none does."""
WHOLE = frozenset({"camera", "tracker", "strangers", "client"})
"""Tables that take effect as they are; client's is none of the daemon's."""
OURS = ("daemon", "gallery")
"""Packages whose log has the level of [daemon] log_level."""


@dataclass(frozen=True, slots=True)
class Reload:
    """How the daemon is asked to read its configuration again."""

    load: Callable[[], Config]
    """Reads it as at the start, options of the command line included; raises UsageError."""
    asked: threading.Event = field(default_factory=threading.Event)
    """Set by a signal."""


@dataclass(frozen=True, slots=True)
class CameraChanges:
    """What another configuration means for the cameras."""

    added: tuple[CameraConfig, ...]
    changed: tuple[CameraConfig, ...]
    removed: tuple[str, ...]
    """Names."""


def reread(load: Callable[[], Config], old: Config) -> Config | None:
    """The configuration from now on; None: the old one stays, and the log says why."""
    try:
        new = load()
        for camera in new.camera:
            _check(camera)
    except UsageError as error:
        logger.error("the configuration stays as it was: %s", error)
        return None
    kept, fixed = merged(old, new)
    if fixed:
        logger.warning(
            "a restart is needed for %s; the rest of the configuration is in use", ", ".join(fixed)
        )
    return kept


def merged(old: Config, new: Config) -> tuple[Config, list[str]]:
    """The new one with what can't change while the daemon runs as in the old, and the names of that."""
    fixed: list[str] = []
    tables: dict[str, Any] = {}
    for table in (each.name for each in fields(old)):
        before, after = getattr(old, table), getattr(new, table)
        if table in WHOLE or before == after:
            tables[table] = after
            continue
        changed = [
            key.name for key in fields(before) if getattr(before, key.name) != getattr(after, key.name)
        ]
        stuck = [key for key in changed if key not in CHANGEABLE.get(table, ())]
        fixed += [f"{table}.{key}" for key in stuck]
        # Another net has another default threshold, which means nothing for this one's encodings.
        taken = [] if stuck and table == "encoder" else [key for key in changed if key not in stuck]
        tables[table] = replace(before, **{key: getattr(after, key) for key in taken})
    return replace(new, **tables), fixed


def camera_changes(old: Sequence[CameraConfig], new: Sequence[CameraConfig]) -> CameraChanges:
    """By name; a camera that has another name is another camera."""
    before, after = ({camera.name: camera for camera in cameras} for cameras in (old, new))
    return CameraChanges(
        added=tuple(camera for camera in new if camera.name not in before),
        changed=tuple(camera for camera in new if camera.name in before and before[camera.name] != camera),
        removed=tuple(name for name in before if name not in after),
    )


def set_log_level(name: str) -> None:
    """As [daemon] log_level says."""
    for package in OURS:
        logging.getLogger(package).setLevel(logging.getLevelNamesMapping()[name.upper()])


def _check(camera: CameraConfig) -> None:
    try:
        checked_source(camera)
    except ValueError as error:
        raise UsageError(f"camera {camera.name}: {error}") from None
