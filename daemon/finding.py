"""What a check of this machine found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked."""

    check: str
    """What was checked."""
    status: Literal["ok", "warning", "broken"]
    """broken: visaged can't work like this."""
    detail: str
    """What was found."""
    advice: str | None = None
    """What to do about it; None where all is well."""
