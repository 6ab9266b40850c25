"""Finds config.toml, reads it, and tells in one line what is wrong with it."""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.config import (
    CameraConfig,
    ClientConfig,
    Config,
    DaemonConfig,
    DetectorConfig,
    EncoderConfig,
    EventsConfig,
    GalleryConfig,
    JournalConfig,
    MetricsConfig,
    SecretSource,
    StrangersConfig,
    TrackerConfig,
)
from daemon.errors import ConfigError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

TABLES = {
    "daemon": DaemonConfig,
    "camera": CameraConfig,
    "detector": DetectorConfig,
    "encoder": EncoderConfig,
    "tracker": TrackerConfig,
    "strangers": StrangersConfig,
    "gallery": GalleryConfig,
    "events": EventsConfig,
    "client": ClientConfig,
    "journal": JournalConfig,
    "metrics": MetricsConfig,
}
"""A table of config.toml, and the class that holds its keys."""

RIGHT = {
    "camera": "must be [[camera]] tables, one a camera",
    "camera.name": "must be letters a-z, digits, - and _, at most 64",
    "camera.source": "must be a webcam's index, a device, a URL, a video file or a folder of images",
    "camera.fourcc": 'must be four letters or digits, such as "MJPG"',
    "daemon.device": 'must be "auto", "cpu", "cuda" or "cuda:" and a number',
    "detector.thresholds": "must be three numbers from 0 to 1",
    "metrics.bind": 'must be "off", or an address and a port such as "127.0.0.1:9464"',
    "events.bind": 'must be an endpoint such as "tcp://127.0.0.1:5556" or "ipc:///run/visaged/events"',
    "events.replay": 'must be an endpoint such as "tcp://127.0.0.1:5557", or "off"',
}
"""What would be right, where pydantic's own words don't tell."""

MOST_BYTES = 1 << 20
"""A configuration is a page or two; more is another file taken for it."""


def find(given: Path | None) -> Path | None:
    """The configuration's file: the one given, or the first there is in the usual places; None: none."""
    if given is None and (named := os.environ.get("VISAGED_CONFIG")):
        given = Path(named)
    if given is not None:
        return given.expanduser()
    import platformdirs

    usual = (
        Path("config.toml"),
        platformdirs.user_config_path("visaged", appauthor=False) / "config.toml",
        Path("/etc/visaged/config.toml"),
    )
    return next((path for path in usual if _may_be_there(path)), None)


def load(given: Path | None) -> Config:
    """Reads the configuration, or the defaults where there is no file.

    Raises ConfigError with one line that names file, key, value and what would be right.
    """
    path = find(given)
    return Config() if path is None else parse(_text(path), str(path))


def parse(text: str, origin: str) -> Config:
    """Checks a configuration's text; `origin` names it in errors."""
    from pydantic import TypeAdapter, ValidationError

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{origin}: not valid TOML: {error}") from None
    try:
        # As JSON, because only there strict checking takes an array for a tuple and a string for a path.
        return TypeAdapter(Config).validate_json(json.dumps(document, default=str))
    except ValidationError as error:
        findings = error.errors(include_url=False)
        # A default that follows from another key can't be had where that one is wrong: no finding of its own.
        findings = [each for each in findings if each["type"] != "default_factory_not_called"]
        told = list(dict.fromkeys(map(_told, findings)))
        more = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
        raise ConfigError(f"{origin}: {told[0]}{more}") from None


def override(config: Config, option: str, table: str, **settings: object) -> Config:
    """The configuration with what a command-line option says; a refusal names the option."""
    from pydantic import ValidationError

    try:
        return replace(config, **{table: replace(getattr(config, table), **settings)})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        first["loc"] = (table, *first["loc"])
        raise ConfigError(f"{option}: {_told(first).partition(': ')[2]}") from None


def with_source(config: Config, source: str, name: str, *, realtime: bool) -> Config:
    """The configuration with --source as its only camera; a refusal names the option."""
    from pydantic import ValidationError

    try:
        camera = CameraConfig(name=name, source=source, realtime=realtime)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        option = "--camera" if first["loc"] == ("name",) else "--source"
        first["loc"] = ("camera", *first["loc"])
        raise ConfigError(f"{option}: {_told(first).partition(': ')[2]}") from None
    return replace(config, camera=(camera,))


def _may_be_there(path: Path) -> bool:
    """Also where its folder is closed to us: to go on without would be another configuration, silently."""
    try:
        return path.is_file()
    except PermissionError:
        return True


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > MOST_BYTES:
        raise ConfigError(f"{path}: larger than 1 MiB, so this is not a configuration")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text; TOML is written in UTF-8") from None


def _told(error: ErrorDetails) -> str:
    """One finding of pydantic's in our words: key, what would be right, the value."""
    # Of a union's members pydantic names the type it tried as the last step: no key of ours.
    steps = [step for step in error["loc"] if isinstance(step, int) or step.isidentifier()]
    steps = [step for step in steps if step not in {"int", "str", "plain", "table"}]
    key, plain = _dotted(steps), ".".join(step for step in steps if isinstance(step, str))
    if error["type"] == "unexpected_keyword_argument":
        return f"{key}: unknown key{_nearest(steps)}"
    if error["type"] in {"missing", "missing_argument"} and plain not in RIGHT:
        return f"{key}: is missing"
    words = (
        error["msg"]
        .removeprefix("Value error, ")
        .replace("Input should", "must")
        .replace("an object", "a table")
    )
    right = words if error["type"] == "value_error" else RIGHT.get(plain, words)
    # A source may hold a password, and a whole table says nothing.
    if plain == "camera.source" or isinstance(error["input"], dict | list):
        return f"{key}: {right}"
    return f"{key}: {right}, not {_shown(error['input'])}"


def _dotted(steps: list[str | int]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")


def _shown(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)[:80]


def _nearest(steps: list[str | int]) -> str:
    table, wrong = steps[0], str(steps[-1])
    holder = TABLES.get(str(table)) if len(steps) > 1 else Config
    if "source" in steps[:-1]:
        holder = SecretSource
    known = [field.name for field in fields(holder or Config)]
    near = difflib.get_close_matches(wrong, known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"
