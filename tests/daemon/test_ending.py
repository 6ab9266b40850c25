"""SIGTERM and a closed terminal, in the middle of real commands: nothing half done stays, nothing goes on."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from daemon.control_client import is_running
from gallery.store import Gallery
from tests.conftest import REPOSITORY
from tests.daemon.capturing import write_video
from tests.daemon.running import Home, environment

WAIT_S = 120.0
GONE_S = 10.0
HIDDEN, SHOWN = b"\x1b[?25l", b"\x1b[?25h"
"""What hides a terminal's cursor, and what shows it again."""

TAKE = """
import fcntl, os, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
for number in (signal.SIGHUP, signal.SIGTERM):
    signal.signal(number, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])
"""
"""Makes stdin's terminal the process's own, undoes what nohup may have done, and becomes the command."""


@dataclass(slots=True)
class Terminal:
    """A command on a terminal of its own."""

    process: subprocess.Popen[bytes]
    descriptor: int
    """Our side of it."""
    written: bytes = b""

    def await_text(self, text: bytes) -> None:
        deadline_s = time.monotonic() + WAIT_S
        while text not in self.written:
            assert time.monotonic() < deadline_s, self.written
            assert self._read(0.1), self.written

    def end(self, number: signal.Signals) -> int:
        """Sends the signal; what the command ends with."""
        self.process.send_signal(number)
        deadline_s = time.monotonic() + WAIT_S
        # Who writes to a terminal that nobody reads is held up.
        while self.process.poll() is None:
            assert time.monotonic() < deadline_s, self.written
            self._read(0.1)
        while self._read(0.0):
            pass
        return self.process.returncode

    def close(self) -> None:
        """Closes its window."""
        os.close(self.descriptor)
        self.descriptor = -1

    def _read(self, timeout_s: float) -> bool:
        """Whether it may go on; takes what was written."""
        if not select.select([self.descriptor], [], [], timeout_s)[0]:
            return timeout_s > 0
        try:
            piece = os.read(self.descriptor, 65_536)
        except OSError:  # The other side is closed.
            return False
        self.written += piece
        return bool(piece)


@contextmanager
def on_a_terminal(*arguments: str | Path, prefix: tuple[str, ...] = (), **more: str) -> Iterator[Terminal]:
    """Runs a command of ours on a new terminal, as if typed there; ended for good at the end of the block."""
    ours, theirs = pty.openpty()
    command = [*prefix, sys.executable, "-m", "daemon", *map(str, arguments)]
    process = subprocess.Popen(
        [sys.executable, "-c", TAKE, *command],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        cwd=REPOSITORY,
        env=environment() | {"TERM": "xterm"} | more,
    )
    os.close(theirs)
    terminal = Terminal(process, ours)
    try:
        yield terminal
    finally:
        process.kill()
        process.wait()
        if terminal.descriptor >= 0:
            terminal.close()


def running_from(folder: Path) -> list[str]:
    """Commands of processes that were given a path in the folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # It ended just now.
            continue
        if str(folder) in command:
            found.append(command)
    return found


def test_sigterm_ends_the_demo_with_its_daemon_and_folder(tmp_path: Path) -> None:
    with on_a_terminal("demo", "--device", "cpu", TMPDIR=str(tmp_path)) as terminal:
        terminal.await_text(b"playing a clip")
        # Its daemon starts now.
        time.sleep(0.5)
        code = terminal.end(signal.SIGTERM)
        assert code == -signal.SIGTERM, terminal.written
        assert list(tmp_path.iterdir()) == []
        # A process that was killed needs a moment, on a busy machine.
        deadline_s = time.monotonic() + GONE_S
        while left := running_from(tmp_path):
            assert time.monotonic() < deadline_s, left
            time.sleep(0.05)


def test_sigterm_gives_the_cursor_back_that_a_progress_bar_hid(tmp_path: Path) -> None:
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    first = photographs / "0.jpg"
    shutil.copy(REPOSITORY / "samples" / "joe-biden.jpg", first)
    for number in range(1, 500):
        os.link(first, photographs / f"{number}.jpg")
    with on_a_terminal("crop", photographs, tmp_path / "crops", "--device", "cpu") as terminal:
        terminal.await_text(b"/500")
        assert HIDDEN in terminal.written
        assert terminal.end(signal.SIGTERM) == -signal.SIGTERM, terminal.written
        assert terminal.written.rfind(SHOWN) > terminal.written.rfind(HIDDEN)
        assert b"the same command goes on from here" in terminal.written
        assert b"Traceback" not in terminal.written


def test_ctrl_c_in_the_middle_of_enrolling_says_that_what_is_enrolled_stays(tmp_path: Path) -> None:
    portrait = (REPOSITORY / "samples" / "joe-biden.jpg").read_bytes()
    for number in range(300):
        folder = tmp_path / "people" / f"Joe {number:03}"
        folder.mkdir(parents=True)
        # Another file, since an image can't be two people's.
        (folder / "1.jpg").write_bytes(portrait + b"%d" % number)
    config = tmp_path / "config.toml"
    config.write_text(f"[daemon]\nstate_dir = '{tmp_path}/state'\ndevice = 'cpu'\n")
    with on_a_terminal("enroll", "--from", tmp_path / "people", "--config", config) as terminal:
        terminal.await_text(b"2/300")
        assert terminal.end(signal.SIGINT) == 1, terminal.written
    assert b"who is enrolled stays, and the same command goes on from here" in terminal.written
    assert b"Traceback" not in terminal.written
    with Gallery.open(tmp_path / "state" / "gallery.db") as gallery:
        assert 2 <= len(gallery.people()) < 300


@contextmanager
def watching(prefix: tuple[str, ...] = ()) -> Iterator[tuple[Terminal, Home]]:
    """A daemon on a terminal, that has started."""
    with tempfile.TemporaryDirectory(prefix="visaged-") as name:
        folder = Path(name)
        clip = write_video(folder / "clip.avi", 2_000)
        home = Home(folder, (("door", str(clip), True),))
        with on_a_terminal("run", "--config", home.config, prefix=prefix) as terminal:
            terminal.await_text(b"camera door: online")
            yield terminal, home


def test_a_daemon_ends_when_its_terminal_is_closed() -> None:
    """Else it goes on watching, unseen, and keeps camera and gallery from whoever starts it again."""
    with watching() as (terminal, home):
        terminal.close()
        assert terminal.process.wait(timeout=WAIT_S) == 0
        assert not is_running(home.control)


def test_on_an_open_terminal_sighup_has_the_daemon_read_its_configuration() -> None:
    with watching() as (terminal, home):
        terminal.process.send_signal(signal.SIGHUP)
        terminal.await_text(b"the configuration was read again")
        assert is_running(home.control)


def test_under_nohup_a_daemon_outlives_its_terminal() -> None:
    with watching(("sh", "-c", 'trap "" HUP; exec "$@"', "sh")) as (terminal, home):
        terminal.close()
        time.sleep(2)
        assert terminal.process.poll() is None
        assert is_running(home.control)


EARLY = """
import sys
from daemon.__main__ import main

class Interrupted:
    def find_spec(self, name, *more):
        if name == "daemon.cli.app":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupted())
main()
"""


def test_ctrl_c_while_the_commands_are_loaded_is_no_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-c", EARLY], capture_output=True, text=True, cwd=REPOSITORY, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
