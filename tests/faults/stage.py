"""Two RTSP cameras, a daemon that watches both, and a subscriber that writes down what it is told."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

import zmq

from daemon.control_client import is_running
from tests.daemon.rtsp import RtspServer
from tests.daemon.running import environment

PASSWORD = "hunter2"
START_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Told:
    """One event about a camera, or one frame of it."""

    arrived_s: float
    """When the subscriber had it, on the monotonic clock."""
    camera: str
    kind: str
    """A state, or `sighting`."""
    reason: str | None
    captured_s: float | None
    """Of a sighting: its frame's time on the wall clock."""


class Stage:
    """Everything runs within the `with` block; the camera `door` has the faults, `gate` has none."""

    def __init__(self, server_options: Sequence[str] = (), password: str | None = None) -> None:
        """password: the door asks for it, and the daemon has a wrong one at first."""
        self._server_options = tuple(server_options)
        self._password = password
        self._closing = threading.Event()
        self._news = threading.Condition()
        self._told: list[Told] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with self._stack:
            self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-")))
            self.server = RtspServer(password=self._password, options=self._server_options)
            self._stack.callback(lambda: self.server.kill())
            self._gate = self._stack.enter_context(RtspServer())
            self.password_file = self._folder / "password"
            self.password_file.write_text("guess")
            self.start_daemon()
            self._stack.callback(self._end_daemon)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def listen(self) -> float:
        """Subscribes, upon which the daemon opens its cameras; the moment of that."""
        thread = threading.Thread(target=self._write_down, name="subscriber")
        self._stack.callback(thread.join)
        self._stack.callback(self._closing.set)
        thread.start()
        return time.monotonic()

    def start_daemon(self) -> None:
        """On this stage's folder, in whatever state that is; returns when its control socket answers."""
        command = [sys.executable, "-m", "tests.faults.one_face", str(self._config())]
        self._daemon = subprocess.Popen(command, env=environment())
        self._await_start()

    def kill_daemon(self) -> None:
        """With SIGKILL, so that it can't tidy up."""
        self._daemon.kill()
        self._daemon.wait()

    def restart_server(self) -> None:
        """The door's camera, at the same address as before."""
        self.server = RtspServer(self.server.port, password=self._password, options=self._server_options)

    def door_process(self) -> int:
        """The id of the door's first capture process: the door stands first in the configuration."""
        return self.capture_processes()[0]

    def capture_processes(self) -> list[int]:
        """Ids of the daemon's processes, the one that was started first at the beginning."""
        children = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                fields = _stat(entry)
                if len(fields) > 19 and int(fields[1]) == self._daemon.pid:
                    children.append((int(fields[19]), int(entry.name)))
        return [pid for _, pid in sorted(children)]

    def wait_for(self, done: Callable[[list[Told]], Told | None], timeout_s: float) -> Told:
        """The first that is found in what was told so far; fails with what was told if none comes."""
        deadline = time.monotonic() + timeout_s
        with self._news:
            while (found := done(self._told)) is None:
                left_s = deadline - time.monotonic()
                assert self._daemon.poll() is None, "the daemon died"
                assert left_s > 0, f"not told within {timeout_s:g} s; {self.states()}"
                self._news.wait(min(left_s, 0.5))
            return found

    def told(self, camera: str) -> list[Told]:
        """All about one camera so far."""
        with self._news:
            return [each for each in self._told if each.camera == camera]

    def states(self) -> list[tuple[str, str | None]]:
        """The door's so far, for people who read a failure."""
        return [(each.kind, each.reason) for each in self.told("door") if each.kind != "sighting"]

    def _config(self) -> Path:
        door = json.dumps(self.server.url())
        if self._password:
            url = json.dumps(self.server.url("admin@"))
            door = f"{{ url = {url}, password_file = {json.dumps(str(self.password_file))} }}"
        file = self._folder / "config.toml"
        file.write_text(
            f"[daemon]\nstate_dir = '{self._folder}'\nlog_level = 'error'\n"
            f"[events]\nbind = 'ipc://{self._folder}/events'\nreplay = 'off'\nsightings = true\n"
            f"[[camera]]\nname = 'door'\nsource = {door}\n"
            f"[[camera]]\nname = 'gate'\nsource = '{self._gate.url()}'\n"
        )
        return file

    def _await_start(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not is_running(self._folder / "control.sock"):
            assert self._daemon.poll() is None, "the daemon did not start"
            assert time.monotonic() < deadline, "the daemon did not start in time"
            time.sleep(0.05)

    def _end_daemon(self) -> None:
        self._daemon.send_signal(signal.SIGTERM)
        try:
            self._daemon.wait(10)
        finally:
            self._daemon.kill()
            self._daemon.wait()

    def _write_down(self) -> None:
        with zmq.Context() as context, context.socket(zmq.SUB) as socket:
            socket.set(zmq.RCVHWM, 0)
            socket.connect(f"ipc://{self._folder}/events")
            for prefix in ("camera/", "face/door/sighting/", "face/gate/sighting/"):
                socket.subscribe(prefix)
            while not self._closing.is_set():
                if socket.poll(200):
                    topic, body, *_ = socket.recv_multipart()
                    told = _told(topic.decode(), body)
                    with self._news:
                        self._told.append(told)
                        self._news.notify_all()


def _told(topic: str, body: bytes) -> Told:
    _, camera, kind, _ = topic.split("/")
    data = json.loads(body)["data"]
    captured = data.get("captured")
    captured_s = None if captured is None else datetime.fromisoformat(captured).timestamp()
    return Told(time.monotonic(), camera, kind, data.get("reason"), captured_s)


def shared_memories() -> set[Path]:
    """Those with a name. A folder there is none: it is what another program takes for a fast disk."""
    return {each for each in Path("/dev/shm").iterdir() if each.is_file()}


def is_alive(pid: int) -> bool:
    """Whether there is such a process that has not ended; one that waits to be reaped has."""
    fields = _stat(Path("/proc") / str(pid))
    return bool(fields) and fields[0] != "Z"


def _stat(process: Path) -> list[str]:
    """The fields of /proc/N/stat after the name, of which the first is the state; none if it is gone."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
