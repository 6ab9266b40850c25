"""A running daemon decides by the thresholds that are calibrated while it runs."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import pytest

from daemon.client import subscribe
from tests.conftest import REPOSITORY
from tests.daemon.running import Home, running, visaged

COLLINS = REPOSITORY / "samples" / "eileen-collins.jpg"
PICTURES = 4500
"""At 25 a second, three minutes: a command beside it takes its time on a busy machine."""


@pytest.fixture
def portraits(tmp_path: Path) -> Path:
    """One small portrait, again and again, to be played like a live camera."""
    portrait = cv2.imread(str(COLLINS))
    assert portrait is not None
    encoded, jpeg = cv2.imencode(".jpg", cv2.resize(portrait, (256, 256)))
    assert encoded
    for number in range(PICTURES):
        (tmp_path / f"{number}.jpg").write_bytes(jpeg.tobytes())
    return tmp_path


def test_each_event_carries_the_threshold_that_was_calibrated_meanwhile(portraits: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="visaged-") as folder:
        home = Home(Path(folder), cameras=(("live", str(portraits), True),), sightings=True)
        assert visaged("enroll", "--config", home.config, "Eileen", COLLINS).returncode == 0
        with (
            running(home, "--await-subscribers", "1"),
            subscribe(home.endpoint, topics=["face/live/sighting/"], timeout_s=60) as events,
        ):
            seen = {next(events).data["threshold"]}
            command = ("calibrate", "--config", home.config, "--fmr", "0.00001", "--json")
            done = visaged(*command)
            assert done.returncode == 0, done.stderr
            for event in events:
                seen.add(event.data["threshold"])
                if event.data["threshold"] < 0.5:
                    break
    assert 0.52 in seen
    assert min(seen) < 0.5
