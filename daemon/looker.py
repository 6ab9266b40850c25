"""Searches whole frames for faces in a thread of its own, so that live cameras don't wait for it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from queue import SimpleQueue

from daemon.frame import Frame
from gallery.faces.types import BgrImage, Detector, Faces

logger = logging.getLogger(__name__)

CLOSE_S = 1.0
"""How long a search under way may last at the end; a detector that hangs is left alone."""

Stage = Callable[[str], AbstractContextManager[object]]
"""Measures what is done within the block, under a name; nullcontext: nothing is measured."""


class Looker:
    """One search at a time; whoever asks meanwhile is told to ask again."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self.stage: Stage = nullcontext
        """Measures a search, in the thread that does it."""
        self._asked: SimpleQueue[tuple[Future[list[Faces]], list[BgrImage]] | None] = SimpleQueue()
        # No pool's: the end of the process would wait for that.
        self._thread = threading.Thread(target=self._work, name="looker", daemon=True)
        self._search: Future[list[Faces]] | None = None
        self._cameras: tuple[str, ...] = ()
        self._found: dict[str, Faces] = {}
        self._begun = 0
        self.took: tuple[int, float] = (0, 0.0)
        """Of the search that ended last: how many frames it was of, and its seconds."""

    @property
    def idle(self) -> bool:
        """Whether a search may be begun."""
        return self._search is None

    @property
    def under_way(self) -> int | None:
        """The number of the search that lasts; None: none does."""
        return None if self._search is None or self._search.done() else self._begun

    def search(self, frames: Sequence[Frame]) -> None:
        """Begins to search these frames, one a camera."""
        assert self._search is None
        self._begun += 1
        self._cameras = tuple(frame.camera for frame in frames)
        self._search = Future()
        self._asked.put((self._search, [frame.bgr for frame in frames]))
        if self._begun == 1:
            self._thread.start()

    def take(self, camera: str) -> Faces | None:
        """What was found on this camera's frame, once; None: nothing new. Raises what the search raised."""
        if self._search is not None and self._search.done():
            found, self._search = self._search.result(), None
            self._found.update(zip(self._cameras, found, strict=True))
        return self._found.pop(camera, None)

    def forget(self, camera: str) -> None:
        """Nobody will ask for this camera any more."""
        self._found.pop(camera, None)

    def _work(self) -> None:
        while (asked := self._asked.get()) is not None:
            search, images = asked
            try:
                search.set_result(self._detect(images))
            except BaseException as error:
                search.set_exception(error)

    def _detect(self, images: list[BgrImage]) -> list[Faces]:
        began_s = time.monotonic()
        with self.stage("detect"):
            found = self._detector.detect(images)
        self.took = (len(images), time.monotonic() - began_s)
        return found

    def close(self) -> None:
        """Waits for a search under way, but not for one that hangs."""
        if not self._begun:
            return
        self._asked.put(None)
        self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            logger.error("the detector does not answer; it is left as it is")
