"""Whatever happens to subscriber and publisher, everything stored arrives: a smaller benchmarks.bus."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.bus import Trial, play
from tests.conftest import REPOSITORY

SMALL = Trial(events=2_000, rate=400, stall_s=1.0, cut_s=1.0)

CARELESS = """
import json, os, zmq
socket = zmq.Context().socket(zmq.SUB)
socket.connect(os.environ["VISAGED_EVENTS"])
socket.subscribe("camera/")
while True:
    event = json.loads(socket.recv_multipart()[1])
    print(json.dumps({"seq": event["data"]["seq"], "id": event["id"]}), flush=True)
"""


@pytest.mark.parametrize(
    "trial",
    [
        SMALL,
        replace(SMALL, topics=("camera/door/",)),
        replace(SMALL, topics=("camera/gate/online/", "camera/yard/", "daemon/started/")),
        replace(SMALL, curve=True),
    ],
    ids=["all", "one stream", "several topics", "keys"],
)
def test_every_stored_event_arrives_in_order(
    trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY)
    verdict = play(trial, tmp_path)
    assert verdict.passed, verdict
    assert verdict.stored > 600
    assert (verdict.publisher_starts, verdict.subscriber_starts) == (3, 2)
    assert verdict.again_unmarked == 0


def test_a_subscriber_that_does_not_ask_for_what_it_missed_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the test above would prove nothing."""
    monkeypatch.chdir(REPOSITORY)
    trial = replace(SMALL, topics=("camera/",), subscriber=(sys.executable, "-c", CARELESS))
    verdict = play(trial, tmp_path)
    assert not verdict.passed
    assert verdict.missing > 200
    assert (verdict.foreign, verdict.out_of_order) == (0, 0)
