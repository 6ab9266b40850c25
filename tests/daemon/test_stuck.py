"""A detector that hangs is not told to live; one that is only slow is."""

from __future__ import annotations

import logging
import socket
import tempfile
import time
from pathlib import Path

import pytest

from daemon.stuck import STUCK_S, StuckWatch
from tests.daemon.serving import NoNets, serving, write_pictures


def test_one_search_that_lasts_too_long_is_stuck_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    watch = StuckWatch()
    assert not watch.is_stuck(1, 0.0)
    assert not watch.is_stuck(1, STUCK_S)
    with caplog.at_level(logging.ERROR):
        assert watch.is_stuck(1, STUCK_S + 0.1)
        assert watch.is_stuck(1, STUCK_S + 99)
    assert len(caplog.records) == 1
    assert not watch.is_stuck(None, STUCK_S + 100)


def test_many_searches_that_last_long_together_are_not_stuck() -> None:
    watch = StuckWatch()
    for number in range(100):
        assert not watch.is_stuck(number, number * STUCK_S / 2)


def test_systemd_hears_nothing_while_the_detector_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    nets = NoNets()
    with (
        tempfile.TemporaryDirectory(prefix="visaged-") as name,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd,
    ):
        folder = Path(name)
        systemd.bind(str(folder / "notify"))
        systemd.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(folder / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "300000")
        monkeypatch.setattr("daemon.stuck.STUCK_S", 0.5)
        write_pictures(folder / "pictures", 3_000)
        file = folder / "config.toml"
        file.write_text(
            f"[daemon]\nstate_dir = '{folder}/state'\n[tracker]\nidle_detect_s = 0.1\n"
            f"[events]\nbind = 'ipc://{folder}/events'\nreplay = 'off'\n"
            f"[[camera]]\nname = 'door'\nsource = '{folder}/pictures'\nrealtime = true\n"
        )
        with serving(file, nets):
            assert comes(systemd, alive=True)
            nets.free.clear()
            assert comes(systemd, alive=False)
            nets.free.set()
            assert comes(systemd, alive=True)


def comes(systemd: socket.socket, *, alive: bool) -> bool:
    """Whether signs of life come, or else stay away for two seconds, within half a minute."""
    deadline_s = time.monotonic() + 30
    heard_s = time.monotonic()
    while time.monotonic() < deadline_s:
        try:
            if systemd.recv(4096) == b"WATCHDOG=1":
                heard_s = time.monotonic()
                if alive:
                    return True
        except BlockingIOError:
            time.sleep(0.02)
        if not alive and time.monotonic() - heard_s > 2:
            return True
    return False
