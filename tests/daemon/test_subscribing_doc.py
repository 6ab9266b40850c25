"""The subscribers that docs/events.md shows are run as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.bus import Trial, play
from daemon import events
from daemon.publisher import Publisher
from tests.conftest import REPOSITORY
from tests.daemon.event_samples import NAMED, RECOGNIZED
from tests.daemon.listening import await_subscribers
from tests.daemon.real_bus import real_bus

PAGE = (REPOSITORY / "docs" / "events.md").read_text(encoding="utf-8")
TRIAL = Trial(events=2_000, rate=400, stall_s=1.0, cut_s=1.0)


def snippet(language: str, containing: str) -> str:
    """The one block of code in this language that holds this text."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (block,) = [block for block in blocks if containing in block]
    return str(block)


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONUTF8": "1", "PYTHONPATH": str(REPOSITORY), **more}


@pytest.mark.parametrize("containing", ["import zmq", 'topics=["face/", "camera/"]'])
def test_the_subscribers_in_python_work(containing: str) -> None:
    with Publisher("tcp://127.0.0.1:*") as publisher:
        program = snippet("python", containing).replace("tcp://127.0.0.1:5556", publisher.bound)
        command = [sys.executable, "-c", program]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, encoding="utf-8", env=environment()
        ) as subscriber:
            try:
                await_subscribers(publisher, 1)
                publisher.send(events.sighting(NAMED))
                assert subscriber.stdout is not None
                assert subscriber.stdout.readline().startswith("face/door/sighting/ 김연아 ")
            finally:
                subscriber.kill()


def test_the_subscriber_with_a_cursor_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    with real_bus(tmp_path) as bus:
        program = snippet("python", "cursor=")
        program = program.replace("tcp://127.0.0.1:5556", bus.endpoint).replace(
            "tcp://127.0.0.1:5557", bus.journal
        )
        lines = []
        for run in range(3):
            with subprocess.Popen(
                [sys.executable, "-c", program],
                stdout=subprocess.PIPE,
                encoding="utf-8",
                cwd=tmp_path,
                env=environment(),
            ) as subscriber:
                assert subscriber.stdout is not None
                if run == 0:
                    bus.await_subscriber()
                    # Its cursor is there before the first event is.
                    while (
                        not (tmp_path / "door.cursor").exists()
                        or not (tmp_path / "door.cursor").stat().st_size
                    ):
                        threading.Event().wait(0.05)
                bus.send(events.life(RECOGNIZED))
                lines.append(subscriber.stdout.readline())
                if run > 0:
                    lines.append(subscriber.stdout.readline())
                subscriber.kill()
                # It may have come further than was waited for.
                lines += subscriber.stdout.readlines()
            bus.send(events.life(RECOGNIZED))
    told = [line.split() for line in lines]
    assert len(told) >= 5
    assert {name for _, _, name in told} == {"김연아"}
    seqs = [int(seq) for seq, redelivered, _ in told if redelivered == "False"]
    assert seqs == list(range(1, len(seqs) + 1))


def node() -> str:
    """Where it and the package zeromq are."""
    found = shutil.which("node")
    probe = [found or "", "-e", "require('zeromq')"]
    if found is None or subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        pytest.skip("no node with the package zeromq (npm install zeromq, NODE_PATH)")
    return found


@pytest.mark.parametrize(
    "trial",
    [TRIAL, replace(TRIAL, topics=("camera/gate/",)), replace(TRIAL, curve=True)],
    ids=["all", "one stream", "keys"],
)
def test_the_subscriber_in_nodejs_loses_nothing(
    trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = (node(), str(tmp_path / "subscriber.js"))
    (tmp_path / "subscriber.js").write_text(snippet("js", "zeromq"))
    (tmp_path / "stage").mkdir()
    monkeypatch.chdir(REPOSITORY)
    verdict = play(replace(trial, subscriber=command), tmp_path / "stage")
    assert verdict.passed, (verdict, (tmp_path / "stage" / "subscriber.log").read_text())


def test_the_shells_pipe_runs_a_program_for_each_event(tmp_path: Path) -> None:
    for name, script in (
        ("visaged", f'exec "{sys.executable}" -m daemon "$@" --config "{tmp_path}/config.toml"'),
        ("open-door", 'printf "%s\\n" "$1"'),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    with real_bus(tmp_path) as bus:
        (tmp_path / "config.toml").write_text(
            f"[daemon]\nstate_dir = '{tmp_path}'\n"
            f"[events]\nbind = '{bus.endpoint}'\nreplay = '{bus.journal}'\n"
        )
        with subprocess.Popen(
            ["sh", "-c", snippet("sh", "--follow --json")],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env=environment(PATH=f"{tmp_path}:{os.environ['PATH']}"),
            start_new_session=True,
        ) as shell:
            try:
                bus.await_subscriber()
                bus.send(events.life(RECOGNIZED))
                assert shell.stdout is not None
                line = shell.stdout.readline()
            finally:
                os.killpg(shell.pid, 9)
    assert '"topic":"face/door/recognized/"' in line
    assert "김연아" in line
