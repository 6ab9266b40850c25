"""Where a command's gallery is: in the file here, or with the daemon there, behind its control socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from gallery.store import Gallery

Here = TypeVar("Here")
There = TypeVar("There")


class Asked(Protocol):
    """The other end of a control socket."""

    def ask(self, operation: str, **arguments: object) -> Any:
        """The answer, as JSON has it; the errors that the daemon had are raised here."""


def end_of(desk: object, here: Callable[[Gallery], Here], there: Callable[[Asked], There]) -> Here | There:
    """What works on the gallery that `people_desk.open_desk` gave."""
    if isinstance(desk, Gallery):
        return here(desk)
    from daemon.control_client import RemoteGallery

    assert isinstance(desk, RemoteGallery)
    return there(desk)
