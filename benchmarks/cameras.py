"""How many cameras one daemon on two cores can follow, and whether they get their shares when it can't.

uv run python -m benchmarks.cameras [CLIP…] [--cameras 8,12,16] [--seconds 30] [--threads 2]

Plays clips (default: the demo's) at 640x480 and 10 frames a second to the real daemon, as files with
`realtime`, each camera from another moment on, and listens as a subscriber does. Told of each camera: which
share of the frames that it should have given went through the pipeline, frames to which tracks were only
carried included, and how long after its grab a frame's sighting was received. All of it runs on two cores,
the subscriber too. Exit 1 where a line says `missed`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from benchmarks.clip import SAMPLES
from benchmarks.footage import resampled
from benchmarks.live import cpu_s
from benchmarks.machine import machine_line
from benchmarks.process_tree import descendants
from benchmarks.verdict import Verdict

FPS = 10.0
SIZE_PX = (640, 480)
CORES = 2
WARM_S = 12.0
"""Faces come, nets are compiled beside the work: not measured."""
START_TIMEOUT_S = 120.0
MANY = 8
"""Up to so many cameras have to be followed; of more, the shares have to be even."""
FOLLOWED_SHARE = 0.8
P95_MS = 400.0
EVEN_SHARE = 0.7


@dataclass(frozen=True, slots=True)
class Measured:
    """One run. By camera where there is a mapping."""

    cameras: int
    seconds: float
    """Between the two heartbeats that were compared."""
    read: Mapping[str, int]
    processed: Mapping[str, int]
    latencies_ms: Sequence[float]
    """From a frame's grab to its sighting's arrival, one a face."""
    main_cores: float
    """Of the daemon itself."""
    capture_cores: float
    """Of all its capture processes."""

    @property
    def shares(self) -> dict[str, float]:
        """Of the frames that the camera should have given."""
        return {name: count / (FPS * self.seconds) for name, count in self.processed.items()}

    @property
    def evenness(self) -> float:
        """The least followed camera's frames against the mean of the others."""
        least = min(self.processed, key=lambda name: self.processed[name])
        others = [count for name, count in self.processed.items() if name != least]
        return self.processed[least] / (statistics.mean(others) or float("inf"))


def verdicts(measured: Measured) -> list[Verdict]:
    """What has to hold with so many cameras."""
    least, most = min(measured.shares.values()), max(measured.shares.values())
    p95_ms = percentile(measured.latencies_ms, 95)
    if measured.cameras > MANY:
        asked = f"{measured.cameras} cameras: none below {EVEN_SHARE:g} of the others' frames"
        found = f"{measured.evenness:.2f}; shares {least:.0%} to {most:.0%}, p95 {p95_ms:.0f} ms"
        return [Verdict(asked, found, measured.evenness >= EVEN_SHARE)]
    return [
        Verdict(
            f"{measured.cameras} cameras: at least {FOLLOWED_SHARE:.0%} of each one's frames processed",
            f"{least:.1%} to {most:.1%}",
            least >= FOLLOWED_SHARE,
        ),
        Verdict(
            f"{measured.cameras} cameras: p95 from grab to subscriber below {P95_MS:g} ms",
            f"{p95_ms:.0f} ms, median {percentile(measured.latencies_ms, 50):.0f} ms, "
            f"of {len(measured.latencies_ms)} sightings",
            p95_ms < P95_MS,
        ),
    ]


def percentile(values: Sequence[float], which: int) -> float:
    """Infinite where there is nothing to take it of."""
    return statistics.quantiles(values, n=100)[which - 1] if len(values) > 1 else float("inf")


def measure(clips: Sequence[Path], cameras: int, options: argparse.Namespace, folder: Path) -> Measured:
    """One run of the daemon. Nobody is enrolled: whoever is seen is decided and told all the same."""
    config = write_config(clips, cameras, options, folder)
    visaged: list[str | Path] = [sys.executable, "-m", "daemon"]
    with subprocess.Popen([*visaged, "run", "--config", config, "--await-subscribers", "1"]) as daemon:
        try:
            return listen(daemon.pid, f"ipc://{folder}/events", cameras, options.seconds)
        finally:
            daemon.terminate()
            daemon.wait(30)


