"""Looks through a gallery for what will lead to wrong names: who is swapped, doubled, or no face at all."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gallery import centres
from gallery.audit_distances import Distances, PeoplePair
from gallery.audit_findings import SEVERITIES, Audit, Finding, Material
from gallery.audit_limits import FEWEST_REFERENCES, LOWEST_QUALITY, Limits, limits_for
from gallery.audit_wording import Wording
from gallery.matcher import rounded

Progress = Callable[[object], None]


def audit(material: Material, progress: Progress = lambda step: None) -> Audit:
    """Everything that is not as it should be, at most one finding a reference: the first cause that is found.

    progress is called as often as `steps` says.
    """
    return _Auditor(material, limits_for(material.model)).audit(progress)


def steps(material: Material) -> int:
    """How often an audit of this calls its progress."""
    in_use = sum(reference.set_aside is None for reference in material.references)
    return Distances.steps(in_use) if limits_for(material.model) else 0


class _Auditor:
    """One audit. What was found wrong is no measure for the others, and does not count from then on."""

    def __init__(self, material: Material, limits: Limits | None) -> None:
        self._material = material
        self._limits = limits
        self._used = np.array(
            [i for i, each in enumerate(material.references) if each.set_aside is None], np.intp
        )
        self._owners = np.array([material.references[i].person for i in self._used], np.intp)
        self._say = Wording(material, self._used)
        self._findings: list[Finding] = []

    def audit(self, progress: Progress) -> Audit:
        """In the order of what spoils the most."""
        self._old_models()
        if self._limits is not None and len(self._used):
            self._measure(self._limits, progress)
        else:
            self._low_quality(np.ones(len(self._used), np.bool_))
        self._few_references()
        order = list(SEVERITIES)
        return Audit(
            model=self._material.model,
            people=len(self._material.people),
            references=len(self._used),
            set_aside=len(self._material.references) - len(self._used),
            measured=self._limits is not None,
            findings=tuple(sorted(self._findings, key=lambda each: order.index(each.code))),
        )

    def _measure(self, limits: Limits, progress: Progress) -> None:
        sound = np.ones(len(self._used), np.bool_)
        self._no_faces(limits, sound)
        self._low_quality(sound)
        encodings = np.ascontiguousarray(self._material.encodings[self._used])
        distances = Distances(encodings, self._owners, sound, limits.look_alikes, progress)
        self._duplicates(limits, distances)
        one = [pair for pair in distances.pairs() if distances.median(pair) < limits.same_person]
        self._same_people(one, distances)
        distances.tell_together([(pair.first, pair.second) for pair in one])
        self._nearer_to_others(limits, distances)
        self._outliers(limits, distances)
        told = {(pair.first, pair.second) for pair in one}
        self._look_alikes([pair for pair in distances.pairs() if (pair.first, pair.second) not in told])

    def _old_models(self) -> None:
        for reference in self._material.old:
            if reference.set_aside is None:
                self._findings.append(self._say.old_model(reference))

    def _no_faces(self, limits: Limits, sound: NDArray[np.bool_]) -> None:
        centre = centres.bundled(self._material.model)
        if centre is None or len(centre) != self._material.encodings.shape[1]:
            return
        away = np.linalg.norm(self._material.encodings[self._used] - centre, axis=1)
        for i in np.flatnonzero(away < limits.no_face):
            self._findings.append(self._say.no_face(int(i), rounded(away[i]), limits.no_face))
            sound[i] = False

    def _low_quality(self, sound: NDArray[np.bool_]) -> None:
        left = np.bincount(self._owners[sound], minlength=len(self._material.people))
        for i in np.flatnonzero(sound):
            if self._material.references[self._used[i]].quality >= LOWEST_QUALITY:
                continue
            # Better a poor reference than none.
            last = left[self._owners[i]] == 1
            self._findings.append(self._say.low_quality(int(i), LOWEST_QUALITY, last=last))
            if not last:
                left[self._owners[i]] -= 1
                sound[i] = False

    def _duplicates(self, limits: Limits, distances: Distances) -> None:
        """Of references of one picture the best stays, of equally good ones the first."""
        qualities = np.array([self._material.references[i].quality for i in self._used])
        for place in range(len(self._material.people)):
            rows = distances.of(place)
            kept: list[int] = []
            for i in rows[np.argsort(-qualities[rows], kind="stable")]:
                away = distances.between(int(i), kept)
                if len(away) and away.min() <= limits.duplicate:
                    nearest = kept[int(away.argmin())]
                    self._findings.append(self._say.duplicate(int(i), nearest, rounded(away.min())))
                    distances.remove(int(i))
                else:
                    kept.append(int(i))

    def _same_people(self, pairs: list[PeoplePair], distances: Distances) -> None:
        for pair in pairs:
            self._findings.append(self._say.same_person(pair, rounded(distances.median(pair))))

    def _nearer_to_others(self, limits: Limits, distances: Distances) -> None:
        """The one that belongs least first: it draws sound ones of the other person too."""
        while True:
            own, other = distances.nearest_own, distances.nearest_other
            asked = distances.sound & np.isfinite(own) & (other <= limits.other)
            gap = np.full(len(own), -np.inf)
            gap[asked] = own[asked] - other[asked]
            i = int(gap.argmax())
            if gap[i] <= limits.margin:
                return
            self._findings.append(
                self._say.nearer_to_other(
                    i, int(distances.nearest_other_row[i]), rounded(own[i]), rounded(other[i])
                )
            )
            distances.remove(i)

    def _outliers(self, limits: Limits, distances: Distances) -> None:
        for place in range(len(self._material.people)):
            rows = distances.of(place)
            own = distances.nearest_own[rows]
            alone = rows[np.isfinite(own) & (own > limits.outlier)]
            if not len(alone):
                continue
            if 2 * len(alone) >= len(rows):
                # Which of them are the person can't be told.
                self._findings.append(
                    self._say.scattered([int(i) for i in alone], rounded(own.max()), limits.outlier)
                )
                continue
            for i in alone:
                self._findings.append(
                    self._say.outlier(int(i), rounded(distances.nearest_own[i]), limits.outlier)
                )
                distances.remove(int(i))

    def _look_alikes(self, pairs: list[PeoplePair]) -> None:
        for pair in pairs:
            self._findings.append(self._say.look_alikes(pair))

    def _few_references(self) -> None:
        counts = np.bincount(self._owners, minlength=len(self._material.people))
        for place in np.flatnonzero(counts < FEWEST_REFERENCES):
            self._findings.append(self._say.few_references(int(place), int(counts[place]), FEWEST_REFERENCES))
