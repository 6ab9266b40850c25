"""Judges pictures of one face that were taken together, before they are enrolled: as an audit would after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gallery.audit_findings import Code, Material
from gallery.audit_limits import limits_for
from gallery.matcher import measured
from gallery.people import NewReference, clean_name
from gallery.strict import Refusal, Strict

SOMEBODY_ELSE: frozenset[Code] = frozenset({"same_person", "look_alikes", "nearer_to_other"})
"""Codes that say something of the face, whichever picture they are found on."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What becomes of the pictures."""

    taken: tuple[NewReference, ...]
    """Sound, each beside those before it."""
    refused: tuple[tuple[NewReference, Refusal], ...]
    """All others, with what was found."""


def judge(material: Material, name: str, references: Sequence[NewReference]) -> Judged:
    """References of one face for the person of this name: new, or there already. NameRefused as clean_name.

    Where the face is more like somebody else's, or not like the person's of this name, all are refused: one
    of them that happens to be farther away would name both.
    """
    name = clean_name(name)
    whole = _unlike(material, name, references) or _somebody_else(material, name, references)
    if whole is not None:
        return Judged((), tuple((each, whole) for each in references))
    strict = Strict(material)
    taken: list[NewReference] = []
    refused: list[tuple[NewReference, Refusal]] = []
    for each in references:
        found = strict.judge(name, each)
        if found is None:
            taken.append(each)
        else:
            refused.append((each, found))
    telling = [found for _, found in refused if found[0] in SOMEBODY_ELSE]
    if telling and 2 * len(telling) >= len(references):
        refused += [(each, telling[0]) for each in taken]
        taken = []
    return Judged(tuple(taken), tuple(refused))


def _somebody_else(material: Material, name: str, references: Sequence[NewReference]) -> Refusal | None:
    """Whom somebody new is too much like, on any picture."""
    if any(person.name == name for person in material.people):
        return None
    # Each alone: beside another of its own, it would be somebody else's only by a margin.
    found = (Strict(material).judge(name, each) for each in references)
    return next((each for each in found if each is not None and each[0] in SOMEBODY_ELSE), None)


def _unlike(material: Material, name: str, references: Sequence[NewReference]) -> Refusal | None:
    """Why this is nobody of that name, who is enrolled; None: it may be, or is new."""
    limits = limits_for(references[0].model) if references else None
    own = [
        row
        for row, each in enumerate(material.references)
        if each.set_aside is None and material.people[each.person].name == name
    ]
    if limits is None or not own:
        return None
    nearest = [float(measured(material.encodings[own], each.encoding).min()) for each in references]
    middle = float(np.median(nearest))
    if middle <= limits.outlier:
        return None
    return (
        "outlier",
        f"{middle:.3f} from the nearest of {name}'s own (median); they are at most {limits.outlier:g} apart",
    )
