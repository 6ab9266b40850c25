"""Forgetting on the command line's side and the control socket's: in the files, or by the running daemon."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Generator
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Protocol, TypeVar

from daemon.control_messages import Json
from daemon.desk_ends import Asked, end_of
from daemon.errors import UsageError
from daemon.forgetting import Left, Places, Receipt, complete
from daemon.journal_tables import FAILURES
from gallery import forgetting as noted
from gallery.errors import GalleryError
from gallery.store import Gallery

if TYPE_CHECKING:
    from daemon.config import Config
    from daemon.forgetter import Forgetter
    from daemon.journal import Journal

logger = logging.getLogger(__name__)

POLL_S = 0.1
Result = TypeVar("Result")


class Forget(Protocol):
    """What the command needs."""

    def find(self, name: str | None, person_id: str | None) -> str: ...
    def begun(self) -> list[str]: ...
    def forget(self, person_id: str, tell: Callable[[str], None]) -> Receipt: ...


def forgetting_of(desk: object, config: Config) -> Forget:
    """By the daemon that `open_desk` found, or in the files."""
    return end_of(desk, lambda gallery: _Here(gallery, places_of(config)), _There)


def places_of(config: Config) -> Places:
    """Where something may be kept."""
    cameras = tuple(camera.name for camera in config.camera)
    return Places(config.state_dir, config.journal_path, cameras)


def forget_here(
    gallery: Gallery, places: Places, person_id: str, tell: Callable[[str], None] = lambda step: None
) -> Receipt:
    """Forgets somebody where no daemon runs; UsageError where not all could be done yet."""
    from daemon.journal import Journal

    forgetting = next((each for each in noted.begun(gallery) if each.person_id == person_id), None)
    if forgetting is None:
        forgetting = noted.begin(gallery, person_id, "asked", time.time_ns())
    with ExitStack() as opened:
        journal: Journal | None = None
        if places.journal.exists():
            # Held for as long as it takes: no daemon begins to write to it meanwhile.
            journal = opened.enter_context(Journal.open(places.journal, uuid.uuid4().hex, key=gallery.key))

        def work(chore: Callable[[Journal], Generator[None, None, Result]]) -> Result:
            assert journal is not None
            return _done(chore(journal))

        try:
            return complete(gallery, forgetting, places, work, time.time_ns, tell)
        except (GalleryError, *FAILURES) as error:
            raise UsageError(f"not all could be forgotten yet: {error}; visaged forget goes on") from None


class _Here:
    def __init__(self, gallery: Gallery, places: Places) -> None:
        self._gallery, self._places = gallery, places

    def find(self, name: str | None, person_id: str | None) -> str:
        return noted.find(self._gallery, name, person_id)

    def begun(self) -> list[str]:
        return [each.person_id for each in noted.begun(self._gallery)]

    def forget(self, person_id: str, tell: Callable[[str], None]) -> Receipt:
        return forget_here(self._gallery, self._places, person_id, tell)


class _There:
    def __init__(self, daemon: Asked) -> None:
        self._ask = daemon.ask

    def find(self, name: str | None, person_id: str | None) -> str:
        return str(self._ask("find_person", name=name, id=person_id)["id"])

    def begun(self) -> list[str]:
        return [str(each) for each in self._ask("forgetting")["begun"]]

    def forget(self, person_id: str, tell: Callable[[str], None]) -> Receipt:
        self._ask("forget", id=person_id)
        while True:
            told = self._ask("forgetting", id=person_id)
            tell(told["step"])
            if told["failed"] is not None:
                raise UsageError(f"not all could be forgotten yet: {told['failed']}; the daemon tries again")
            if told["receipt"] is not None:
                left = tuple(Left(**each) for each in told["receipt"].pop("left"))
                return Receipt(left=left, **told["receipt"])
            time.sleep(POLL_S)


def operations(gallery: Gallery, forgetter: Forgetter | None) -> dict[str, Callable[[Json], object]]:
    """What the control socket answers, by the names of the operations; None: only the gallery is there."""

    def find(request: Json) -> str:
        name, person_id = request.get("name"), request.get("id")
        if (name is None) == (person_id is None):
            raise GalleryError("either a name or an id")
        return noted.find(gallery, name, person_id)

    def forget(request: Json) -> object:
        person_id = find(request)
        if forgetter is not None:
            forgetter.expect(person_id)
        noted.begin(gallery, person_id, "asked", time.time_ns())
        logger.info("person %s is to be forgotten", person_id)
        if forgetter is not None:
            forgetter.wake()
        return {"id": person_id}

    def progress(request: Json) -> object:
        if "id" not in request:
            return {"begun": [each.person_id for each in noted.begun(gallery)]}
        if forgetter is None:
            return {"step": "waiting", "receipt": None, "failed": None}
        return asdict(forgetter.progress(str(request["id"])))

    return {
        "find_person": lambda request: {"id": find(request)},
        "forget": forget,
        "forgetting": progress,
    }


def _done(chore: Generator[None, None, Result]) -> Result:
    while True:
        try:
            next(chore)
        except StopIteration as last:
            result: Result = last.value
            return result
