"""What each stage of the pipeline is measured as."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from daemon.config import Config
from daemon.frame import Frame, StartTime
from daemon.playback import Stage
from gallery.faces.engine import FaceEngine
from gallery.matcher import Index
from tests.daemon.serving import NoNets


def test_every_stage_is_measured_under_its_name_with_and_without_a_thread_of_its_own() -> None:
    nets = NoNets()
    index = Index.of([], [], np.zeros((0, 128), np.float32), model=nets.model, revision=0)
    stage = Stage(FaceEngine(nets, nets), index, Config())
    for live, found in ((frozenset[str](), ["detect"]), (frozenset({"door"}), ["detect"])):
        measured: list[str] = []

        @contextmanager
        def measure(name: str, into: list[str] = measured) -> Iterator[None]:
            into.append(name)
            yield

        with stage.pipeline(StartTime(0, 0), ["door"], live) as pipeline:
            pipeline.measure(measure)
            pipeline.process([Frame("door", 0, 0, 0, 0, np.zeros((48, 64, 3), np.uint8))])
        # The looker's thread is waited for at the end.
        assert sorted(measured) == sorted([*found, "decide", "encode", "refine"])
