"""What stands in deploy/ holds by systemd's own judgement."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from daemon import events
from daemon.metrics import Metrics
from daemon.vocabulary import JournalHealth, JournalPulse
from tests.conftest import REPOSITORY
from tests.daemon.event_samples import NAMED

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


def test_the_dashboard_asks_for_every_metric_and_for_no_other() -> None:
    """Every one that exists, by the name under which Prometheus keeps it."""
    metrics = Metrics("1.2.3", "a-model", "a device")
    pulse = events.CameraPulse(
        *("door", "online", 1, 1, 0, [events.Unfit("blurred", 1)]),
        frame_age_s=0.1,
        reopened=[events.Reopened("silent", 1)],
    )
    beat = events.Heartbeat(
        *(1.0, 0, [pulse], [events.Refused("silent", 1)], events.GalleryPulse(1, 1, 1), 1.0, 1.0)
    )
    health = JournalPulse(1, 1, 0, JournalHealth(True, None))
    metrics.note(events.daemon(beat).telling(events.plain(health)))
    metrics.note(events.sighting(NAMED))
    metrics.saw("door", 1)
    with metrics.stage("detect"):
        pass
    families = text_string_to_metric_families(metrics.page().decode())
    there = {sample.name for family in families for sample in family.samples}
    text = (REPOSITORY / "deploy" / "grafana.json").read_text()
    panels = json.loads(text)["panels"]
    asked = {
        name
        for panel in panels
        for target in panel["targets"]
        for name in re.findall(r"visaged_\w+", target["expr"])
    }
    assert asked <= there
    left_out = {"visaged_journal_head", "visaged_gallery_revision"}
    parts = {name for name in there if name.endswith(("_sum", "_count", "_created"))}
    assert there - asked == left_out | parts
    assert len({panel["id"] for panel in panels}) == len(panels)


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


def test_the_container_is_nobodys_root_and_says_how_it_fares() -> None:
    lines = (REPOSITORY / "deploy" / "Dockerfile").read_text().splitlines()
    assert "USER 10001" in lines
    assert any(line.startswith("HEALTHCHECK") and '"visaged", "status"' in line for line in lines)
    for line in lines:
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (REPOSITORY / source).exists(), source
