"""What a track knows of its face: encodings of fit samples, fused by their quality."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

KEPT_SAMPLES = 12
"""The newest; at one a second for a track that is sure, a mistake of the tracker is outweighed in 6 s."""
FEWEST_KNOWN = 2
"""From so many samples on, one may be said to be of another face."""
LEAST_WEIGHT = 0.05
"""Of a sample that is only just fit."""
SPREAD_SHARE = 0.5
"""How much of the samples' variance counts as distance: a mean lies nearer to everybody than its samples;
docs/decisions/0070 has the figures."""


class Evidence:
    """The samples of one track."""

    def __init__(self, limit: float = np.inf) -> None:
        """limit: Euclidean distance from the mean up to which a sample is of the same face."""
        self._limit = limit
        self._encodings: deque[NDArray[np.float32]] = deque(maxlen=KEPT_SAMPLES)
        self._weights: deque[float] = deque(maxlen=KEPT_SAMPLES)
        self._doubted: deque[tuple[NDArray[np.float32], float, float]] = deque(maxlen=2)
        self.count = 0
        """Fit samples so far, also those that are not kept."""
        self.first_s = np.inf
        """Time of the frame of the first sample."""
        self.agreed_s = -np.inf
        """Time of the frame of the newest sample that is of the same face as those before."""
        self.newest_s = -np.inf
        """Time of the frame of the newest sample."""

    def add(self, encoding: NDArray[np.float32], quality: float, time_s: float) -> None:
        """encoding: float32[d]; quality: 0 to 1."""
        self.newest_s = time_s
        if self.count >= FEWEST_KNOWN and float(np.linalg.norm(encoding - self.fused)) > self._limit:
            self._doubted.append((encoding, quality, time_s))
            return
        self._doubted.clear()
        self._encodings.append(encoding)
        self._weights.append(max(quality, LEAST_WEIGHT))
        self.count += 1
        self.first_s = min(self.first_s, time_s)
        self.agreed_s = time_s

    @property
    def in_doubt(self) -> bool:
        """The newest sample is of another face, or spoilt."""
        return bool(self._doubted)

    def of_another_face(self) -> Evidence | None:
        """The newest two samples, if they are of one face and of another than those before; else None."""
        if len(self._doubted) < 2:
            return None
        (first, *_), (second, *_) = self._doubted
        if float(np.linalg.norm(first - second)) > self._limit:
            return None
        other = Evidence(self._limit)
        for sample in self._doubted:
            other.add(*sample)
        return other

    @property
    def fused(self) -> NDArray[np.float32]:
        """float32[d]: the mean of the samples kept, weighted by quality. There must be one."""
        return np.average(np.stack(self._encodings), axis=0, weights=self._weights).astype(np.float32)

    @property
    def newest(self) -> tuple[NDArray[np.float32], float]:
        """float32[d] and weight of the newest sample that agreed with those before. There must be one."""
        return self._encodings[-1], self._weights[-1]

    @property
    def spread(self) -> float:
        """What a mean of these samples adds to the square of a distance, to be measured by one threshold."""
        apart = np.square(np.stack(self._encodings) - self.fused).sum(axis=1)
        return SPREAD_SHARE * float(np.average(apart, weights=self._weights))
