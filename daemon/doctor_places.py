"""Checks of where visaged lives: its folder, keys, journal, ports, unit and clock. They change nothing."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.errors import UsageError
from daemon.finding import Finding

if TYPE_CHECKING:
    from daemon.config import Config

MEGABYTE = 1_000_000
SPARE_MB = 200
"""Beside the journal's own limit: what SQLite needs while it works, and everybody else."""
SLACK_S = 86_400
"""A file may come from another time zone's clock."""


USE_ANOTHER = "run as who owns it, or set [daemon] state_dir"


def may_use(folder: Path) -> bool:
    """Whether this user may read and write in it, or make it."""
    try:
        nearest = folder if folder.exists() else _nearest(folder)
    except PermissionError:
        return False
    return os.access(nearest, os.R_OK | os.W_OK | os.X_OK)


def state_folder(config: Config) -> Iterator[Finding]:
    """Whether we may use it, and others may look into it."""
    folder = config.state_dir
    try:
        mode = folder.stat().st_mode & 0o777
    except FileNotFoundError:
        if may_use(folder):
            yield Finding("state", "ok", f"{folder}: not there yet, the daemon makes it")
        else:
            told = f"{folder}: not there, and this user may not make it in {_nearest(folder)}"
            yield Finding("state", "broken", told, USE_ANOTHER)
        return
    except OSError as error:
        yield Finding("state", "broken", f"{folder}: {error.strerror}", USE_ANOTHER)
        return
    if not may_use(folder):
        told = f"{folder}: this user may not read and write in it (mode {mode:04o})"
        yield Finding("state", "broken", told, USE_ANOTHER)
        return
    if mode & 0o077:
        advice = f"faces and names are in it: chmod 700 {folder}"
        yield Finding("state", "warning", f"{folder}: others may use it (mode {mode:04o})", advice)
    else:
        yield Finding("state", "ok", f"{folder}: mode {mode:04o}")


def key_files(config: Config) -> Iterator[Finding]:
    """Whether secrets are their owner's alone."""
    files = [
        *sorted((config.state_dir / "keys").glob("*")),
        *([config.client.keys] if config.client.keys else []),
    ]
    files += [
        camera.source.password_file for camera in config.camera if not isinstance(camera.source, int | str)
    ]
    for file in files:
        try:
            mode = file.stat().st_mode & 0o777
        except OSError as error:
            yield Finding(
                "keys", "broken", f"{file}: {error.strerror}", "correct its path in the configuration"
            )
            continue
        if mode & 0o077:
            yield Finding(
                "keys", "broken", f"{file}: others may read it (mode {mode:04o})", f"chmod 600 {file}"
            )
        else:
            yield Finding("keys", "ok", f"{file}: mode {mode:04o}")


def journal(config: Config) -> Iterator[Finding]:
    """Whether it can be read, how large it is, and whether its disk has room for it."""
    from daemon.gallery_key import gallery_key
    from daemon.journal_reader import JournalReader
    from daemon.journal_tables import FAILURES
    from gallery.encryption import check_key, read_header
    from gallery.errors import KeyRefused

    path = config.journal_path
    size_mb = path.stat().st_size / MEGABYTE if path.is_file() else 0.0
    if path.exists():
        try:
            key = gallery_key(config)
            check_key(path, read_header(path), key)
            reader = JournalReader(path, key)
            try:
                oldest, head = reader.bounds()
            finally:
                reader.close()
        except (KeyRefused, UsageError) as error:
            yield Finding("journal", "broken", str(error), "see docs/privacy.md")
            return
        except FAILURES as error:
            advice = "look at disk and permissions; the daemon begins a new one beside a damaged one"
            yield Finding("journal", "broken", f"{path}: {error}", advice)
            return
        yield Finding("journal", "ok", f"{path}: events {oldest} to {head}, {size_mb:.1f} MB")
    else:
        yield Finding("journal", "ok", f"{path}: not there yet, the daemon makes it")
    free_mb = shutil.disk_usage(_nearest(path)).free / MEGABYTE
    needed_mb = max(0.0, config.journal.keep_mb - size_mb) + SPARE_MB
    if free_mb < needed_mb:
        told = f"{free_mb:.0f} MB are free where {path.name} may still grow by {needed_mb - SPARE_MB:.0f} MB"
        yield Finding("disk", "warning", told, "make room, or set [journal] keep_mb lower")
    else:
        yield Finding("disk", "ok", f"{free_mb:.0f} MB are free for {path.name}")


def ports(config: Config) -> Iterator[Finding]:
    """Whether replay and metrics can be had, where no daemon has them."""
    from daemon.control_client import is_running
    from daemon.endpoint import check_bind, check_free
    from daemon.health_port import check_free_port

    if is_running(config.control_path):
        return
    if config.events.replay != "off":
        try:
            check_free(check_bind(config.events.replay, key="replay", curve=config.events.curve), "replay")
        except UsageError as error:
            yield Finding(
                "replay", "broken", str(error), "set [events] replay to a free port, or end who has it"
            )
        else:
            yield Finding("replay", "ok", f"{config.events.replay} is free")
    if config.metrics.bind != "off":
        try:
            check_free_port(config.metrics.bind)
        except UsageError as error:
            yield Finding(
                "metrics", "broken", str(error), "set [metrics] bind to a free port, or end who has it"
            )
        else:
            yield Finding("metrics", "ok", f"{config.metrics.bind} is free")


def systemd(config: Config, root: Path = Path("/")) -> Iterator[Finding]:
    """Whether the unit is there, and the one of this version."""
    from daemon.unit import UNIT, unit_text

    unit = root / UNIT
    if not unit.exists():
        yield Finding("systemd", "ok", f"{unit}: not there; sudo visaged service install would put it there")
        return
    try:
        same = unit.read_text(encoding="utf-8") == unit_text()
    except (OSError, UsageError) as error:
        yield Finding("systemd", "warning", str(error), "sudo visaged service install")
        return
    if same:
        yield Finding("systemd", "ok", f"{unit}: of this version")
    else:
        told = f"{unit}: not the one of this version and environment"
        yield Finding("systemd", "warning", told, "sudo visaged service install, and restart it")


def clock(config: Config) -> Iterator[Finding]:
    """Whether it is later than what was written already; events carry this time."""
    files = [Path(__file__), config.gallery_path, config.journal_path]
    newest_s = max(file.stat().st_mtime for file in files if file.is_file())
    now_s = time.time()
    shown = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now_s))
    if now_s < newest_s - SLACK_S:
        told = f"it says {shown}, which is before files of ours were written"
        yield Finding("clock", "warning", told, "set it, and keep it right: timedatectl set-ntp true")
    else:
        yield Finding("clock", "ok", shown)


def _nearest(path: Path) -> Path:
    """The path, or the folder above it that is there."""
    return next(each for each in (path, *path.parents) if each.exists())
