"""Frames to what is seen and decided on them: the nets' work, batched over all cameras."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from daemon.config import TrackerConfig
from daemon.frame import Frame
from daemon.looker import Looker, Stage
from daemon.shares import Room, Shares
from daemon.track import Plan
from daemon.view import SeenFace, View
from daemon.visits import Change
from gallery.decision import Rules
from gallery.faces.engine import FaceEngine
from gallery.faces.quality import assess
from gallery.faces.types import BgrImage, Encodings, Faces
from gallery.matcher import Index

SEARCH_S = 0.2
"""A search of live cameras' frames is of so many that it lasts about so long: a face is looked for where it
was when the search began."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What one frame brought."""

    frame: Frame
    """The frame."""
    faces: tuple[SeenFace, ...]
    """Everybody who is seen on it."""
    changes: tuple[Change, ...]
    """What is to be told, in order."""
    at_end: bool = False
    """The camera ended after this frame: these are the changes that come of that."""


class Pipeline:
    """Computes and returns; sends nothing, and takes its time from the frames."""

    def __init__(
        self, engine: FaceEngine, index: Index, rules: Rules, views: Mapping[str, View], live: frozenset[str]
    ) -> None:
        """views: by the camera's name. live: cameras whose frames don't wait for a search of the whole."""
        self.index = index
        """Who is enrolled; replaced when the gallery changes."""
        self._engine = engine
        self._rules = rules
        self._views = dict(views)
        self._live = set(live)
        self._looker = Looker(engine.detector)
        self._due: dict[str, Frame] = {}
        """By live camera that is to be searched, its newest frame."""
        self._shares = Shares({})
        self._room = Room(SEARCH_S)
        self._stage: Stage = nullcontext

    def measure(self, stage: Stage) -> None:
        """Has detect, refine, encode and decide measured, each for one batch; detect in its thread too."""
        self._stage = self._looker.stage = stage

    def add(self, camera: str, *, live: bool) -> None:
        """One camera more, with the settings of those there are."""
        self._views[camera] = next(iter(self._views.values())).twin()
        if live:
            self._live.add(camera)

    def prioritize(self, priorities: Mapping[str, float]) -> None:
        """By camera: its share of the searches where not all can be done when they are due."""
        self._shares.adjust(priorities)

    def remove(self, camera: str) -> None:
        """One less, after its `end`."""
        del self._views[camera]
        self._due.pop(camera, None)
        self._live.discard(camera)

    def adjust(self, rules: Rules, settings: TrackerConfig, forget_after_s: float) -> None:
        """Goes on with these, for all cameras."""
        self._rules = rules
        for view in self._views.values():
            view.adjust(settings, rules.threshold, forget_after_s)

    def process(self, frames: Sequence[Frame]) -> list[Outcome]:
        """What happened on these frames, one a camera, in the order given."""
        self._find(frames)
        self._sample(frames)
        with self._stage("decide"):
            return [self._decide(frame) for frame in frames]

    def end(self, camera: str) -> list[Change]:
        """The camera ended or was lost: so was everything on it."""
        self._looker.forget(camera)
        self._due.pop(camera, None)
        return self._views[camera].end()

    def forget(self, people: Container[str]) -> dict[str, list[Change]]:
        """What changes, by camera, when nobody is to be called like these people any more, by their ids."""
        return {camera: view.forget(people) for camera, view in self._views.items()}

    @property
    def under_way(self) -> int | None:
        """As Looker.under_way: one number for as long as one search of whole frames lasts."""
        return self._looker.under_way

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._looker.close()

    def _find(self, frames: Sequence[Frame]) -> None:
        """Gives each view the faces of its frame: searched for, brought forward, or where they were."""
        plans = {frame.camera: self._views[frame.camera].plan(frame) for frame in frames}
        due = [frame for frame in frames if plans[frame.camera].full]
        at_once = [frame for frame in due if frame.camera not in self._live]
        for frame, faces in zip(at_once, self._search(at_once), strict=True):
            self._views[frame.camera].detect(faces, self._encoder_of(frame, faces), frame)
        rest = [frame for frame in frames if frame not in at_once]
        self._bring_forward(rest, plans)
        for frame in rest:
            self._due.pop(frame.camera, None)
            if plans[frame.camera].full:
                self._due[frame.camera] = frame
        self._search_beside()

    def _search_beside(self) -> None:
        """Begins a search of live cameras' newest frames, also of those that none came from in this round."""
        if not self._due or not self._looker.idle:
            return
        self._room.took(*self._looker.took)
        now_s = time.monotonic()
        first = self._shares.first(self._due, self._room.frames, now_s)
        for camera in first:
            self._shares.served(camera, now_s)
        frames = [self._due.pop(camera) for camera in first]
        self._begin_looks(frames)
        self._looker.search(frames)

    def _search(self, frames: Sequence[Frame]) -> list[Faces]:
        if not frames:
            return []
        self._begin_looks(frames)
        with self._stage("detect"):
            return self._engine.detector.detect([frame.bgr for frame in frames])

    def _begin_looks(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            self._views[frame.camera].looks(frame)

    def _bring_forward(self, frames: Sequence[Frame], plans: Mapping[str, Plan]) -> None:
        """Looks for tracks, and for faces that a search found on an older frame, where they were."""
        arrived = {frame.camera: self._looker.take(frame.camera) for frame in frames}
        boxes = [_joined(plans[frame.camera].boxes, arrived[frame.camera]) for frame in frames]
        with self._stage("refine"):
            refined = self._engine.detector.refine([frame.bgr for frame in frames], boxes)
        for frame, faces in zip(frames, refined, strict=True):
            view, plan = self._views[frame.camera], plans[frame.camera]
            rows = np.arange(len(faces))
            view.carry(plan, faces.take(rows < len(plan.carried)), frame)
            if arrived[frame.camera] is not None:
                found = faces.take((rows >= len(plan.carried)) & view.is_seen(faces.scores))
                view.detect(found, self._encoder_of(frame, found), frame)

    def _encoder_of(self, frame: Frame, faces: Faces) -> Callable[[NDArray[np.intp]], Encodings]:
        return lambda rows: self._engine.encoder.encode(frame.bgr, faces.take(rows))

    def _sample(self, frames: Sequence[Frame]) -> None:
        """Encodes what the views want to know, all in one batch."""
        images: list[BgrImage] = []
        wanted: list[Faces] = []
        rows = []
        for frame in frames:
            view = self._views[frame.camera]
            faces = view.faces
            qualities = view.known_qualities
            rows.append(view.judge(assess(frame.bgr, faces) if qualities is None else qualities, frame))
            images.append(frame.bgr)
            wanted.append(faces.take(rows[-1]))
        with self._stage("encode"):
            encodings = self._engine.encoder.encode_many(images, wanted)
        for frame, chosen, some in zip(frames, rows, encodings, strict=True):
            self._views[frame.camera].learn(chosen, some, frame)

    def _decide(self, frame: Frame) -> Outcome:
        faces, changes = self._views[frame.camera].decide(self.index, self._rules, frame)
        return Outcome(frame, tuple(faces), tuple(changes))


def _joined(boxes: NDArray[np.float32], arrived: Faces | None) -> NDArray[np.float32]:
    return boxes if arrived is None else np.concatenate([boxes, arrived.boxes])
