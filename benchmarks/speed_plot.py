"""Draws what benchmarks.detector measured.

uv run python -m benchmarks.detector --json > detector.json
uv run python -m benchmarks.speed_plot detector.json docs/speed.svg
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def main() -> None:
    """One panel a number of threads: how many times facenet-pytorch's speed, by size and faces."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("measured", type=Path)
    parser.add_argument("plot", type=Path)
    options = parser.parse_args()
    draw(json.loads(options.measured.read_text()), options.plot)


def draw(measured: Mapping[str, Any], file: Path) -> None:
    """Writes the plot in the format of its name."""
    import matplotlib as mpl

    mpl.use("Agg")
    # The same measurement gives the same file.
    mpl.rcParams["svg.hashsalt"] = "visaged"
    from matplotlib import pyplot

    speeds = measured["speeds"]
    threads = sorted({speed["threads"] for speed in speeds})
    figure, panels = pyplot.subplots(
        1, len(threads), figsize=(5 * len(threads), 3.6), squeeze=False, sharey=True
    )
    for panel, count in zip(panels[0], threads, strict=True):
        _panel(panel, [speed for speed in speeds if speed["threads"] == count])
        panel.set_title(f"{count} thread{'' if count == 1 else 's'}")
    panels[0][0].set_ylabel("times facenet-pytorch's speed")
    panels[0][-1].legend(fontsize="small")
    figure.suptitle(measured["machine"], fontsize=7)
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)


def _panel(panel: Any, speeds: Sequence[Mapping[str, Any]]) -> None:
    engines = list(dict.fromkeys(speed["engine"] for speed in speeds))
    frames = list(dict.fromkeys((speed["size"], speed["faces"]) for speed in speeds))
    width = 0.8 / len(engines)
    for number, engine in enumerate(engines):
        mine = {
            (speed["size"], speed["faces"]): speed["times"] for speed in speeds if speed["engine"] == engine
        }
        places = [place + number * width for place in range(len(frames))]
        panel.bar(places, [mine[frame][1] for frame in frames], width, label=engine)
    panel.axhline(1, color="black", linewidth=0.8)
    labels = [f"{size}\n{faces}" for size, faces in frames]
    panel.set_xticks([place + 0.4 - width / 2 for place in range(len(frames))], labels, fontsize=6)
    panel.set_xlabel("size, faces in the frame")


if __name__ == "__main__":
    main()
