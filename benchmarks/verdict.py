"""One line of a benchmark's result: what was asked, what was found, whether that is good enough."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """Printed as it is."""

    asked: str
    found: str
    holds: bool

    def __str__(self) -> str:
        return f"{'holds ' if self.holds else 'missed'}  {self.asked}: {self.found}"
