"""`visaged run`: the daemon in the foreground."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from daemon.cli.common import ConfigOption, DeviceOption, ThresholdOption, configured, read_config
from daemon.errors import UsageError

if TYPE_CHECKING:
    from daemon.config import Config

logger = logging.getLogger(__name__)

LAST_RESORT_S = 4.5
"""So long after SIGTERM or SIGINT it is over, whatever hangs."""


def run(
    source: Annotated[
        str | None,
        typer.Option("--source", metavar="URI", help="Watch this instead of the configured cameras."),
    ] = None,
    camera: Annotated[
        str | None,
        typer.Option(
            "--camera", metavar="NAME", help="The name of --source in topics.", show_default="camera"
        ),
    ] = None,
    await_subscribers: Annotated[
        int, typer.Option("--await-subscribers", metavar="N", min=0, help="Start cameras when N have come.")
    ] = 0,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Play a file at its own rate, like a live camera.")
    ] = False,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Bind where others reach it, without encryption.")
    ] = False,
    threshold: ThresholdOption = None,
    device: DeviceOption = None,
    config: ConfigOption = None,
) -> None:
    """Watches the cameras and publishes events until a signal, or until every file has ended.

    --source is a webcam's index, /dev/video0, rtsp://…, http://…, a video file or a folder of images.

    Example: visaged run --source clip.mp4 --camera door --await-subscribers 1
    """
    settings = configured(config, device=device, threshold=threshold, chatty=True)
    signals = StopSignals()
    end_for_good()
    settings = _with_source(settings, source, camera, realtime=realtime)

    def load() -> Config:
        return _with_source(read_config(config, device, threshold), source, camera, realtime=realtime)

    try:
        watch_cameras(settings, signals, await_subscribers, insecure=insecure, load=load)
    except SystemExit:
        # A signal while the nets were loaded.
        if not signals.stop.is_set():
            raise
    _leave()


def _leave() -> NoReturn:
    """Ends the process in order, but for the interpreter's own taking down of what it has loaded.

    With nets and a compiler in memory that takes two to ten seconds on a busy machine, and whoever stops a
    daemon waits for it. Everything of ours is closed by now.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(0)


def end_for_good() -> None:
    """Has the process end soon after a signal that stops it, also where its main thread hangs.

    Python's handlers run in the main thread, which a net, a driver or a disk may hold up for ever.
    """
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    threading.Thread(target=_await_the_end, args=(heard,), name="last resort", daemon=True).start()


def _await_the_end(heard: int) -> NoReturn:
    while not set(os.read(heard, 64)) & {signal.SIGTERM, signal.SIGINT}:
        pass
    time.sleep(LAST_RESORT_S)
    logger.error("it did not end in order within %g s of the signal: something hangs", LAST_RESORT_S)
    os._exit(1)


class StopSignals:
    """The first SIGTERM or SIGINT stops the daemon; a second one while it stops changes nothing.

    SIGHUP asks it to read its configuration again, from the moment on when it watches its cameras; when the
    terminal that it was started in is closed, it stops it.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.reload = threading.Event()
        self._loading = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._heed)
        # Not in the background, nor under nohup: from there it is to outlive the terminal.
        self._for_terminal = (
            signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN and _foreground_group() == os.getpgrp()
        )
        signal.signal(signal.SIGHUP, self._reload_or_heed)

    @contextmanager
    def ending_at_once(self) -> Iterator[None]:
        """While this lasts nothing is open that needs an orderly end, so a signal ends the process."""
        self._loading = True
        try:
            if self.stop.is_set():
                raise SystemExit(0)
            yield
        finally:
            self._loading = False

    def _reload_or_heed(self, number: int, frame: FrameType | None) -> None:
        if self._for_terminal and _foreground_group() is None:
            self._heed(number, frame)
        else:
            self.reload.set()

    def _heed(self, number: int, frame: FrameType | None) -> None:
        first = not self.stop.is_set()
        self.stop.set()
        if self._loading and first:
            # What is no Exception isn't swallowed by a library that tries out an import.
            raise SystemExit(0)


def _foreground_group() -> int | None:
    """The processes that the terminal listens to; None: there is no terminal, or it is closed."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY)
    except OSError:
        return None
    try:
        return os.tcgetpgrp(terminal)
    except OSError:
        return None
    finally:
        os.close(terminal)


def watch_cameras(
    config: Config,
    signals: StopSignals,
    await_subscribers: int,
    *,
    insecure: bool,
    load: Callable[[], Config],
) -> None:
    """What can be refused is tried before anything is made, and the slow loading comes before it as well.

    load: reads the configuration again.
    """
    from daemon.gallery_key import gallery_key
    from daemon.starting import Starting
    from gallery.reencoding import switch
    from gallery.store import Gallery

    _refuse_bad_places(config, insecure=insecure)
    with Starting(config.control_path) as starting:
        with signals.ending_at_once():
            from daemon.colour_test import check_colours
            from daemon.engine import build_engine
            from daemon.reload import Reload
            from daemon.service import Service

            engine, device = build_engine(config)
            check_colours(engine.detector, config.detector.min_face_px)
        with Gallery.open(config.gallery_path, key=gallery_key(config)) as gallery:
            # Another encoder was set, and all is encoded by it already: from now on it is the gallery's.
            switch(gallery, engine.model)
            service = Service(config, engine, gallery, signals.stop, Reload(load, signals.reload))
            service.run(device, await_subscribers, insecure=insecure, answers=starting.end)


def _refuse_bad_places(config: Config, *, insecure: bool) -> None:
    """Sockets, cameras and a gallery that can't be used; nothing is made."""
    from daemon.camera_check import checked_source
    from daemon.control_client import is_running
    from daemon.endpoint import check_bind, check_free
    from daemon.gallery_key import gallery_key
    from daemon.keys import listed
    from gallery.errors import GalleryMissing
    from gallery.store import Gallery

    curve = config.events.curve
    endpoints = {"bind": check_bind(config.events.bind, insecure, curve=curve)}
    if config.events.replay != "off":
        endpoints["replay"] = check_bind(config.events.replay, insecure, key="replay", curve=curve)
    check_bind(f"ipc://{config.control_path}")
    if is_running(config.control_path):
        raise UsageError(f"{config.control_path} is taken: a daemon runs there already")
    if curve:
        # Asked for what it refuses.
        listed(config.state_dir)
    for key, endpoint in endpoints.items():
        check_free(endpoint, key)
    for each in config.camera:
        try:
            checked_source(each)
        except ValueError as error:
            raise UsageError(f"camera {each.name}: {error}") from None
    # Made later, where there is none; a file that is none is told at once.
    with suppress(GalleryMissing):
        Gallery.open(config.gallery_path, create=False, key=gallery_key(config)).close()


def _with_source(config: Config, source: str | None, name: str | None, *, realtime: bool) -> Config:
    from daemon.config_file import with_source

    if source is not None:
        return with_source(config, source, "camera" if name is None else name, realtime=realtime)
    if name is not None:
        raise UsageError("--camera names what --source gives, which is missing: give both")
    if realtime:
        return replace(config, camera=tuple(replace(each, realtime=True) for each in config.camera))
    return config


def add_to(app: typer.Typer) -> None:
    """Registers the command."""
    app.command()(run)