def listen(pid: int, endpoint: str, cameras: int, seconds: float) -> Measured:
    """From the heartbeat at which all have been online for WARM_S to the one after so many seconds."""
    from daemon.client import subscribe

    online: set[str] = set()
    online_s = first_s = 0.0
    first: dict[str, tuple[int, int]] = {}
    used = (0.0, 0.0)
    latencies: list[float] = []
    with subscribe(endpoint, timeout_s=START_TIMEOUT_S) as events:
        for event in events:
            now_s = time.monotonic()
            if event.kind == "online":
                online.add(event.data["camera"])
                online_s = now_s
            elif event.kind == "sighting" and first:
                under_way_s = time.time() - datetime.fromisoformat(event.time).timestamp()
                latencies.append(event.data["latency_ms"] + under_way_s * 1000)
            elif event.topic == "daemon/heartbeat/" and len(online) == cameras:
                if not first and now_s - online_s >= WARM_S:
                    first, first_s, used = counts(event.data), now_s, used_s(pid)
                elif first and now_s - first_s >= seconds:
                    return compare(first, counts(event.data), used, used_s(pid), now_s - first_s, latencies)
            elif event.topic == "daemon/stopping/" or event.kind in ("ended", "offline"):
                raise SystemExit(f"too soon: {event.topic} {event.data}")
    raise SystemExit("the daemon fell silent")


def compare(
    first: Mapping[str, tuple[int, int]],
    last: Mapping[str, tuple[int, int]],
    used_before: tuple[float, float],
    used_after: tuple[float, float],
    seconds: float,
    latencies: Sequence[float],
) -> Measured:
    """Of two heartbeats."""
    return Measured(
        len(last),
        seconds,
        {name: last[name][0] - first[name][0] for name in last},
        {name: last[name][1] - first[name][1] for name in last},
        latencies,
        (used_after[0] - used_before[0]) / seconds,
        (used_after[1] - used_before[1]) / seconds,
    )


def counts(heartbeat: Mapping[str, list[dict[str, int]]]) -> dict[str, tuple[int, int]]:
    """Frames read and processed, by camera."""
    return {
        str(camera["name"]): (camera["frames_read"], camera["frames_processed"])
        for camera in heartbeat["cameras"]
    }


def used_s(pid: int) -> tuple[float, float]:
    """Processor time of the daemon, and of its capture processes."""
    return cpu_s(pid), sum(cpu_s(child) for child in descendants(pid))


def write_config(clips: Sequence[Path], cameras: int, options: argparse.Namespace, folder: Path) -> Path:
    """Cameras take the clips in turn."""
    priorities = {0: "priority = 3.0\n"} if options.first_matters else {}
    tables = "".join(
        f"[[camera]]\nname = 'camera-{number:02}'\nsource = {json.dumps(str(clips[number % len(clips)]))}\n"
        f"realtime = true\n{priorities.get(number, '')}"
        for number in range(cameras)
    )
    file = folder / "config.toml"
    file.write_text(
        f"[daemon]\nstate_dir = {json.dumps(str(folder / 'state'))}\ndevice = 'cpu'\n"
        f"threads = {options.threads}\nlog_level = 'warning'\n"
        f"[events]\nbind = 'ipc://{folder}/events'\nreplay = 'off'\nsightings = true\n{tables}"
    )
    return file


def write_clips(sources: Sequence[Path], seconds: float, folder: Path) -> list[Path]:
    """One for each of MANY cameras, from the sources in turn, each beginning elsewhere."""
    from daemon.demo_clip import write_clip

    if not sources:
        sources = [folder / "demo.avi"]
        write_clip(SAMPLES, sources[0])
    return [
        resampled(
            sources[number % len(sources)],
            folder / f"{number}.mp4",
            SIZE_PX,
            FPS,
            seconds,
            begin=number / MANY,
        )
        for number in range(MANY)
    ]


def main() -> None:
    """Runs once for each number of cameras; exits with 1 if a verdict is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path, nargs="*")
    parser.add_argument("--cameras", default="8,12,16")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--first-matters", action="store_true", help="the first camera has priority 3")
    options = parser.parse_args()
    # Inherited by all that is started.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    print(machine_line(), flush=True)
    # The first time on a machine the nets are compiled, which takes both cores for a while.
    subprocess.run([sys.executable, "-m", "daemon", "demo"], check=True, stdout=subprocess.DEVNULL)
    found: list[Verdict] = []
    # A socket's path may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="visaged-") as name:
        folder = Path(name)
        clips = write_clips(options.clips, START_TIMEOUT_S + WARM_S + options.seconds, folder)
        for cameras in map(int, options.cameras.split(",")):
            measured = measure(clips, cameras, options, folder)
            told = " ".join(f"{share:.0%}" for share in measured.shares.values())
            read = statistics.mean(measured.read.values()) / measured.seconds
            print(
                f"{cameras} cameras, {measured.seconds:.0f} s: {read:.1f} frames a second read from each; "
                f"shares processed {told}; {measured.main_cores:.2f} cores, "
                f"{measured.capture_cores:.2f} for capturing"
            )
            for verdict in verdicts(measured):
                print(verdict, flush=True)
                found.append(verdict)
    sys.exit(0 if all(verdict.holds for verdict in found) else 1)


if __name__ == "__main__":
    main()
