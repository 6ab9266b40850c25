"""What a track knows of its face: encodings of fit samples, fused by their quality."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

KEPT_SAMPLES = 12
"""The newest; at one a second for a track that is sure, a mistake of the tracker is outweighed in 6 s."""
LEAST_WEIGHT = 0.05
"""Of a sample that is only just fit."""
SPREAD_SHARE = 0.5
"""How much of the samples' variance counts as distance: a mean lies nearer to everybody than its samples;
docs/decisions/0070 has the figures."""


class Evidence:
    """The samples of one track."""

    def __init__(self) -> None:
        self._encodings: deque[NDArray[np.float32]] = deque(maxlen=KEPT_SAMPLES)
        self._weights: deque[float] = deque(maxlen=KEPT_SAMPLES)
        self.count = 0
        """Fit samples so far, also those that are not kept."""
        self.newest_s = -np.inf
        """Time of the frame of the newest sample."""

    def add(self, encoding: NDArray[np.float32], quality: float, time_s: float) -> None:
        """encoding: float32[d]; quality: 0 to 1."""
        self._encodings.append(encoding)
        self._weights.append(max(quality, LEAST_WEIGHT))
        self.count += 1
        self.newest_s = time_s

    @property
    def fused(self) -> NDArray[np.float32]:
        """float32[d]: the mean of the samples kept, weighted by quality. There must be one."""
        return np.average(np.stack(self._encodings), axis=0, weights=self._weights).astype(np.float32)

    @property
    def spread(self) -> float:
        """What a mean of these samples adds to the square of a distance, to be measured by one threshold."""
        apart = np.square(np.stack(self._encodings) - self.fused).sum(axis=1)
        return SPREAD_SHARE * float(np.average(apart, weights=self._weights))
