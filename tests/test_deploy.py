"""What stands in deploy/ holds by systemd's own judgement."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

UNIT = REPOSITORY / "deploy" / "visaged.service"
MOST_EXPOSURE = 2.0

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """As it stands, but for the program, which is not installed here."""
    copy = tmp_path / "visaged.service"
    copy.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text(), flags=re.MULTILINE))
    return copy


@needs_systemd
def test_systemd_finds_nothing_wrong_with_the_unit(unit: Path) -> None:
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
def test_the_unit_exposes_little(unit: Path) -> None:
    told = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", unit],
        capture_output=True,
        text=True,
    ).stdout
    found = re.search(r"Overall exposure level for visaged\.service: ([0-9.]+)", told)
    if found is None:
        pytest.skip("this systemd can't judge a unit that is not loaded")
    assert float(found[1]) <= MOST_EXPOSURE


def test_the_unit_says_what_the_daemon_relies_on() -> None:
    lines = UNIT.read_text().splitlines()
    for line in (
        "Type=notify",
        "WatchdogSec=30",
        "DynamicUser=yes",
        "SupplementaryGroups=video",
        "DevicePolicy=closed",
        "DeviceAllow=char-video4linux rw",
        "StateDirectoryMode=0700",
        "RestartPreventExitStatus=2",
    ):
        assert line in lines
