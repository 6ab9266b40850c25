"""The gallery that a command works on: the running daemon's if one runs, else the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from daemon.errors import UsageError
from daemon.user import user_name

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from daemon.config import Config
    from gallery.consent import Changes
    from gallery.decision import Decision, Rules
    from gallery.matcher import Index
    from gallery.people import NewReference, Person, PersonName, PersonThreshold, Reference


class PeopleDesk(Protocol):
    """What commands ask of a gallery, near or far."""

    path: Path
    requires_consent: bool

    @property
    def model(self) -> str | None: ...
    def people(self) -> list[Person]: ...
    def person(self, name: str) -> Person: ...
    def references(self, name: str) -> list[Reference]: ...
    def owner(self, source_digest: str) -> PersonName | None: ...
    def add(
        self,
        name: str,
        references: Sequence[NewReference],
        enrolled_unix_ns: int,
        terms: Changes | None = None,
    ) -> Person: ...
    def rename(self, old: str, new: str) -> Person: ...
    def not_references(self, name: str) -> list[Reference]: ...
    def has_image(self, name: str, source_digest: str) -> bool: ...
    def add_not(self, name: str, references: Sequence[NewReference], enrolled_unix_ns: int) -> Person: ...
    def thresholds(self) -> list[PersonThreshold]: ...
    def set_thresholds(
        self, distances: Mapping[str, float], *, model: str, fmr: float, calibrated_unix_ns: int
    ) -> None: ...
    def index(self, model: str) -> Index: ...
    def decide(self, encodings: NDArray[np.float32], rules: Rules) -> list[Decision]: ...


@contextmanager
def open_desk(config: Config, *, create: bool = False) -> Iterator[PeopleDesk]:
    """The gallery of the daemon that runs with this configuration, else its file.

    Raises UsageError where the running daemon uses another gallery, so that nobody is enrolled in vain.
    """
    from daemon.control_client import RemoteGallery, is_running
    from daemon.gallery_key import gallery_key
    from daemon.starting import check_service
    from gallery.store import Gallery

    if not is_running(config.reached_path):
        check_service(config)
        with Gallery.open(config.gallery_path, create, gallery_key(config)) as gallery:
            gallery.who = user_name()
            gallery.requires_consent = config.gallery.require_consent
            yield gallery
        return
    with RemoteGallery(config.reached_path) as remote:
        # The service's, which nobody named, has its gallery where the service says.
        is_meant = config.reached_path == config.control_path or config.gallery.path is not None
        if is_meant and remote.path.resolve() != config.gallery_path.resolve():
            raise UsageError(
                f"the running daemon uses the gallery {remote.path}, not {config.gallery_path}: "
                "set [gallery] path to the same, or stop the daemon"
            )
        yield remote
