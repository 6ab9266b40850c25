"""Measures how near strangers come with an encoder, for gallery/impostors.json; only statistics are kept.

uv run python -m benchmarks.impostors [--encoder dlib|sface|facenet] [--mirror] [--alignment mtcnn|dlib]
    [--weights FILE] [--photographs DIR] [--device cpu] [--write]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.identities import Identities, read_identities
from benchmarks.pairs import LFW_VIEW_1
from gallery import impostors
from gallery.faces.encoder import build_encoder
from gallery.impostors import Statistics

FILE = Path(impostors.__file__).with_name(impostors.FILE)
SOURCE = (
    "Labeled Faces in the Wild, view 1, development test set, deep-funnelled (Huang et al., UMass Amherst "
    "TR 07-49, 2007; NIPS 2012): press photographs of people in the news, about three in four of them men"
)
SHARES = (
    2e-5,
    5e-5,
    1e-4,
    2e-4,
    5e-4,
    1e-3,
    2e-3,
    5e-3,
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.3,
    0.5,
    0.7,
    0.9,
    0.99,
)
GENUINE_SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
NEAR = 0.02
FEWEST_PAIRS = 10
"""A share is told only where so many pairs lie below its distance."""
DECIMALS = 5

Distances = NDArray[np.float64]


def statistics_of(identities: Identities, source: str) -> Statistics:
    """Every pair of people counts once, spread over the pairs of their photographs."""
    owners = identities.owners
    counts = np.bincount(owners)
    table = _distances(identities.encodings)
    first, second = np.triu_indices(len(owners), 1)
    distances, same = table[first, second], owners[first] == owners[second]
    weights = 1 / (counts[owners[first]] * counts[owners[second]])
    pairs = len(counts) * (len(counts) - 1) // 2
    shares = np.array([share for share in SHARES if share * pairs >= FEWEST_PAIRS])
    quantiles = weighted_quantiles(distances[~same], weights[~same], shares)
    near_distance = float(np.interp(NEAR, shares, quantiles))
    # A person with many photographs has many pairs, and counts as one with two.
    own = 1 / (counts[owners[first[same]]] * (counts[owners[first[same]]] - 1) / 2)
    return Statistics(
        model=identities.model,
        source=source,
        photographs=len(owners),
        people=len(counts),
        pairs=pairs,
        probabilities=shares,
        errors=np.array([standard_error(near_people(identities, table, limit)) for limit in quantiles]),
        distances=quantiles,
        near=NEAR,
        near_distance=near_distance,
        spread=spread(near_people(identities, table, near_distance)),
        genuine_pairs=int(same.sum()),
        genuine_probabilities=np.array(GENUINE_SHARES),
        genuine_distances=weighted_quantiles(distances[same], own, np.array(GENUINE_SHARES)),
    )


def near_people(identities: Identities, table: Distances, limit: float) -> Distances:
    """float64[people]: how many others are near to one photograph of each, mean over their photographs."""
    counts = np.bincount(identities.owners)
    order = np.argsort(identities.owners, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    near = (table[order][:, order] <= limit).astype(np.float64)
    by_person = np.add.reduceat(np.add.reduceat(near, starts, axis=0), starts, axis=1)
    by_person /= np.outer(counts, counts)
    np.fill_diagonal(by_person, 0)
    return np.asarray(by_person.sum(axis=1), np.float64)


def standard_error(near: Distances) -> float:
    """Of the share of pairs that are near, as a part of it: pairs of one person are not independent.

    The variance of a U-statistic of pairs: 4/n times that between people, and that of the pairs themselves.
    """
    others = len(near) - 1
    share = near.mean() / others
    between = 4 * np.var(near / others) / len(near)
    within = share * (1 - share) / (len(near) * others / 2)
    return float(np.sqrt(between + within) / max(share, 1e-12))


def spread(near: Distances) -> float:
    """The shape of the gamma distribution of how many strangers are near somebody, by its moments."""
    # What varies beyond counting (Poisson) are the people themselves.
    return float(near.mean() ** 2 / max(near.var() - near.mean(), 1e-9))


def weighted_quantiles(values: Distances, weights: Distances, shares: Distances) -> Distances:
    """The value below which each share of the weight lies; not a number where there are none."""
    if not len(values):
        return np.full(len(shares), np.nan)
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return np.asarray(values[order][np.searchsorted(reached, shares * reached[-1])], np.float64)


def _distances(encodings: NDArray[np.float32]) -> Distances:
    rows = encodings.astype(np.float64)
    norms = (rows**2).sum(axis=1)
    return np.asarray(np.sqrt(np.maximum(norms[:, None] + norms - 2 * rows @ rows.T, 0)), np.float64)


def entry(statistics: Statistics) -> dict[str, Any]:
    """As it stands in the file."""
    told = {field: getattr(statistics, field) for field in Statistics.__slots__ if field != "source"}
    return {
        key: value.round(DECIMALS).tolist()
        if isinstance(value, np.ndarray)
        else round(value, DECIMALS)
        if isinstance(value, float)
        else value
        for key, value in told.items()
    }


def write(statistics: Statistics) -> None:
    """Puts them into the file, in the place of older ones of the same net."""
    document: dict[str, Any] = {
        "source": SOURCE,
        "made_by": "python -m benchmarks.impostors --write",
        "models": [],
    }
    if FILE.exists():
        document["models"] = json.loads(FILE.read_text("utf-8"))["models"]
    family = statistics.model.rpartition("-")[0]
    kept = [each for each in document["models"] if each["model"].rpartition("-")[0] != family]
    document["models"] = sorted([*kept, entry(statistics)], key=lambda each: str(each["model"]))
    FILE.write_text(as_text(document), "utf-8")


def as_text(document: dict[str, Any]) -> str:
    """JSON with a line a field, so that lists of numbers can be read and compared."""
    models = ",\n".join("  {" + _fields(each, ",\n   ") + "}" for each in document["models"])
    head = _fields({key: value for key, value in document.items() if key != "models"}, ",\n ")
    return f'{{{head},\n "models": [\n{models}\n ]}}\n'


def _fields(entry: dict[str, Any], between: str) -> str:
    return between.join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in entry.items())


def main() -> None:
    """Prints the entry, or writes it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--encoder", default="dlib", choices=("dlib", "sface", "facenet"))
    parser.add_argument("--alignment", default="mtcnn", choices=("mtcnn", "dlib"))
    parser.add_argument("--weights")
    parser.add_argument("--mirror", action="store_true")
    parser.add_argument("--photographs", type=Path, default=LFW_VIEW_1, metavar="DIR")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--write", action="store_true", help="into gallery/impostors.json")
    given = parser.parse_args()
    encoder = build_encoder(
        given.encoder, given.device, given.alignment, weights=given.weights, mirror=given.mirror
    )
    statistics = statistics_of(read_identities(given.photographs, encoder, given.device), SOURCE)
    if given.write:
        write(statistics)
    else:
        print(json.dumps(entry(statistics), indent=1))


if __name__ == "__main__":
    main()
