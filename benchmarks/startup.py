"""Times `visaged run` and `visaged enroll` from their start to the first face, beside `import torch`.

uv run python -m benchmarks.startup [--rounds 5] [--json]

In turn, so that whatever else the machine does falls on all alike. A first round, which does not count, reads
all from the disk once and compiles what is then kept. Exits 1 if a median is above 5 seconds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.clip import SAMPLES
from benchmarks.machine import machine_line

ALLOWED_S = 5.0
PATIENCE_S = 180.0
VISAGED = [sys.executable, "-m", "daemon"]


def importing_torch() -> float:
    """What no start can do without."""
    return _seconds([sys.executable, "-c", "import torch"])


def enrolling(folder: Path) -> float:
    """One picture, into a new gallery, to the end of the process."""
    config = _config(folder)
    return _seconds(
        [*VISAGED, "enroll", "--config", str(config), "somebody", str(SAMPLES / "barack-obama.jpg")]
    )


def running(folder: Path, clip: Path) -> float:
    """To the first event of a face that a subscriber gets."""
    from daemon.client import subscribe

    config, endpoint = _config(folder), f"ipc://{folder}/events"
    command = [*VISAGED, "run", "--config", str(config), "--source", str(clip), "--await-subscribers", "1"]
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as daemon:
        try:
            with subscribe(endpoint, topics=["face/"], timeout_s=PATIENCE_S) as events:
                next(iter(events))
            return time.perf_counter() - started
        finally:
            daemon.terminate()


def measure(rounds: int) -> dict[str, list[float]]:
    """Seconds by round, of each."""
    from daemon.demo_clip import write_clip

    taken: dict[str, list[float]] = {}
    # A socket's path may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="visaged-") as name:
        folder = Path(name)
        clip = folder / "clip.avi"
        write_clip(SAMPLES, clip)
        for index in range(rounds + 1):
            own = folder / str(index)
            works: dict[str, Callable[[], float]] = {
                "import torch": importing_torch,
                "visaged enroll": lambda own=own: enrolling(own / "e"),  # type: ignore[misc]
                "visaged run": lambda own=own: running(own / "r", clip),  # type: ignore[misc]
            }
            for what, work in works.items():
                seconds = work()
                if index:
                    taken.setdefault(what, []).append(round(seconds, 2))
    return taken


def _config(folder: Path) -> Path:
    folder.mkdir(parents=True)
    config = folder / "config.toml"
    config.write_text(
        f"[daemon]\nstate_dir = {json.dumps(str(folder / 'state'))}\n"
        f"[events]\nbind = 'ipc://{folder}/events'\nreplay = 'off'\nsightings = true\n"
    )
    return config


def _seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_S)
    return time.perf_counter() - started


def main() -> None:
    """Prints medians and all rounds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    taken = measure(given.rounds)
    if given.json:
        print(json.dumps({"machine": machine_line(), "seconds": taken}))
    else:
        print(machine_line())
        for what, seconds in taken.items():
            print(f"{what:16} {statistics.median(seconds):6.2f} s  {seconds}")
    late = [what for what, seconds in taken.items() if statistics.median(seconds) > ALLOWED_S]
    sys.exit(bool(late))


if __name__ == "__main__":
    main()
