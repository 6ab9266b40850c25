"""The other end of the control socket's life desk: sittings and strangers of a running daemon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from daemon.control_messages import Json
from daemon.desk_ends import Asked
from gallery.people import PersonName

if TYPE_CHECKING:
    from daemon.sitting import Progress
    from gallery.enrolment import EnrolmentReport


@dataclass(frozen=True, slots=True)
class Naming:
    """What came of naming a stranger."""

    report: EnrolmentReport
    """Which samples are references now, and which are not."""
    events: int
    """How many events of the journal are referred to."""
    outdated: bool
    """Whether thresholds were calibrated without these references."""


class Life:
    """Sittings and strangers of a running daemon."""

    def __init__(self, remote: Asked) -> None:
        self._ask = remote.ask

    def begin(self, camera: str, name: str, terms: Json | None = None) -> str:
        """Somebody who gets this name sits before this camera; the sitting's id.

        UsageError, NameRefused; TermsRefused where somebody new needs consent noted.
        """
        return str(self._ask("sit", camera=camera, name=name, terms=terms))

    def look(self, sitting: str) -> Progress:
        """How far it is; to be asked a few times a second. UsageError where the camera went away."""
        from daemon.sitting import Progress

        return Progress(**self._ask("sitting", sitting=sitting))

    def enroll(self, sitting: str, name: str, terms: Json | None = None) -> EnrolmentReport:
        """Checks what was taken against the gallery and enrols it, all at once; the sitting is over.

        It is not where this raises: what was taken can then be tried again, for as long as it is asked for.
        """
        return _report(self._ask("enroll_sitting", sitting=sitting, name=name, terms=terms))

    def leave(self, sitting: str) -> None:
        """Drops what was taken."""
        self._ask("leave_sitting", sitting=sitting)

    def strangers(self) -> list[dict[str, Any]]:
        """Everybody who is remembered, as `told`; who was seen last at the end."""
        return list(self._ask("strangers"))

    def forget(self, stranger: str | None) -> list[str]:
        """One, by number or id, or everybody; their ids."""
        return list(self._ask("forget_strangers", stranger=stranger))

    def name(self, stranger: str, name: str, *, strict: bool, terms: Json | None = None) -> Naming:
        """Enrols what is remembered of a stranger."""
        done = self._ask("name_stranger", stranger=stranger, name=name, strict=strict, terms=terms)
        return Naming(_report(done), int(done["events"]), bool(done["outdated"]))


def _report(message: Json) -> EnrolmentReport:
    from gallery.enrolment import Enrolled, EnrolmentReport
    from gallery.enrolment_plan import Refused

    return EnrolmentReport(
        tuple(Enrolled(PersonName(**each["person"]), each["image"]) for each in message["enrolled"]),
        tuple(Refused(**each) for each in message["refused"]),
    )
