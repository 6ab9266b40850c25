"""The demonstration: real portraits, a real daemon in its own process, a real subscriber."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from daemon.errors import UsageError
from daemon.wording import json_line, line_of, pretty_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from daemon.client import Received, Subscription

SAMPLES = Path(__file__).parent.parent / "samples"
ENROLLED = {"Barack Obama": "barack-obama.jpg", "Joe Biden": "joe-biden.jpg"}
START_TIMEOUT_S = 120
"""Loading the nets takes seconds on a warm disk and much longer on a cold or slow one."""
POLL_S = 1.0
"""How soon it is noticed that the daemon has died."""

CONFIG = """\
[daemon]
state_dir = {state}
device = {device}
[[camera]]
name = "demo"
source = {clip}
[events]
bind = {bind}
replay = "off"
"""


def play(device: str, *, as_json: bool) -> int:
    """Runs the demonstration; 0 if both enrolled people and a stranger were told apart, else 1."""
    if not SAMPLES.is_dir():
        raise UsageError(
            "the demo's portraits are not installed: run it from the source tree, `uv run visaged demo`"
        )
    with tempfile.TemporaryDirectory(prefix="visaged-demo-") as folder:
        config = _prepare(Path(folder), device)
        _tell("enrolling Barack Obama and Joe Biden from one photograph each …")
        for name, file in ENROLLED.items():
            _visaged("enroll", "--config", str(config), name, str(SAMPLES / file))
        _tell("playing a clip of them and a stranger to the daemon …")
        seen = _watch(config, f"ipc://{folder}/events", as_json=as_json)
    missing = {*ENROLLED, "unknown"} - seen
    if missing:
        _tell(f"the demo failed: {', '.join(sorted(missing))} did not appear in the events")
    return 1 if missing else 0


def _prepare(folder: Path, device: str) -> Path:
    from daemon.demo_clip import write_clip

    write_clip(SAMPLES, folder / "clip.avi")
    config = folder / "config.toml"
    # JSON's strings are TOML's.
    values = {
        "state": folder / "state",
        "clip": folder / "clip.avi",
        "device": device,
        "bind": f"ipc://{folder}/events",
    }
    config.write_text(CONFIG.format(**{key: json.dumps(str(value)) for key, value in values.items()}))
    return config


def _visaged(*arguments: str) -> None:
    """Runs one of our own commands to its end; its complaint becomes ours."""
    command = [sys.executable, "-m", "daemon", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment())
    if done.returncode != 0:
        raise UsageError(f"`visaged {arguments[0]}` failed: {done.stderr.strip() or done.stdout.strip()}")


def _environment() -> dict[str, str]:
    """Ours, without what would name folders of another daemon."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in ("RUNTIME_DIRECTORY", "STATE_DIRECTORY")
    }


def _watch(config: Path, endpoint: str, *, as_json: bool) -> set[str]:
    """Runs the daemon, prints its events as a subscriber receives them; returns who was told."""
    from daemon.client import subscribe

    command = [sys.executable, "-m", "daemon", "run", "--config", str(config), "--await-subscribers", "1"]
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, stderr=log, stdout=subprocess.DEVNULL, env=_environment()) as daemon,
    ):
        try:
            with subscribe(endpoint) as subscription:
                events = while_running(daemon, subscription)
                seen, last_face = _print_until_stopping(events, as_json=as_json)
        finally:
            daemon.terminate()
            code = daemon.wait(timeout=30)
        if code != 0 or last_face is None:
            log.seek(0)
            raise UsageError(f"the daemon ended with {code}: {log.read().decode(errors='replace').strip()}")
    if not as_json:
        typer.echo("\nOne event as a subscriber receives it:\n" + pretty_json(last_face.event))
    return seen


def while_running(daemon: subprocess.Popen[bytes], subscription: Subscription) -> Iterator[Received]:
    """Events as they come, until none can come any more or none has come for too long."""
    last_s = time.monotonic()
    while time.monotonic() - last_s < START_TIMEOUT_S:
        event = subscription.receive(POLL_S)
        if event is not None:
            last_s = time.monotonic()
            yield event
        elif daemon.poll() is not None:
            return


def _print_until_stopping(events: Iterable[Received], *, as_json: bool) -> tuple[set[str], Received | None]:
    """A line an event; returns who was told, and the last event that names somebody."""
    seen: set[str] = set()
    shown: Received | None = None
    for event in events:
        if as_json:
            typer.echo(json_line(event.topic, event.event))
        elif not event.topic.startswith("daemon/"):
            typer.echo(line_of(event.topic, event.event))
        if event.kind in ("recognized", "unknown"):
            seen.add(event.person.name if event.person else "unknown")
            shown = event if event.person else shown
        if event.topic == "daemon/stopping/":
            break
    return seen, shown


def _tell(line: str) -> None:
    typer.echo(line, err=True)
