"""What an audit says: findings with a code, how bad it is, and what helps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gallery.people import PersonName

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Severity = Literal["error", "warning", "notice"]
"""error: somebody will be given a wrong name; warning: recognition suffers; notice: good to know."""

Code = Literal[
    "no_face",
    "nearer_to_other",
    "same_person",
    "old_model",
    "low_quality",
    "duplicate",
    "outlier",
    "look_alikes",
    "few_references",
    "no_consent",
    "expires_soon",
]

SEVERITIES: dict[Code, Severity] = {
    "no_face": "error",
    "nearer_to_other": "error",
    "same_person": "error",
    "old_model": "warning",
    "low_quality": "warning",
    "duplicate": "warning",
    "outlier": "warning",
    "look_alikes": "warning",
    "no_consent": "warning",
    "few_references": "notice",
    "expires_soon": "notice",
}
"""In the order in which findings are told."""


@dataclass(frozen=True, slots=True)
class ReferenceName:
    """A reference, as findings name it."""

    id: str
    """UUID."""
    image: str
    """The image's base name."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be."""

    code: Code
    """For programs; docs/gallery.md has them all."""
    severity: Severity
    """How bad it is."""
    people: tuple[PersonName, ...]
    """Whom it is about; first whose reference it is, then who else has to do with it."""
    references: tuple[ReferenceName, ...]
    """Those that are wrong come first; empty where a person as a whole is meant."""
    distance: float | None
    """Euclidean, the one that the explanation speaks of; None: it speaks of none."""
    explanation: str
    """One line for a person."""
    remedy: str
    """What helps, one line."""
    set_aside: tuple[str, ...]
    """Ids of the references that --fix sets aside; empty: somebody has to decide."""


@dataclass(frozen=True, slots=True)
class AuditedReference:
    """What an audit looks at of a reference, besides its encoding."""

    id: str
    """UUID."""
    person: int
    """Whose: a place in `Material.people`."""
    image: str
    """The image's base name."""
    quality: float
    """0 to 1."""
    set_aside: str | None
    """As Reference.set_aside."""


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Everything that an audit looks at, of one moment."""

    model: str
    """The gallery's; '': nobody is enrolled."""
    people: tuple[PersonName, ...]
    """Everybody, in order of enrolment."""
    references: tuple[AuditedReference, ...]
    """Those that have an encoding of this model, set aside or not, in order of enrolment."""
    encodings: NDArray[np.float32]
    """float32[references, d]."""
    old: tuple[AuditedReference, ...]
    """Those that have none, only of another model."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found."""

    model: str
    """Of the encodings."""
    people: int
    """How many there are."""
    references: int
    """How many are in use."""
    set_aside: int
    """How many are not."""
    measured: bool
    """Whether there are limits for this encoder; if not, distances say nothing and were not looked at."""
    findings: tuple[Finding, ...]
    """The worst first."""
