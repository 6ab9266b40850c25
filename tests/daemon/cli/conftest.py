"""Commands run in this process, each test with a state folder of its own."""

from __future__ import annotations

import json
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from daemon.cli.app import run_command_line


@dataclass(frozen=True, slots=True)
class Done:
    """What a command left."""

    code: int
    """Its exit code."""
    out: str
    """Its stdout."""
    err: str
    """Its stderr."""

    @property
    def document(self) -> Any:
        """Its stdout, which must be one JSON document and nothing else."""
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Shell:
    """Runs commands with one configuration."""

    folder: Path
    capture: pytest.CaptureFixture[str]

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    def __call__(self, command: str, *arguments: str | Path) -> Done:
        self.capture.readouterr()
        code = run_command_line([command, *map(str, arguments), "--config", str(self.config)])
        captured = self.capture.readouterr()
        return Done(code, captured.out, captured.err)

    def configure(self, extra: str = "") -> None:
        """Writes the configuration anew."""
        self.config.write_text(
            f"[daemon]\nstate_dir = '{self.folder}/state'\ndevice = 'cpu'\n"
            f"[events]\nbind = 'ipc://{self.folder}/events'\nreplay = 'off'\n{extra}"
        )


@pytest.fixture
def visaged(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A folder with a short path, because a socket's may have 107 bytes."""
    for name in ("VISAGED_CONFIG", "STATE_DIRECTORY", "RUNTIME_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    with tempfile.TemporaryDirectory(prefix="visaged-") as folder:
        shell = Shell(Path(folder), capsys)
        shell.configure()
        yield shell
    for number, handler in handlers.items():
        # "run" takes the signals that stop it.
        signal.signal(number, handler)
