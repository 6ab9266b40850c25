"""Runs the real daemon in a process of its own, for tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from daemon.client import Received, subscribe
from daemon.control_client import is_running

START_TIMEOUT_S = 120.0
"""Loading the nets on a busy machine."""


@dataclass(frozen=True, slots=True)
class Home:
    """A folder with a configuration of its own."""

    folder: Path
    """Short enough for a socket's path."""
    cameras: tuple[tuple[str, str, bool], ...] = ()
    """Name, source, realtime."""
    extra: str = ""
    """More of config.toml."""
    sightings: bool = False
    """[events] sightings."""
    crops: bool = False
    """[events] crops."""

    @property
    def endpoint(self) -> str:
        """Where the events are."""
        return f"ipc://{self.folder}/events"

    @property
    def replay(self) -> str:
        """Where missed events are given again."""
        return f"ipc://{self.folder}/replay"

    @property
    def control(self) -> Path:
        """The control socket."""
        return self.folder / "state" / "control.sock"

    @property
    def config(self) -> Path:
        """The configuration's file, written anew."""
        cameras = "".join(
            f"[[camera]]\nname = {json.dumps(name)}\nsource = {json.dumps(source)}\n"
            f"realtime = {json.dumps(realtime)}\n"
            for name, source, realtime in self.cameras
        )
        file = self.folder / "config.toml"
        events = f"bind = {json.dumps(self.endpoint)}\nreplay = {json.dumps(self.replay)}\n"
        events += f"sightings = {json.dumps(self.sightings)}\ncrops = {json.dumps(self.crops)}\n"
        file.write_text(
            f"[daemon]\nstate_dir = {json.dumps(str(self.folder / 'state'))}\ndevice = 'cpu'\n{self.extra}"
            f"[events]\n{events}{cameras}"
        )
        return file


def environment() -> dict[str, str]:
    """Ours, without what would name another state or configuration."""
    ours = ("VISAGED_CONFIG", "STATE_DIRECTORY", "RUNTIME_DIRECTORY")
    return {name: value for name, value in os.environ.items() if name not in ours}


def visaged(*arguments: str | Path, timeout_s: float = 110) -> subprocess.CompletedProcess[str]:
    """Runs one command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "daemon", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env=environment(),
        check=False,
    )


@contextmanager
def running(home: Home, *arguments: str, await_start: bool = True) -> Iterator[subprocess.Popen[str]]:
    """The daemon, with its sockets open; ended for good at the end of the block."""
    command = [sys.executable, "-m", "daemon", "run", "--config", str(home.config), *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment())
    try:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while await_start and not is_running(home.control):
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline_s, "the daemon did not start"
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.communicate()


def events_until(
    endpoint: str, last: str, topics: Sequence[str] = ("",), timeout_s: float = 60
) -> list[Received]:
    """What a subscriber receives up to the first event of the topic `last`."""
    received = []
    with subscribe(endpoint, topics=(*topics, last), timeout_s=timeout_s) as events:
        for event in events:
            received.append(event)
            if event.topic == last:
                return received
    raise AssertionError(f"{last} did not come; what came: {[event.topic for event in received]}")
