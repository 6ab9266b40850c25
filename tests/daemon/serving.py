"""The daemon's loop in this process with nets that find nothing; all else is real: cameras, sockets, disk."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daemon.config_file import load
from daemon.reload import Reload
from daemon.service import Service
from gallery.faces.engine import FaceEngine
from gallery.faces.types import BgrImage, Encodings, Faces
from gallery.store import Gallery

ENDING_S = 30.0
PICTURES = 60


class NoNets:
    """Detector and encoder; a detector that is not `free` hangs."""

    model = "none-0"
    threshold = 0.6

    def __init__(self) -> None:
        self.free = threading.Event()
        self.free.set()

    def detect(self, images: Sequence[BgrImage]) -> list[Faces]:
        """No face, once it is free."""
        self.free.wait()
        return [Faces.none() for _ in images]

    def refine(self, images: Sequence[BgrImage], boxes: Sequence[NDArray[np.float32]]) -> list[Faces]:
        """No face."""
        return [Faces.none() for _ in images]

    def encode(self, bgr: BgrImage, faces: Faces) -> Encodings:
        """Of no face."""
        return np.zeros((len(faces), 128), np.float32)

    def encode_many(self, images: Sequence[BgrImage], faces: Sequence[Faces]) -> list[Encodings]:
        """Of no faces."""
        return [np.zeros((len(each), 128), np.float32) for each in faces]


def write_pictures(folder: Path, count: int = PICTURES) -> None:
    """Noise, at 25 a second."""
    import cv2

    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:04}.png"), random.integers(0, 256, (48, 64, 3), np.uint8))


@contextmanager
def serving(file: Path, nets: NoNets) -> Iterator[Service]:
    """The daemon of this configuration; ended in order at the end of the block."""
    config, stop = load(file), threading.Event()
    faults: list[BaseException] = []

    def work() -> None:
        try:
            with Gallery.open(config.gallery_path) as gallery:
                reload = Reload(lambda: load(file))
                service = Service(config, FaceEngine(nets, nets), gallery, stop, reload)
                made.append(service)
                ready.set()
                service.run("no device", 0, insecure=False)
        except BaseException as fault:
            faults.append(fault)
            ready.set()

    made: list[Service] = []
    ready = threading.Event()
    # Capture processes end with the thread that started them.
    thread = threading.Thread(target=work, name="serving")
    thread.start()
    try:
        assert ready.wait(ENDING_S)
        assert not faults, faults
        yield made[0]
    finally:
        stop.set()
        nets.free.set()
        thread.join(ENDING_S)
    assert not thread.is_alive()
    assert not faults, faults
