"""`visaged watch` with the journal: what was, what comes, and what it says when there is none."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from daemon import events
from daemon.frame import CameraChange
from tests.daemon.cli.conftest import Shell
from tests.daemon.journaling import number_of, numbered
from tests.daemon.real_bus import RealBus, real_bus


@pytest.fixture
def bus(visaged: Shell) -> Iterator[RealBus]:
    """That of the daemon which the configuration names."""
    with real_bus(visaged.folder) as bus:
        visaged.config.write_text(visaged.config.read_text().replace("'off'", f"'{bus.journal}'"))
        yield bus


def numbers(out: str) -> list[int]:
    return [number_of(json.loads(line)["event"]) for line in out.splitlines()]


def test_since_a_number_prints_what_came_after_it_and_ends(visaged: Shell, bus: RealBus) -> None:
    bus.send(*(numbered(number) for number in range(1, 8)))
    bus.await_head(7)
    assert numbers(visaged("watch", "--json", "--since", "0").out) == [1, 2, 3, 4, 5, 6, 7]
    assert numbers(visaged("watch", "--json", "--since", "5").out) == [6, 7]
    assert visaged("watch", "--since", "7").out == ""
    done = visaged("watch", "--json", "--since", "0", "--topic", "camera/gate/", "--topic", "camera/yard/on")
    assert (done.code, numbers(done.out)) == (0, [1, 4, 5, 7])


def test_since_a_time_prints_what_was_made_then_or_later(visaged: Shell, bus: RealBus) -> None:
    bus.send(*(numbered(number) for number in range(1, 4)))
    bus.await_head(3)
    lines = [json.loads(line) for line in visaged("watch", "--json", "--since", "0").out.splitlines()]
    time = lines[1]["event"]["time"]
    assert numbers(visaged("watch", "--json", "--since", time).out) == [2, 3]
    assert numbers(visaged("watch", "--json", "--since", "2020-01-01").out) == [1, 2, 3]
    assert visaged("watch", "--json", "--since", "2999-01-01").out == ""


def test_since_and_follow_prints_what_was_and_what_comes(visaged: Shell, bus: RealBus) -> None:
    bus.send(numbered(1))
    bus.await_head(1)
    command = [sys.executable, "-m", "daemon", "watch", "--json", "--since", "0", "--follow"]
    command += ["--config", str(visaged.config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watcher:
        assert watcher.stdout is not None
        got = [watcher.stdout.readline()]
        bus.send(numbered(2), events.camera(CameraChange("door", "ended", "3")))
        bus.beat()
        got += [watcher.stdout.readline() for _ in range(2)]
        watcher.send_signal(signal.SIGINT)
        assert watcher.wait(20) == 0
    assert numbers("".join(got)) == [1, 2, 3]


def test_a_daemon_that_is_not_there_is_told_and_not_waited_for(
    visaged: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.cli.watch.JOURNAL_TIMEOUT_S", 0.3)
    done = visaged("watch", "--since", "0", "--replay", f"ipc://{visaged.folder}/nobody")
    assert done.code == 2
    assert "nobody does not answer: is the daemon running" in done.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--since", "0"], '[events] replay is "off"'),
        (["--follow"], '[events] replay is "off"'),
        (["--follow", "--connect", "tcp://127.0.0.1:1"], "give --replay"),
        (["--since", "soon", "--replay", "tcp://127.0.0.1:1"], "such as 2026-03-01T08:30:00Z, not soon"),
        (["--follow", "--replay", "nonsense"], "nonsense can't be subscribed to"),
        (["--keys", "/nowhere/x.key"], "/nowhere/x.key: the keys can't be read"),
    ],
)
def test_what_cannot_be_is_one_clear_line(visaged: Shell, arguments: list[str], told: str) -> None:
    done = visaged("watch", *arguments)
    assert (done.code, done.out) == (2, "")
    assert told in done.err
    assert done.err.count("\n") == 1


def test_the_configuration_names_the_key(visaged: Shell) -> None:
    visaged.configure("[client]\nkeys = '/nowhere/watch.key'\n")
    assert "/nowhere/watch.key: the keys can't be read" in visaged("watch").err
