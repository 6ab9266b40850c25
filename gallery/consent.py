"""On what ground somebody's face is kept, and until when; asked for where it is required."""

from __future__ import annotations

import calendar
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from gallery import schema
from gallery.errors import TermsRefused

if TYPE_CHECKING:
    from gallery.store import Gallery

LONGEST_TEXT = 1000
"""Characters of a basis, reference or note."""
SOON_DAYS = 30
"""An audit tells of whom the time is up within so many days."""
NONE = "none"
"""What is said to take away what was noted."""
PERIOD = re.compile(r"([1-9][0-9]{0,4})\s*([dwmy])")
"""Days, weeks, months, years."""

Changes = Mapping[str, str | int | None]
"""Fields of Terms that are set anew; None takes away what was noted, and what is not named stays."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What was noted with a person. The names are those of the columns."""

    consent_basis: str | None = None
    """Why the face may be kept, such as consent or contract; None: nobody said."""
    consent_reference: str | None = None
    """Where that is written down."""
    consent_date: str | None = None
    """ISO 8601, the day it was given."""
    expires_unix_ns: int | None = None
    """From when on they are to be forgotten; None: never."""
    note: str | None = None
    """Whatever else is good to know."""


COLUMNS = tuple(field.name for field in fields(Terms))


def changes_of(
    *,
    consent: str | None = None,
    consent_date: str | None = None,
    expires: str | None = None,
    note: str | None = None,
    now: datetime,
) -> dict[str, str | int | None]:
    """What is said in words: BASIS[:REFERENCE], a date, a date or period, a text; None is not said.

    "none" takes away. Consent without a date is of today. now: with its time zone, that of the days.
    TermsRefused says what would be right.
    """
    changes: dict[str, str | int | None] = {}
    if consent == NONE:
        changes |= {"consent_basis": None, "consent_reference": None, "consent_date": None}
    elif consent is not None:
        basis, _, reference = consent.partition(":")
        changes["consent_basis"] = basis.strip()
        changes["consent_reference"] = reference.strip() or None
        changes["consent_date"] = now.date().isoformat()
    if consent_date is not None:
        changes["consent_date"] = None if consent_date == NONE else _day(consent_date).isoformat()
    if expires is not None:
        changes["expires_unix_ns"] = None if expires == NONE else _end(expires, now)
    if note is not None:
        changes["note"] = None if note == NONE else note.strip() or None
    return checked(changes, now)


def checked(changes: Changes, now: datetime) -> dict[str, str | int | None]:
    """The same, if a gallery may keep it; TermsRefused otherwise. now: with its time zone."""
    found = dict(changes)
    if unknown := sorted(found.keys() - set(COLUMNS)):
        raise TermsRefused(f"{unknown[0]} can't be noted with a person; known are {', '.join(COLUMNS)}")
    for key, value in found.items():
        if value is None:
            continue
        if key == "expires_unix_ns":
            if not isinstance(value, int) or isinstance(value, bool) or value <= now.timestamp() * 1e9:
                raise TermsRefused("expires must lie ahead; who is to go now: visaged forget NAME")
        elif not isinstance(value, str) or not _is_line(value):
            raise TermsRefused(f"{key} must be one line of at most {LONGEST_TEXT} characters, and not empty")
    if isinstance(day := found.get("consent_date"), str):
        # A day is another one elsewhere on the earth.
        if _day(day) > now.date() + timedelta(days=1):
            raise TermsRefused(f"consent can't have been given on {day}, which is still to come")
        found["consent_date"] = _day(day).isoformat()
    return found


def everybodys(gallery: Gallery) -> dict[str, Terms]:
    """Everybody's, by their ids."""
    with schema.explained(gallery.path):
        rows = gallery.connection.execute(f"SELECT id, {', '.join(COLUMNS)} FROM person")  # noqa: S608
        return {person_id: Terms(*rest) for person_id, *rest in rows}


def of(gallery: Gallery, name: str) -> Terms:
    """One person's; PersonUnknown."""
    return everybodys(gallery)[gallery.person(name).id]


def change(gallery: Gallery, name: str, changes: Changes, now: datetime) -> Terms:
    """Notes it with somebody who is enrolled; what is noted now. TermsRefused, PersonUnknown."""
    changes = checked(changes, now)
    with gallery.change() as note:
        person = gallery.person(name)
        write(gallery, person.id, changes)
        note("terms_set", person.id, fields="+".join(sorted(changes)))
    # An earlier note may have said more than it should.
    gallery.empty_log()
    return of(gallery, name)


def write(gallery: Gallery, person_id: str, changes: Changes) -> None:
    """Within a change that is under way. TermsRefused where consent is required and would be taken away."""
    if gallery.requires_consent and changes.get("consent_basis", "") is None:
        raise TermsRefused(
            "[gallery] require_consent is on: who gives no consent is removed by visaged forget"
        )
    for column in COLUMNS:
        if column in changes:
            gallery.connection.execute(
                f"UPDATE person SET {column} = ? WHERE id = ?",  # noqa: S608
                (changes[column], person_id),
            )


def told(terms: Terms) -> dict[str, object]:
    """For programs."""
    basis = terms.consent_basis
    return {
        "consent": None
        if basis is None
        else {"basis": basis, "reference": terms.consent_reference, "date": terms.consent_date},
        "expires": moment(terms.expires_unix_ns),
        "note": terms.note,
    }


def moment(unix_ns: int | None) -> str | None:
    """With the zone of this machine."""
    if unix_ns is None:
        return None
    return datetime.fromtimestamp(unix_ns / 1e9).astimezone().isoformat(timespec="seconds")


def check_new(name: str, changes: Changes | None) -> None:
    """TermsRefused where nobody may be enrolled without consent, and none is given."""
    if not (changes or {}).get("consent_basis"):
        raise TermsRefused(
            f"{name}: [gallery] require_consent is on, and nobody new is enrolled without "
            "--consent BASIS[:REFERENCE]"
        )


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise TermsRefused(f"{text!r} is no date; write it as 2027-01-31") from None


def _end(text: str, now: datetime) -> int:
    """The moment at which a day is over, or a period from now is."""
    period = PERIOD.fullmatch(text.strip().lower())
    try:
        if period is None:
            end = datetime.combine(_day(text) + timedelta(days=1), datetime.min.time())
        else:
            end = _later(now.replace(tzinfo=None), int(period[1]), period[2])
        return int(end.astimezone().timestamp()) * 1_000_000_000
    except TermsRefused:
        raise TermsRefused(
            f"expires must be a date such as 2027-01-31, or 90d, 6w, 3m, 1y: not {text!r}"
        ) from None
    except (OverflowError, ValueError, OSError):
        raise TermsRefused(f"expires: {text!r} is too far away") from None


def _later(now: datetime, count: int, unit: str) -> datetime:
    if unit in "dw":
        return now + timedelta(days=count * (7 if unit == "w" else 1))
    months = now.month - 1 + count * (12 if unit == "y" else 1)
    year, month = now.year + months // 12, months % 12 + 1
    # A year after 29 February is 28 February.
    return now.replace(year=year, month=month, day=min(now.day, calendar.monthrange(year, month)[1]))


def _is_line(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return 0 < len(text.strip()) <= LONGEST_TEXT and not any(
        unicodedata.category(each) in {"Cc", "Zl", "Zp"} for each in text
    )
