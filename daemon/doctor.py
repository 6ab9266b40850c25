"""Checks of this machine: what would keep visaged from working, and what to do about it."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from daemon import doctor_places as places
from daemon.errors import UsageError
from daemon.finding import Finding
from gallery.errors import GalleryError, GalleryMissing, KeyRefused, ModelMismatch

if TYPE_CHECKING:
    from daemon.config import Config

PACKAGES = ("visaged", "torch", "facenet-pytorch", "dlib-bin", "opencv-python", "numpy", "pyzmq", "Pillow")
SPEED_SIZE_PX = (720, 1280)
"""Height and width of the picture that the speed is measured on."""
SPEED_RUNS = 3
"""The median of so many detections is told, after one to warm up."""


def examine(config: Config) -> Iterator[Finding]:
    """Everything, one after the other, each as soon as it is known."""
    # What is in a folder that we may not use is not to be known.
    usable = places.may_use(config.state_dir)
    inside = (places.key_files, places.journal, places.ports, places.clock) if usable else ()
    near = (places.state_folder, *inside, places.systemd)
    for check in (_versions, _device, _speed, _models, _gallery, _events, _control, *near, _cameras, _fonts):
        yield from check(config)


def _versions(config: Config) -> Iterator[Finding]:
    told = [f"Python {platform.python_version()}"]
    for package in PACKAGES:
        try:
            told.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            yield Finding("versions", "broken", f"{package} is not installed", "run: uv sync")
    yield Finding("versions", "ok", ", ".join(told))


def _device(config: Config) -> Iterator[Finding]:
    from gallery.faces.device import DeviceUnavailable, describe, resolve

    try:
        used = resolve(config.daemon.device)
    except DeviceUnavailable as error:
        yield Finding("device", "broken", str(error), 'set [daemon] device = "auto"')
        return
    asked = config.daemon.device
    yield Finding(
        "device", "ok", f"{describe(used)} ({asked} was asked for)" if asked != used else describe(used)
    )


def _speed(config: Config) -> Iterator[Finding]:
    from gallery.faces.device import DeviceUnavailable, describe, resolve
    from gallery.faces.models import ModelUnusable

    devices = ["cpu"]
    try:
        if (best := resolve("auto")) != "cpu":
            devices.append(best)
    except DeviceUnavailable:
        pass
    try:
        told = [f"{describe(device)}, {_detection_speed(config, device)}" for device in devices]
    except ModelUnusable:
        # The check of the models says which, and what to do.
        return
    except ValueError as error:
        yield Finding("speed", "broken", str(error), 'set [detector] engine = "auto"')
        return
    yield Finding("speed", "ok", f"one 1280×720 frame without a face: {'; '.join(told)}")


def _detection_speed(config: Config, device: str) -> str:
    """Engine and milliseconds."""
    import statistics

    import numpy as np

    from gallery.faces.detector import MtcnnDetector

    find = config.detector
    # OpenVINO, if it was asked for, is for the CPU alone.
    engine = find.engine if device == "cpu" else "auto"
    detector = MtcnnDetector(device, find.min_face_px, find.thresholds, engine)
    noise = np.random.default_rng(0).integers(0, 256, (*SPEED_SIZE_PX, 3), np.uint8)
    times_s = []
    for _ in range(SPEED_RUNS + 1):
        started = time.perf_counter()
        detector.detect([noise])
        times_s.append(time.perf_counter() - started)
    return f"{detector.engine}: {statistics.median(times_s[1:]) * 1000:.0f} ms"


def _models(config: Config) -> Iterator[Finding]:
    from gallery.faces.models import DETECTOR, DLIB_FIVE_POINTS, DLIB_RESNET, ModelUnusable

    for file in (*DETECTOR, DLIB_RESNET, DLIB_FIVE_POINTS):
        try:
            found = file.checked()
        except ModelUnusable as error:
            yield Finding(
                "model", "broken", str(error), f"install {file.comes_with} anew: uv sync --reinstall"
            )
        else:
            yield Finding("model", "ok", f"{found.name} sha256 {file.sha256[:16]}…")


def _gallery(config: Config) -> Iterator[Finding]:
    from daemon.engine import build_engine
    from daemon.gallery_key import gallery_key
    from gallery.people import check_model
    from gallery.store import Gallery

    try:
        key = gallery_key(config)
    except UsageError as error:
        yield Finding("gallery", "broken", str(error), "see docs/privacy.md")
        return
    try:
        with Gallery.open(config.gallery_path, create=False, key=key) as gallery:
            people = gallery.people()
            references = sum(person.references for person in people)
            yield Finding(
                "gallery", "ok", f"{config.gallery_path}: {len(people)} people, {references} references"
            )
            if gallery.model is not None:
                check_model(gallery.model, build_engine(config)[0].model)
    except GalleryMissing:
        yield Finding(
            "gallery",
            "warning",
            f"{config.gallery_path}: not there yet",
            "begin with: visaged enroll NAME IMAGE",
        )
    except KeyRefused as error:
        yield Finding("gallery", "broken", str(error), "see docs/privacy.md")
    except ModelMismatch as error:
        yield Finding("gallery", "broken", str(error), "see docs/gallery.md")
    except GalleryError as error:
        helps = "restore a backup, or move the file away"
        advice = helps if places.may_use(config.gallery_path.parent) else places.USE_ANOTHER
        yield Finding("gallery", "broken", str(error), advice)
    except UsageError:
        # No nets to compare its encodings with: the checks of device and models say why.
        pass


def _events(config: Config) -> Iterator[Finding]:
    from daemon.control_client import is_running
    from daemon.endpoint import check_bind
    from daemon.keys import Keyring, listed
    from daemon.publisher import Publisher

    asked = config.events
    try:
        check_bind(asked.bind, curve=asked.curve)
        if asked.replay != "off":
            check_bind(asked.replay, key="replay", curve=asked.curve)
        if is_running(config.control_path):
            yield Finding("events", "ok", f"a daemon is running and has {asked.bind}")
            return
        if asked.curve:
            listed(config.state_dir)
        with TemporaryDirectory(prefix="visaged-") as folder:
            # To bind with; the daemon's own is the daemon's to make, as the user that it runs as.
            keyring = Keyring.load(Path(folder)) if asked.curve else None
            with Publisher(asked.bind, keyring=keyring) as publisher:
                found = publisher.bound
        yield Finding("events", "ok", f"{found} is free")
    except UsageError as error:
        yield Finding("events", "broken", str(error), "set [events] bind to a free port (docs/security.md)")


def _control(config: Config) -> Iterator[Finding]:
    from daemon.control_client import is_running
    from daemon.endpoint import check_bind
    from daemon.starting import is_starting

    try:
        check_bind(f"ipc://{config.control_path}")
        running = is_running(config.control_path)
        absent = "a daemon is starting" if is_starting(config.control_path) else "no daemon runs"
    except UsageError as error:
        yield Finding("control", "broken", str(error), "set [daemon] state_dir to a shorter path of your own")
    else:
        yield Finding("control", "ok", f"{config.control_path}: {'a daemon answers' if running else absent}")


def _cameras(config: Config) -> Iterator[Finding]:
    from daemon.camera_check import checked_source
    from daemon.devices import webcams
    from daemon.doctor_cameras import pictures

    found = webcams()
    told = ", ".join(f"{webcam.path} {webcam.name}" for webcam in found) or "no webcam"
    yield Finding("webcams", "ok", told)
    there = []
    for camera in config.camera:
        try:
            source = checked_source(camera)
        except ValueError as error:
            yield Finding("camera", "broken", f"{camera.name}: {error}", "correct its [[camera]] table")
            continue
        if source.kind == "webcam" and not found:
            yield Finding(
                "camera",
                "warning",
                f"{camera.name}: webcam {camera.source} is not there",
                "plug it in: visaged cameras",
            )
        else:
            yield Finding("camera", "ok", f"{camera.name}: {source.kind}")
            there.append(camera)
    yield from pictures(config, there)


def _fonts(config: Config) -> Iterator[Finding]:
    from daemon.fonts import NoFont, font_for

    for script, letters in (("Latin", "Ann"), ("Hangul", "김철수"), ("Han", "王芳")):
        try:
            font_for(letters, 16)
        except NoFont as error:
            yield Finding("font", "warning", f"{script}: {error}", "only pictures with names need it")
        else:
            yield Finding("font", "ok", f"{script} can be drawn")
