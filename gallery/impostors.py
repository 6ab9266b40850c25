"""How near strangers come with each encoder: distributions that were measured once and come with visaged."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

FILE = "impostors.json"
TAIL_DECADE = 10.0
"""Beyond the rarest distance that was measured, the line through that one and the one ten times as frequent
goes on, on the scale on which a normal distribution is straight. The lines of dlib and SFace are, from one in
ten to one in 100,000."""

HIGHEST = 0.999
"""No share is higher: 1 lies nowhere on that scale."""

SMALLEST_DISTANCE = 0.01
"""Where the line would go below nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """The distances between photographs of different people, and of the same, with one model."""

    model: str
    """The model of the encodings."""
    source: str
    """What photographs these are, in words."""
    photographs: int
    """How many there are."""
    people: int
    """How many people are on them."""
    pairs: int
    """How many pairs of different people; each counts once, however many photographs there are of the two."""
    probabilities: NDArray[np.float64]
    """float64[k], rising: shares of these pairs."""
    errors: NDArray[np.float64]
    """float64[k]: the standard error of each share, as a part of it; rare pairs of few people leave doubt."""
    distances: NDArray[np.float64]
    """float64[k]: the distance that this share of the pairs is nearer than."""
    near: float
    """The share of strangers that counts as near to a photograph, where people are compared by it."""
    near_distance: float
    """The distance up to which a stranger counts as near."""
    spread: float
    """How alike photographs are in how many strangers are near: the shape of a gamma distribution of mean 1.
    Where it is small, a few people of a gallery settle how it is with somebody."""
    genuine_pairs: int
    """How many pairs of photographs of one person."""
    genuine_probabilities: NDArray[np.float64]
    """float64[k], rising: shares of these pairs."""
    genuine_distances: NDArray[np.float64]
    """float64[k]: the distance that this share of them is nearer than."""

    def distance_at(self, probability: float) -> float:
        """The distance that a stranger's photograph is nearer than with at most this probability."""
        scale = self._scale()
        wanted = min(float(ndtri(probability)), float(scale[-1]))
        if wanted >= scale[0]:
            return float(np.interp(wanted, scale, self.distances))
        beyond = float(self.distances[0] + self._tail_slope() * (wanted - scale[0]))
        return max(SMALLEST_DISTANCE, beyond)

    def probability_at(self, distance: float) -> float:
        """The probability that a stranger's photograph is at least so near, at most."""
        scale = self._scale()
        if distance >= self.distances[0]:
            return float(ndtr(np.interp(distance, self.distances, scale)))
        return float(ndtr(scale[0] + (distance - self.distances[0]) / self._tail_slope()))

    def recognised(self, distance: float) -> float:
        """The share of photographs of the same person that are at least so near."""
        return float(np.interp(distance, self.genuine_distances, self.genuine_probabilities, left=0.0))

    def _scale(self) -> NDArray[np.float64]:
        """The probabilities, one standard error higher, on the scale of the normal distribution."""
        return np.asarray(ndtri(np.minimum(self.probabilities * (1 + self.errors), HIGHEST)), np.float64)

    def _tail_slope(self) -> float:
        """Distance a unit of that scale, in the tail."""
        scale = self._scale()
        end = float(ndtri(self.probabilities[0] * TAIL_DECADE))
        return float((np.interp(end, scale, self.distances) - self.distances[0]) / (end - scale[0]))


def bundled(model: str) -> Statistics | None:
    """Those of this model; else of the same net and alignment with other weights; None: not measured."""
    document = json.loads(resources.files("gallery").joinpath(FILE).read_text("utf-8"))
    measured = {entry["model"]: entry for entry in document["models"]}
    if model not in measured:
        family = {key.rpartition("-")[0]: key for key in measured}
        model = family.get(model.rpartition("-")[0], "")
    return from_json(measured[model], document["source"]) if model in measured else None


def from_json(entry: dict[str, object], source: str) -> Statistics:
    """One model's entry of the file."""
    arrays = {
        key: np.array(value, np.float64) if isinstance(value, list) else value for key, value in entry.items()
    }
    return Statistics(source=source, **arrays)  # type: ignore[arg-type]
