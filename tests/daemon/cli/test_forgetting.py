"""`visaged forget`: whom it takes, when it asks, what it prints and with what it exits."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.daemon.running import Home, environment, visaged

OBAMA, BIDEN = (REPOSITORY / "samples" / f"{name}.jpg" for name in ("barack-obama", "joe-biden"))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return Home(tmp_path).config


def enrol(config: Path) -> None:
    for name, image in (("Barack", OBAMA), ("Joe", BIDEN)):
        assert visaged("enroll", "--config", config, name, image).returncode == 0


def on_a_terminal(answer: str, *arguments: str | Path) -> tuple[int, str]:
    """Exit code and what a person sees, who types that answer."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "daemon", *map(str, arguments)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(),
    )
    os.close(theirs)
    os.write(ours, f"{answer}\n".encode())
    seen = b""
    try:
        while piece := os.read(ours, 4096):
            seen += piece
    except OSError:
        # So Linux says that the other end is closed.
        pass
    os.close(ours)
    return process.wait(60), seen.decode()


def test_a_person_on_a_terminal_is_asked_first_and_programs_are_not(config: Path) -> None:
    enrol(config)
    code, seen = on_a_terminal("n", "forget", "--config", config, "Barack")
    assert (code, "Barack, 1 references" in seen) == (1, True)
    assert "Barack" in visaged("people", "--config", config).stdout
    code, seen = on_a_terminal("y", "forget", "--config", config, "Barack")
    assert code == 0
    assert "searching every file" in seen
    assert "Barack" not in visaged("people", "--config", config).stdout
    code, seen = on_a_terminal("", "forget", "--config", config, "Joe", "--yes")
    assert (code, "can't be undone" in seen) == (0, False)


def test_several_are_forgotten_all_or_none_and_what_is_left_makes_it_exit_1(config: Path) -> None:
    enrol(config)
    refused = visaged("forget", "--config", config, "Barack", "Nobody")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "Barack" in visaged("people", "--config", config).stdout
    notes = config.parent / "state" / "notes.txt"
    notes.write_text("Joe was here")
    done = visaged("forget", "--config", config, "Barack", "Joe")
    assert done.returncode == 1
    assert f"{notes}: the name stands in it" in done.stderr
    assert done.stdout.count("is forgotten") == 2
    assert "Joe" not in done.stdout
    idle = visaged("forget", "--config", config)
    assert (idle.returncode, "nobody is half forgotten" in idle.stderr) == (0, True)
