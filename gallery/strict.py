"""Refuses, before it is enrolled, what an audit would find afterwards."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gallery import centres
from gallery.audit_findings import Code, Material
from gallery.audit_limits import LOWEST_QUALITY, Limits, limits_for
from gallery.matcher import measured
from gallery.people import NewReference

Refusal = tuple[Code, str]
"""The code of the finding, and a line for a person."""


class Strict:
    """A gallery of one moment, to which references are added as they are found good."""

    def __init__(self, material: Material) -> None:
        used = [i for i, each in enumerate(material.references) if each.set_aside is None]
        self._names = [material.people[material.references[i].person].name for i in used]
        self._encodings = [material.encodings[i] for i in used]

    def judge(self, name: str, reference: NewReference) -> Refusal | None:
        """Why this is refused as a reference of the person of this name; None: it is noted as theirs."""
        limits = limits_for(reference.model)
        refusal = _low_quality(reference)
        if refusal is None and limits is not None:
            refusal = _no_face(reference, limits) or self._out_of_place(name, reference.encoding, limits)
        if refusal is None:
            self._names.append(name)
            self._encodings.append(reference.encoding)
        return refusal

    def _out_of_place(self, name: str, encoding: NDArray[np.float32], limits: Limits) -> Refusal | None:
        if not self._names:
            return None
        away = measured(np.stack(self._encodings), encoding)
        mine = np.array([each == name for each in self._names])
        own = float(away[mine].min(initial=np.inf))
        other = float(away[~mine].min(initial=np.inf))
        if own <= limits.duplicate:
            return "duplicate", f"{own:.3f} from a reference of {name}: the same picture, saved again"
        theirs = self._names[int(np.where(mine, np.inf, away).argmin())] if not mine.all() else ""
        if not mine.any():
            return self._like_another(theirs, away, other, limits)
        if own - other > limits.margin and other <= limits.other:
            return "nearer_to_other", f"{other:.3f} from {theirs}, and {own:.3f} from {name}'s own"
        if mine.sum() > 1 and own > limits.outlier:
            return (
                "outlier",
                f"{own:.3f} from the nearest of {name}'s own; they are at most {limits.outlier:g} apart",
            )
        return None

    def _like_another(
        self, theirs: str, away: NDArray[np.float64], other: float, limits: Limits
    ) -> Refusal | None:
        """Of somebody who is new: is that somebody else under another name?"""
        median = float(np.median(away[[each == theirs for each in self._names]])) if theirs else np.inf
        if median < limits.same_person:
            return "same_person", f"{median:.3f} from {theirs} (median): one person under two names, or twins"
        if other <= limits.look_alikes:
            return "look_alikes", f"{other:.3f} from {theirs}: one may be named as the other, or neither"
        return None


def _low_quality(reference: NewReference) -> Refusal | None:
    if reference.quality >= LOWEST_QUALITY:
        return None
    return (
        "low_quality",
        f"quality {reference.quality:.2f}, below {LOWEST_QUALITY:g}: small, blurred, dark or turned away",
    )


def _no_face(reference: NewReference, limits: Limits) -> Refusal | None:
    centre = centres.bundled(reference.model)
    if centre is None or len(centre) != len(reference.encoding):
        return None
    away = float(np.linalg.norm(reference.encoding - centre))
    if away >= limits.no_face:
        return None
    return (
        "no_face",
        f"{away:.3f} from the mean of what is no face, and faces are at least {limits.no_face:g}",
    )
