"""Who is in a gallery and by what, and what whoever enrols asks of the place that keeps them."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gallery.errors import ModelMismatch, NameRefused

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LONGEST_NAME = 255
"""Characters; a folder's name is never longer, so every folder can be a person."""


@dataclass(frozen=True, slots=True)
class PersonName:
    """One person, as events and tables name them."""

    id: str
    """UUID; stays the same when the name changes."""
    name: str
    """Text to show, in any script, composed (NFC); unique in its gallery and never a path."""


@dataclass(frozen=True, slots=True)
class Person:
    """One person of the gallery."""

    id: str
    """UUID; stays the same when the name changes."""
    name: str
    """Text to show, in any script, composed (NFC); unique in its gallery and never a path."""
    references: int
    """How many references they are matched with; those that were set aside don't count."""
    first_enrolled_unix_ns: int
    """When they came in."""
    last_enrolled_unix_ns: int
    """When their latest reference came in."""


@dataclass(frozen=True, slots=True, eq=False)
class NewReference:
    """One face that is about to be a person's reference."""

    encoding: NDArray[np.float32]
    """float32[d]."""
    model: str
    """The model that made the encoding."""
    source_digest: str
    """SHA-256 of the image's bytes, in hexadecimal."""
    source_name: str
    """The image's base name, to show."""
    quality: float
    """0 to 1, how fit the face is to decide by."""
    crop: bytes | None = None
    """A picture of it, as gallery.face_crop cuts one; None: none is kept."""


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """One face that a person is known by."""

    id: str
    """UUID."""
    encoding: NDArray[np.float32]
    """float32[d]."""
    model: str
    """The model that made the encoding."""
    source_digest: str
    """SHA-256 of the image's bytes, in hexadecimal."""
    source_name: str
    """The image's base name, to show."""
    quality: float
    """0 to 1, how fit the face is to decide by."""
    enrolled_unix_ns: int
    """When it came in."""
    set_aside: str | None = None
    """The code of the finding for which it is not matched with for the time being; None: it is."""


@dataclass(frozen=True, slots=True)
class PersonThreshold:
    """How near a face must be to be this person, as a calibration found."""

    person: PersonName
    """Whose."""
    distance: float
    """Euclidean, inclusive."""
    model: str
    """Of the encodings that it was calibrated for."""
    fmr: float
    """The probability that was asked for: that a stranger is given anybody's name."""
    people: int
    """How many people were enrolled then."""
    calibrated_unix_ns: int
    """When."""


class PeopleStore(Protocol):
    """Where people are kept: the gallery's file, or a running daemon that has it open."""

    @property
    def model(self) -> str | None:
        """The model of the encodings kept; None: nothing is kept yet, any model will do."""

    def owner(self, source_digest: str) -> PersonName | None:
        """Whose reference the image with this digest is; None: not enrolled."""

    def add(self, name: str, references: Sequence[NewReference], enrolled_unix_ns: int) -> Person:
        """Enrols all of these or none; a name that is there gets more references."""


class NotStore(Protocol):
    """Where it is kept who somebody is not."""

    @property
    def model(self) -> str | None:
        """The model of the encodings kept."""

    def has_image(self, name: str, source_digest: str) -> bool:
        """Whether the image with this digest is a reference of this person, or of what they are not."""

    def add_not(self, name: str, references: Sequence[NewReference], enrolled_unix_ns: int) -> Person:
        """Adds faces that this person, who must be enrolled, is not; all of these or none."""


class TermsStore(Protocol):
    """Where it may be noted on what terms somebody is kept."""

    @property
    def model(self) -> str | None:
        """The model of the encodings kept."""

    def owner(self, source_digest: str) -> PersonName | None:
        """Whose reference the image with this digest is; None: not enrolled."""

    def add(
        self,
        name: str,
        references: Sequence[NewReference],
        enrolled_unix_ns: int,
        terms: Mapping[str, str | int | None] | None = None,
    ) -> Person:
        """Enrols all of these or none, with what is noted of them (gallery.consent.Changes)."""


class OnTerms:
    """A PeopleStore that notes with whoever is enrolled on what terms."""

    def __init__(self, store: TermsStore, terms: Callable[[str], Mapping[str, str | int | None]]) -> None:
        """terms: by the person's name, as `clean_name` makes it."""
        self._store = store
        self._terms = terms

    @property
    def model(self) -> str | None:
        """As the store's."""
        return self._store.model

    def owner(self, source_digest: str) -> PersonName | None:
        """As the store's."""
        return self._store.owner(source_digest)

    def add(self, name: str, references: Sequence[NewReference], enrolled_unix_ns: int) -> Person:
        """Adds all of these or none."""
        return self._store.add(name, references, enrolled_unix_ns, self._terms(name))


class NotThisPerson:
    """A PeopleStore that keeps whatever is enrolled into it as what one person is not."""

    def __init__(self, store: NotStore, person: PersonName) -> None:
        self._store = store
        self._person = person

    @property
    def model(self) -> str | None:
        """As the store's."""
        return self._store.model

    def owner(self, source_digest: str) -> PersonName | None:
        """The person where the image is known of them; whom else it shows does not matter."""
        return self._person if self._store.has_image(self._person.name, source_digest) else None

    def add(self, name: str, references: Sequence[NewReference], enrolled_unix_ns: int) -> Person:
        """Adds all of these or none."""
        return self._store.add_not(name, references, enrolled_unix_ns)


def check_model(kept: str | None, model: str) -> None:
    """Raises ModelMismatch where encodings of this model can't be compared with those that are kept."""
    if kept not in (None, model):
        raise ModelMismatch(
            f"the gallery's encodings are of model {kept} and can't be compared with {model}: "
            "set [encoder] and [detector] back, encode anew from pictures that were kept (visaged reencode), "
            "or name another gallery in [gallery] path and enrol anew"
        )


def clean_name(name: str) -> str:
    """The name as it is kept: composed (NFC), else verbatim; raises NameRefused for what is no name."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise NameRefused(f"{name!a} is not a name: it is not valid Unicode text") from None
    name = unicodedata.normalize("NFC", name)
    if not name.strip():
        raise NameRefused("a name must have at least one visible character")
    if len(name) > LONGEST_NAME:
        raise NameRefused(f"a name has at most {LONGEST_NAME} characters, not {len(name)}")
    if any(_disturbs_a_line(character) for character in name):
        raise NameRefused(f"{name!a} is not a name: it holds control characters")
    return name


def printable(text: str) -> str:
    """The text with what would disturb a line of output written as an escape."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def _disturbs_a_line(character: str) -> bool:
    # Joiners and direction marks (also category Cf) belong to Persian, Hindi and others, and stay;
    # embeddings and overrides would turn the rest of a log line or table around.
    if unicodedata.category(character) in {"Cc", "Zl", "Zp"}:
        return True
    return "\u202a" <= character <= "\u202e" or "\u2066" <= character <= "\u2069"
