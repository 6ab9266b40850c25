"""How many wrong names "not this person" references take back, and how many right ones they cost.

uv run python -m benchmarks.vetoes [--encoder dlib|sface] [--photographs DIR] [--device cpu] [--json]

Of every two people with photographs within the threshold of each other, such a photograph of the one is
enrolled, the other's is enrolled as "not" the one, and the other photographs of both are shown.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.identities import Identities, read_identities
from benchmarks.pairs import LFW_VIEW_1
from daemon.config import EncoderConfig
from gallery.faces.encoder import build_encoder
from gallery.matcher import measured

SLACKS = (0.0, 0.02, 0.05)
"""How much farther than the person a "not" reference may be and still veto; the daemon's is the first."""


@dataclass(slots=True)
class Count:
    """What a veto did."""

    slack: float
    """How much farther than the person it may be."""
    alike: int = 0
    """Other photographs of the look-alike that were named before."""
    alike_named: int = 0
    """And still are."""
    own: int = 0
    """Other photographs of the person that were named before."""
    own_lost: int = 0
    """And are no more."""


def count_vetoes(identities: Identities, threshold: float, slack: float) -> Count:
    """Over all ordered pairs of photographs of two people that are within the threshold of each other."""
    count = Count(slack)
    encodings, owners = identities.encodings, identities.owners
    for reference, person in enumerate(owners):
        distances = measured(encodings, encodings[reference])
        for alike in np.flatnonzero((distances <= threshold) & (owners != person)):
            vetoes = measured(encodings, encodings[alike]) <= distances + slack
            named = distances <= threshold
            others = (owners == owners[alike]) & (np.arange(len(owners)) != alike) & named
            own = (owners == person) & (np.arange(len(owners)) != reference) & named
            count.alike += int(others.sum())
            count.alike_named += int((others & ~vetoes).sum())
            count.own += int(own.sum())
            count.own_lost += int((own & vetoes).sum())
    return count


def main() -> None:
    """Prints a line for each slack."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--encoder", default="dlib", choices=("dlib", "sface"))
    parser.add_argument("--photographs", type=Path, default=LFW_VIEW_1, metavar="DIR")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    identities = read_identities(given.photographs, build_encoder(given.encoder, given.device), given.device)
    threshold = EncoderConfig(name=given.encoder).threshold
    counts = [count_vetoes(identities, threshold, slack) for slack in SLACKS]
    if given.json:
        print(json.dumps([asdict(count) for count in counts], indent=2))
        return
    print(f"{identities.model}, threshold {threshold}")
    for count in counts:
        print(
            f'vetoed by a "not" reference at most {count.slack:.2f} farther: of {count.alike} photographs of '
            f"look-alikes {count.alike_named} are still named, of {count.own} of the person's own "
            f"{count.own_lost} are lost"
        )


if __name__ == "__main__":
    main()
