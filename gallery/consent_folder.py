"""Reads consent.toml of a folder of people: on what terms they are enrolled."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from gallery.consent import changes_of
from gallery.enrolment_plan import CONSENT_FILE
from gallery.errors import TermsRefused
from gallery.images import path_text
from gallery.people import clean_name

KEYS = ("consent", "consent_date", "expires", "note")
"""As the options of enroll are called."""
MOST_BYTES = 10_000_000

Said = Mapping[str, str | None]
"""By KEYS; None: not said."""
Terms = Callable[[str], dict[str, str | int | None]]
"""What is noted with a person of this name."""


def terms_for(options: Said, folder: Path | None, now: datetime) -> Terms:
    """What the options say, and for a folder its consent.toml: for all, and in people."NAME" for one.

    A person's own words count before the options, and those before what the file says of all. TermsRefused
    where something can't be noted, for whomever. now: with its time zone.
    """
    for_all, own = ({}, {}) if folder is None else _read(folder / CONSENT_FILE)
    given = {key: value for key, value in options.items() if value is not None}

    def terms(name: str) -> dict[str, str | int | None]:
        return changes_of(**{**for_all, **given, **own.get(name, {})}, now=now)

    for name in ("", *own):
        terms(name)
    return terms


def _read(file: Path) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST_BYTES)
    except FileNotFoundError:
        return {}, {}
    except OSError as error:
        raise TermsRefused(f"{path_text(file)}: can't be read: {error.strerror}") from None
    try:
        document = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TermsRefused(f"{path_text(file)}: not valid TOML: {error}") from None
    people = document.pop("people", {})
    if not isinstance(people, dict) or not all(isinstance(each, dict) for each in people.values()):
        raise TermsRefused(f'{path_text(file)}: people must be tables such as [people."Ann Lee"]')
    return _said(file, document), {clean_name(name): _said(file, each) for name, each in people.items()}


def _said(file: Path, table: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for key, value in table.items():
        if key not in KEYS:
            raise TermsRefused(
                f"{path_text(file)}: {key}: unknown key; known are {', '.join(KEYS)} and people"
            )
        if not isinstance(value, str | date) or isinstance(value, datetime):
            raise TermsRefused(f"{path_text(file)}: {key} must be a text, or a date")
        found[key] = value if isinstance(value, str) else value.isoformat()
    return found
