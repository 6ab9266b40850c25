"""Builds the detector and the encoder that the configuration asks for."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from daemon.errors import UsageError
from daemon.notify import start_extended

if TYPE_CHECKING:
    from daemon.config import Config
    from gallery.faces.detector import MtcnnDetector
    from gallery.faces.engine import FaceEngine

logger = logging.getLogger(__name__)


def build_engine(config: Config) -> tuple[FaceEngine, str]:
    """Loads the nets onto the device, which takes seconds; also says in words which device that is.

    Raises UsageError where the device is not usable or a model's file is missing or damaged.
    """
    from gallery.faces.threads import configure

    # Before torch, OpenCV and numpy load: how their threads wait is read once.
    configure(config.daemon.threads)
    from gallery.faces.device import describe, resolve
    from gallery.faces.encoder import build_encoder
    from gallery.faces.engine import FaceEngine
    from gallery.faces.machine_code.loading import give_up, is_compiling

    asked = config.encoder
    weights = None if asked.weights is None else str(asked.weights.expanduser())
    try:
        device = resolve(config.daemon.device)
        # Side by side: the first start of all compiles for each of them, in a process of its own.
        with (
            start_extended(is_compiling, "compiling the nets for this processor, this once"),
            ThreadPoolExecutor(2, "loader") as loaders,
        ):
            try:
                finding = loaders.submit(_detector, config, device)
                encoding = loaders.submit(
                    build_encoder, asked.name, device, asked.alignment, asked.engine, weights, asked.mirror
                )
                detector, encoder = finding.result(), encoding.result()
            except (SystemExit, KeyboardInterrupt):
                give_up()
                raise
    except ValueError as error:
        # Each refusal of theirs is one: a device or model that can't be used, names that don't fit.
        raise UsageError(str(error)) from None
    described = describe(device)
    logger.info(
        "faces are found by %s and encoded by %s (%s), on %s",
        detector.engine,
        encoder.name,
        encoder.engine,
        described,
    )
    return FaceEngine(detector, encoder), described


def build_detector(config: Config) -> tuple[MtcnnDetector, str]:
    """The detector alone, for who wants no encodings; else as build_engine."""
    from gallery.faces.threads import configure

    configure(config.daemon.threads)
    from gallery.faces.device import describe, resolve

    try:
        device = resolve(config.daemon.device)
        return _detector(config, device), describe(device)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _detector(config: Config, device: str) -> MtcnnDetector:
    from gallery.faces.detector import MtcnnDetector

    find = config.detector
    return MtcnnDetector(device, find.min_face_px, find.thresholds, find.engine)
