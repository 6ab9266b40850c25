"""Tells why pictures were not enrolled: once for all of which the same is said."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gallery.enrolment_plan import Refused

MEASURED = re.compile(r"\b\d\.\d{2,3}\b")
"""A distance or a quality, in which the details of pictures of one face differ."""


def refusals(refused: Sequence[Refused], samples_of: str | None = None) -> Iterator[str]:
    """Lines for a person. samples_of: what all of them show; None: images, each of which is named."""
    alike: dict[tuple[str, str], list[Refused]] = {}
    for each in refused:
        alike.setdefault((each.reason, MEASURED.sub("", each.detail)), []).append(each)
    for same in alike.values():
        count = f"{len(same)} images" if samples_of is None else f"{len(same)} samples of {samples_of}"
        yield f"refused {same[0].image if len(same) == 1 else count}: {same[0].reason}: {_detail(same)}"
        if samples_of is None and len(same) > 1:
            yield from (f"  {each.image}" for each in same)


def _detail(same: Sequence[Refused]) -> str:
    """The first one's, with from where to where each number goes."""
    numbers = [sorted(each) for each in zip(*(MEASURED.findall(one.detail) for one in same), strict=True)]
    ranges = iter(row[0] if row[0] == row[-1] else f"{row[0]} to {row[-1]}" for row in numbers)
    return MEASURED.sub(lambda found: next(ranges), same[0].detail)
