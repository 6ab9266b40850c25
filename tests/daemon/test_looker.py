"""The search of whole frames runs beside live cameras, one at a time; what it finds is brought forward."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from daemon.config import Config, DaemonConfig
from daemon.engine import build_engine
from daemon.frame import Frame, StartTime
from daemon.looker import Looker
from daemon.playback import Stage
from gallery.faces.engine import FaceEngine
from gallery.faces.types import BgrImage, Faces
from gallery.matcher import Index
from tests.conftest import REPOSITORY
from tests.daemon.serving import NoNets

CONFIG = Config(daemon=DaemonConfig(device="cpu"))
NONE = np.zeros((0, 4), np.float32)


class Waiting:
    """A detector that answers when it is allowed to."""

    def __init__(self, engine: FaceEngine | None = None) -> None:
        self.allowed = threading.Event()
        self.searched: list[int] = []
        self.error: Exception | None = None
        self._engine = engine

    def detect(self, images: Sequence[BgrImage]) -> list[Faces]:
        assert self.allowed.wait(60)
        self.searched.append(len(images))
        if self.error is not None:
            raise self.error
        return self._engine.detector.detect(images) if self._engine else [Faces.none() for _ in images]

    def refine(self, images: Sequence[BgrImage], boxes: Sequence[NDArray[np.float32]]) -> list[Faces]:
        assert self._engine is not None
        return self._engine.detector.refine(images, boxes)


def frame(camera: str = "door", index: int = 0, bgr: BgrImage | None = None) -> Frame:
    """At 25 frames a second."""
    picture = np.zeros((90, 160, 3), np.uint8) if bgr is None else bgr
    moment_ns = index * 40_000_000
    return Frame(camera, index, moment_ns, moment_ns, moment_ns, picture)


@pytest.fixture
def detector() -> Waiting:
    return Waiting()


@pytest.fixture
def looker(detector: Waiting) -> Iterator[Looker]:
    looker = Looker(detector)
    yield looker
    detector.allowed.set()
    looker.close()


def taken(looker: Looker, camera: str) -> Faces:
    """What was found, as soon as it is there."""
    for _ in range(6000):
        if (found := looker.take(camera)) is not None:
            return found
        threading.Event().wait(0.01)
    raise AssertionError("nothing came")


def test_what_was_found_is_given_once_to_the_camera_it_is_of(detector: Waiting, looker: Looker) -> None:
    looker.search([frame("door"), frame("gate")])
    assert not looker.idle
    assert looker.take("door") is None
    detector.allowed.set()
    assert len(taken(looker, "door")) == 0
    assert looker.idle
    assert looker.take("door") is None
    assert looker.take("gate") is not None
    assert detector.searched == [2]


def test_what_was_found_for_a_camera_that_is_gone_is_dropped(detector: Waiting, looker: Looker) -> None:
    detector.allowed.set()
    looker.search([frame("door"), frame("gate")])
    taken(looker, "gate")
    looker.forget("door")
    assert looker.take("door") is None


def test_what_the_search_raises_is_raised_to_who_asks(detector: Waiting, looker: Looker) -> None:
    detector.error = RuntimeError("out of memory")
    detector.allowed.set()
    looker.search([frame()])
    with pytest.raises(RuntimeError, match="out of memory"):
        taken(looker, "door")


def test_frames_of_a_live_camera_do_not_wait_for_a_search_and_faces_are_where_they_are_by_then() -> None:
    engine, _ = build_engine(CONFIG)
    portrait = np.asarray(cv2.imread(str(REPOSITORY / "samples" / "eileen-collins.jpg")), np.uint8)
    detector = Waiting(engine)
    index = Index.of([], [], np.zeros((0, 128), np.float32), model=engine.model, revision=1)
    stage = Stage(FaceEngine(detector, engine.encoder), index, CONFIG)

    def shifted(pixels: int) -> BgrImage:
        return np.asarray(np.roll(portrait, pixels, axis=1), np.uint8)

    with stage.pipeline(StartTime(0, 0), ["door"], live=frozenset(["door"])) as pipeline:
        for number in range(4):
            (outcome,) = pipeline.process([frame(index=number, bgr=shifted(2 * number))])
            assert outcome.faces == ()
        detector.allowed.set()
        for number in range(4, 3000):
            (outcome,) = pipeline.process([frame(index=number, bgr=shifted(8))])
            if outcome.faces:
                break
            threading.Event().wait(0.02)
        (face,) = outcome.faces
        expected = engine.detector.detect([shifted(8)])[0].boxes[0]
        before = engine.detector.detect([shifted(0)])[0].boxes[0]
        assert np.abs(face.track.box - expected).max() < np.abs(face.track.box - before).max()
        assert np.abs(face.track.box - expected).max() < 0.15 * (expected[2] - expected[0])


def test_a_camera_that_waited_through_a_search_is_of_the_next_one_whoever_gives_frames_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nets = NoNets()
    index = Index.of([], [], np.zeros((0, 128), np.float32), model=nets.model, revision=0)
    nets.free.clear()
    heights: list[list[int]] = []
    detect = nets.detect

    def noted(images: Sequence[BgrImage]) -> list[Faces]:
        heights.append([len(bgr) for bgr in images])
        return detect(images)

    monkeypatch.setattr(nets, "detect", noted)
    cameras = ["door", "gate"]
    low = np.zeros((80, 160, 3), np.uint8)
    stage = Stage(FaceEngine(nets, nets), index, CONFIG)
    with stage.pipeline(StartTime(0, 0), cameras, live=frozenset(cameras)) as pipeline:
        pipeline.process([frame("door", 0)])
        pipeline.process([frame("gate", 1, low)])
        nets.free.set()
        for number in range(2, 3000):
            # The gate gives nothing any more; for the door, every third second is due.
            pipeline.process([frame("door", number)])
            if len(heights) > 1:
                break
            threading.Event().wait(0.02)
    assert heights[:2] == [[90], [80]] or heights[1] == [80, 90]
