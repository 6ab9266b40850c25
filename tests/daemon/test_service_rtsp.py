"""The whole daemon on a real RTSP server that is killed and started again."""

from __future__ import annotations

import tempfile
from itertools import groupby, pairwise
from pathlib import Path

from daemon.client import Received, Subscription, subscribe
from tests.daemon.rtsp import RtspServer
from tests.daemon.running import Home, running


def test_a_camera_that_dies_goes_offline_and_comes_back_with_its_faces(shared_data: Path) -> None:
    clip = shared_data / "fixtures" / "clips" / "asl_milk.mkv"
    with tempfile.TemporaryDirectory(prefix="visaged-") as folder, RtspServer(clip=clip) as server:
        home = Home(Path(folder), (("door", server.url(), False),), sightings=True)
        with (
            running(home, "--await-subscribers", "1") as daemon,
            subscribe(home.endpoint, topics=["face/door/", "camera/door/"], timeout_s=40) as events,
        ):
            received = [*until(events, "camera/door/online/"), *until(events, "face/door/sighting/")]
            server.kill()
            received += until(events, "camera/door/offline/")
            with RtspServer(server.port, clip):
                received += until(events, "camera/door/online/")
                received += until(events, "face/door/sighting/")
            assert daemon.poll() is None
    states = [event.topic.split("/")[2] for event in received if event.topic.startswith("camera/")]
    # On a machine with too much to do a camera may be stalled for a moment, and online again.
    assert [state for state, _ in groupby(state for state in states if state != "stalled")] == [
        "online",
        "offline",
        "online",
    ]
    assert next(event for event in received if event.topic == "camera/door/offline/").data["reason"]
    indices = [event.data["frame"]["index"] for event in received if event.topic.startswith("face/")]
    assert all(later >= sooner for sooner, later in pairwise(indices))


def until(events: Subscription, topic: str) -> list[Received]:
    """What comes up to the first event of this topic."""
    received = []
    for event in events:
        received.append(event)
        if event.topic == topic:
            return received
    raise AssertionError(f"{topic} did not come; what came: {[event.topic for event in received]}")
