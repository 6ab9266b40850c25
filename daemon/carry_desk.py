"""Carrying a gallery, in the file or over the control socket, where archives come and go in pieces."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from daemon import control_messages as messages
from daemon import keeping
from daemon.control_messages import Json
from daemon.desk_ends import Asked, end_of
from daemon.errors import UsageError
from daemon.keeping import BackedUp, Places
from gallery import archive, archive_merging, backup
from gallery.archive_merging import Conflict, Imported
from gallery.errors import ArchiveRefused, GalleryError
from gallery.people import PersonName
from gallery.store import Gallery

if TYPE_CHECKING:
    from gallery.encryption import Key

logger = logging.getLogger(__name__)

PIECE_BYTES = 4 << 20
"""Of an archive, in one request or answer."""
MOST_BYTES = 4 << 30
"""Of an archive that comes over the socket."""
WAIT_S = 0.5
"""How long an answer waits for the thread; others ask the socket too."""


class Carry(Protocol):
    """What there is to carry of one gallery."""

    def export(self, target: IO[bytes], *, with_crops: bool) -> int:
        """Fills an empty file with an archive of everybody; how many people."""

    def take_in(self, source: IO[bytes], *, by_name: bool) -> Imported:
        """As archive_merging.merge."""

    def back_up(self, target: IO[bytes]) -> BackedUp:
        """As keeping.back_up."""


def carry_of(desk: object, places: Places) -> Carry:
    """Of the gallery that `open_desk` gave; places: of this configuration, used where no daemon runs."""
    return end_of(desk, lambda gallery: _Here(gallery, places), _There)


class _Here:
    def __init__(self, gallery: Gallery, places: Places, model: str | None = None) -> None:
        self._gallery, self._places, self._model = gallery, places, model

    def export(self, target: IO[bytes], *, with_crops: bool) -> int:
        return archive.write(self._gallery, target, with_crops=with_crops)

    def take_in(self, source: IO[bytes], *, by_name: bool) -> Imported:
        with archive.opened(source) as carried:
            return archive_merging.merge(self._gallery, carried, by_name=by_name, expected_model=self._model)

    def back_up(self, target: IO[bytes]) -> BackedUp:
        return keeping.back_up(self._places, target)


class _There:
    def __init__(self, daemon: Asked) -> None:
        self._ask = daemon.ask

    def export(self, target: IO[bytes], *, with_crops: bool) -> int:
        with self._job("export", with_crops=with_crops) as job:
            told = self._finished(job)
            self._fetch(job, target)
        return int(told["people"])

    def take_in(self, source: IO[bytes], *, by_name: bool) -> Imported:
        with self._job("import", by_name=by_name) as job:
            while piece := source.read(PIECE_BYTES):
                self._ask("carry_put", job=job, data=messages.from_bytes(piece))
            self._ask("carry_go", job=job)
            told = self._finished(job)
        conflicts = [
            Conflict(**{**each, "person": PersonName(**each["person"])}) for each in told["conflicts"]
        ]
        return Imported(**{**told, "conflicts": tuple(conflicts)})

    def back_up(self, target: IO[bytes]) -> BackedUp:
        with self._job("backup") as job:
            told = self._finished(job)
            self._fetch(job, target)
        return BackedUp(**told)

    @contextlib.contextmanager
    def _job(self, what: str, **options: object) -> Iterator[str]:
        job = str(self._ask("carry_begin", what=what, **options)["job"])
        try:
            yield job
        finally:
            with contextlib.suppress(GalleryError, UsageError):
                self._ask("carry_end", job=job)

    def _finished(self, job: str) -> Json:
        while True:
            told = self._ask("carry_wait", job=job)
            if told["done"]:
                return dict(told["result"])

    def _fetch(self, job: str, target: IO[bytes]) -> None:
        while piece := messages.to_bytes(self._ask("carry_get", job=job)["data"]):
            target.write(piece)


class _Job:
    """One archive under way, in a file without a name."""

    def __init__(self, file: IO[bytes], work: Callable[[IO[bytes]], Json]) -> None:
        self.id = uuid.uuid4().hex
        self.file = file
        self.thread: threading.Thread | None = None
        self._work = work
        self._result: Json | None = None
        self._error: Exception | None = None

    def start(self) -> None:
        if self.thread is None:
            self.thread = threading.Thread(target=self._run, name="carrying", daemon=True)
            self.thread.start()

    def finished(self) -> Json | None:
        """The result; None: not yet. Raises what the work raised."""
        if self.thread is not None:
            self.thread.join(WAIT_S)
        if self.thread is None or self.thread.is_alive():
            return None
        if self._error is not None:
            raise self._error
        return self._result

    def is_at_work(self) -> bool:
        return self.thread is not None and self.thread.is_alive()

    def _run(self) -> None:
        try:
            self.file.seek(0)
            self._result = self._work(self.file)
            self.file.seek(0)
        except (GalleryError, UsageError) as error:
            self._error = error
        except OSError as error:
            self._error = GalleryError(f"the archive can't be made: {error.strerror or error}")
        except BaseException as error:
            self._error = GalleryError(f"a bug of visaged: {type(error).__name__}: {error}")
            raise


class CarryDesk:
    """What the control socket answers; one archive at a time."""

    def __init__(self, places: Places, model: str, *, requires_consent: bool) -> None:
        self._places, self._model, self._requires_consent = places, model, requires_consent
        self._job: _Job | None = None

    def operations(self) -> dict[str, Callable[[Json], object]]:
        """By the names of the operations."""
        return {
            "carry_begin": self._begin,
            "carry_put": self._put,
            "carry_go": lambda request: self._named(request).start(),
            "carry_wait": self._wait,
            "carry_get": lambda request: {
                "data": messages.from_bytes(self._finished(request).file.read(PIECE_BYTES))
            },
            "carry_end": self._end,
        }

    def _begin(self, request: Json) -> object:
        if self._job is not None and self._job.is_at_work():
            raise UsageError("another archive is being made or taken in; try again when that is done")
        # What can't be begun leaves the one that waits for its pieces as it is.
        work = self._work(str(request["what"]), request)
        job = _Job(self._file(str(request["what"])), work)
        self._drop()
        self._job = job
        if request["what"] != "import":
            job.start()
        return {"job": job.id}

    def _file(self, what: str) -> IO[bytes]:
        """Without a name; of an encrypted gallery nothing goes onto the disk in clear."""
        if self._places.key is not None and what != "backup" and hasattr(os, "memfd_create"):
            return os.fdopen(os.memfd_create("archive", os.MFD_CLOEXEC), "w+b")
        return tempfile.TemporaryFile(dir=self._places.state)

    def _work(self, what: str, request: Json) -> Callable[[IO[bytes]], Json]:
        who = str(request.get("who", ""))

        def export(file: IO[bytes]) -> Json:
            with self._opened(who) as here:
                return {"people": here.export(file, with_crops=bool(request["with_crops"]))}

        def take_in(file: IO[bytes]) -> Json:
            with self._opened(who) as here:
                report = here.take_in(file, by_name=bool(request["by_name"]))
            logger.info("imported %s people and %s references", report.people_added, report.references_added)
            return asdict(report)

        def back_up(file: IO[bytes]) -> Json:
            return asdict(keeping.back_up(self._places, file))

        known = {"export": export, "import": take_in, "backup": back_up}
        if what not in known:
            raise ValueError(f"what must be one of {', '.join(known)}, not {what!a}")
        return known[what]

    @contextlib.contextmanager
    def _opened(self, who: str) -> Iterator[_Here]:
        # The thread's own connection.
        with Gallery.open(self._places.gallery, create=False, key=self._places.key) as gallery:
            gallery.who, gallery.requires_consent = who, self._requires_consent
            yield _Here(gallery, self._places, self._model)

    def _put(self, request: Json) -> object:
        job = self._named(request)
        if job.thread is not None:
            raise UsageError("this archive is complete already")
        if job.file.tell() > MOST_BYTES:
            raise ArchiveRefused(f"it is larger than {MOST_BYTES >> 30} GB")
        job.file.write(messages.to_bytes(str(request["data"])))
        return None

    def _wait(self, request: Json) -> object:
        result = self._named(request).finished()
        return {"done": result is not None, "result": result}

    def _finished(self, request: Json) -> _Job:
        job = self._named(request)
        if job.finished() is None:
            raise UsageError("this archive is not made yet")
        return job

    def _named(self, request: Json) -> _Job:
        if self._job is None or self._job.id != request["job"]:
            raise UsageError("another command took over; try again")
        return self._job

    def _end(self, request: Json) -> object:
        if not self._named(request).is_at_work():
            self._drop()
        return None

    def _drop(self) -> None:
        job, self._job = self._job, None
        if job is not None:
            # What is still to be written to a full disk is not wanted any more.
            with contextlib.suppress(OSError):
                job.file.close()


def operations(
    gallery: Gallery, state: str, journal: str, model: str, *, requires_consent: bool
) -> dict[str, Callable[[Json], object]]:
    """What the control socket answers, by the names of the operations; first what a kill left is swept."""
    folder = Path(state)
    backup.sweep(folder)
    places = places_of(gallery.path, Path(journal or folder / "journal.db"), folder, gallery.key)
    return CarryDesk(places, model, requires_consent=requires_consent).operations()


def places_of(gallery: Path, journal: Path, state: Path, key: Key | None) -> Places:
    """Where everything is; archives are made beside the gallery where there is no state folder yet."""
    return Places(gallery, journal, state if state.is_dir() else gallery.parent, key)
