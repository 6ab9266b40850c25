"""What `visaged doctor` finds about folders, keys, journal, ports, unit, clock and cameras."""

from __future__ import annotations

import os
import shutil
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest

from daemon import doctor, unit
from daemon import doctor_places as places
from daemon.config import (
    CameraConfig,
    ClientConfig,
    Config,
    DaemonConfig,
    EventsConfig,
    JournalConfig,
    MetricsConfig,
)
from daemon.doctor_cameras import PICTURE_S, pictures
from daemon.finding import Finding
from tests.daemon.serving import write_pictures


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "state").mkdir(mode=0o700)
    return Config(
        daemon=DaemonConfig(state_dir=tmp_path / "state"),
        events=EventsConfig(bind=f"ipc://{tmp_path}/e", replay="off"),
        journal=JournalConfig(keep_mb=1),
    )


def bad(findings: list[Finding]) -> list[str]:
    assert all((finding.advice is None) == (finding.status == "ok") for finding in findings)
    return [f"{finding.check} {finding.status}" for finding in findings if finding.status != "ok"]


def test_what_others_may_read_is_told(config: Config) -> None:
    assert bad([*places.state_folder(config), *places.key_files(config)]) == []
    config.state_dir.chmod(0o755)
    secret = config.state_dir / "me.keys"
    secret.write_text("{}")
    secret.chmod(0o644)
    known = replace(config, client=ClientConfig(keys=secret))
    assert bad([*places.state_folder(known), *places.key_files(known)]) == ["state warning", "keys broken"]
    secret.unlink()
    assert bad(list(places.key_files(known))) == ["keys broken"]


def test_a_journal_that_is_none_and_a_full_disk_are_told(config: Config) -> None:
    assert bad(list(places.journal(config))) == []
    config.journal_path.write_bytes(b"not a journal" * 1000)
    assert bad(list(places.journal(config))) == ["journal broken"]
    config.journal_path.unlink()
    greedy = replace(config, journal=JournalConfig(keep_mb=1 << 20))
    free_mb = shutil.disk_usage(config.state_dir).free / 1e6
    assert bad(list(places.journal(greedy))) == (["disk warning"] if free_mb < 1.04e6 else [])


def test_ports_that_are_taken_are_told(config: Config) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as free:
        busy, port = taken.getsockname()[1], free.getsockname()[1]
        free.close()
        for used, found in ((busy, ["replay broken", "metrics broken"]), (port, [])):
            asked = replace(
                config,
                events=EventsConfig(replay=f"tcp://127.0.0.1:{used}"),
                metrics=MetricsConfig(bind=f"127.0.0.1:{used}"),
            )
            assert bad(list(places.ports(asked))) == found
    beyond = replace(config, metrics=MetricsConfig(bind="127.0.0.1:99999"))
    assert bad(list(places.ports(beyond))) == ["metrics broken"]


def test_whether_sockets_can_be_bound_with_keys_is_seen_without_making_the_daemons(tmp_path: Path) -> None:
    asked = Config(
        daemon=DaemonConfig(state_dir=tmp_path),
        events=EventsConfig(bind="tcp://127.0.0.1:*", replay="off", curve=True),
    )
    assert bad(list(doctor._events(asked))) == []
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "server.json").write_text("{}")
    assert bad(list(doctor._events(asked))) == ["events broken"]


def test_a_unit_of_another_version_is_told(config: Config, tmp_path: Path) -> None:
    assert bad(list(places.systemd(config, tmp_path))) == []
    unit.install(tmp_path)
    assert bad(list(places.systemd(config, tmp_path))) == []
    (tmp_path / unit.UNIT).write_text("older\n")
    assert bad(list(places.systemd(config, tmp_path))) == ["systemd warning"]


def test_a_clock_that_is_days_behind_its_own_files_is_told(config: Config) -> None:
    assert bad(list(places.clock(config))) == []
    config.gallery_path.write_text("")
    later_s = time.time() + 2 * places.SLACK_S
    os.utime(config.gallery_path, (later_s, later_s))
    assert bad(list(places.clock(config))) == ["clock warning"]


def test_cameras_are_opened_side_by_side_and_told_each(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Twice as long as the doctor waits: three processes begin at once here, beside whatever else there is.
    picture_s = 2 * PICTURE_S
    monkeypatch.setattr("daemon.doctor_cameras.PICTURE_S", picture_s)
    write_pictures(tmp_path / "pictures", 5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/x"
        cameras = [
            CameraConfig(name="door", source=str(tmp_path / "pictures"), realtime=True),
            CameraConfig(name="mute", source=url),
            CameraConfig(name="deaf", source=url),
        ]
        began_s = time.monotonic()
        found = list(pictures(config, cameras))
        assert time.monotonic() - began_s < 2 * picture_s
    assert {finding.detail.partition(":")[0]: finding.status for finding in found} == {
        "door": "ok",
        "mute": "warning",
        "deaf": "warning",
    }
    assert bad(found) == ["picture warning"] * 2
