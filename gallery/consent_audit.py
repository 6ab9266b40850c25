"""What an audit says of consent that is missing, and of whose time is nearly up."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from gallery.audit_findings import SEVERITIES, Audit, Code, Finding
from gallery.consent import SOON_DAYS, Terms, moment
from gallery.people import Person, PersonName


def findings(
    people: Sequence[Person], terms: Mapping[str, Terms], now: datetime, *, required: bool
) -> list[Finding]:
    """One for each without consent where it is required, and for each who expires within 30 days of now."""
    soon_unix_ns = int((now + timedelta(days=SOON_DAYS)).timestamp() * 1e9)
    found = []
    for person in people:
        own = terms.get(person.id, Terms())
        if required and own.consent_basis is None:
            found.append(_no_consent(person))
        if own.expires_unix_ns is not None and own.expires_unix_ns <= soon_unix_ns:
            found.append(_expires_soon(person, own.expires_unix_ns))
    return found


def with_findings(audit: Audit, more: Sequence[Finding]) -> Audit:
    """The audit with these among its findings, in the order in which they are told."""
    from dataclasses import replace

    order = list(SEVERITIES)
    return replace(
        audit, findings=tuple(sorted([*audit.findings, *more], key=lambda each: order.index(each.code)))
    )


def _no_consent(person: Person) -> Finding:
    return _finding(
        "no_consent",
        person,
        f"{person.name} was enrolled without consent, which [gallery] require_consent asks for",
        f"visaged consent {shlex.quote(person.name)} --consent BASIS[:REFERENCE], or visaged forget "
        f"{shlex.quote(person.name)}",
    )


def _expires_soon(person: Person, expires_unix_ns: int) -> Finding:
    return _finding(
        "expires_soon",
        person,
        f"{person.name} is to be forgotten at {moment(expires_unix_ns)}",
        f"nothing, or visaged consent {shlex.quote(person.name)} --expires DATE|90d|1y",
    )


def _finding(code: Code, person: Person, explanation: str, remedy: str) -> Finding:
    people = (PersonName(person.id, person.name),)
    return Finding(code, SEVERITIES[code], people, (), None, explanation, remedy, ())
