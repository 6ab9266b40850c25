"""Plays a clip to the real daemon at its own rate, like a camera; prints latency and frames followed.

uv run python -m benchmarks.live [CLIP] [--height 720] [--person IMAGE] [--threads 2] [--still]
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
from pathlib import Path

from benchmarks.clip import SAMPLES
from benchmarks.footage import repeated, scaled
from benchmarks.machine import machine_line

START_TIMEOUT_S = 120


def main() -> None:
    """Runs the daemon once and prints what a subscriber saw of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clip", type=Path, nargs="?", help="default: the demo's clip")
    parser.add_argument("--height", type=int, help="scale the clip to this height first, e.g. 720")
    parser.add_argument("--person", type=Path, default=SAMPLES / "barack-obama.jpg", help="who is enrolled")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--loops", type=int, default=3, help="how often the clip is played in a row")
    parser.add_argument("--still", action="store_true", help="show the clip's first frame all the time")
    options = parser.parse_args()
    # A socket's path may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="visaged-") as folder:
        result = run(options, Path(folder))
    print(json.dumps(result, indent=2))


def run(options: argparse.Namespace, folder: Path) -> dict[str, object]:
    """One play."""
    from daemon.client import subscribe
    from daemon.demo_clip import write_clip

    clip = options.clip or folder / "clip.avi"
    if options.clip is None:
        write_clip(SAMPLES, clip)
    if options.height:
        clip = scaled(clip, options.height, folder)
    clip = repeated(clip, options.loops, folder, still=options.still)
    config = folder / "config.toml"
    config.write_text(
        f"[daemon]\nstate_dir = {json.dumps(str(folder / 'state'))}\nthreads = {options.threads}\n"
        f"[events]\nbind = 'ipc://{folder}/events'\nreplay = 'off'\nsightings = true\n"
    )
    visaged: list[str | Path] = [sys.executable, "-m", "daemon"]
    subprocess.run([*visaged, "enroll", "--config", config, "person", options.person], check=True)
    command = [*visaged, "run", "--config", config, "--source", clip, "--realtime", "--camera", "live"]
    latencies: list[float] = []
    frames: set[int] = set()
    told: list[float] = []
    pulse: dict[str, int] = {}
    seconds = used_s = 0.0
    with subprocess.Popen([*command, "--await-subscribers", "1"]) as daemon:
        with subscribe(f"ipc://{folder}/events", timeout_s=START_TIMEOUT_S) as events:
            started, started_cpu_s = time.monotonic(), 0.0
            for event in events:
                if event.topic == "camera/live/online/":
                    started, started_cpu_s = time.monotonic(), cpu_s(daemon.pid)
                if event.topic == "camera/live/ended/":
                    seconds, used_s = time.monotonic() - started, cpu_s(daemon.pid) - started_cpu_s
                if event.topic == "daemon/heartbeat/":
                    pulse = event.data["cameras"][0]
                if event.topic.startswith("face/"):
                    frames.add(event.data["frame"]["index"])
                    (latencies if event.kind == "sighting" else told).append(event.data["latency_ms"])
                if event.topic == "daemon/stopping/":
                    break
        code = daemon.wait(30)
    cuts = statistics.quantiles(latencies, n=100) if len(latencies) > 1 else [0.0] * 99
    return {
        "machine": machine_line(),
        "exit": code,
        "seconds": round(seconds, 2),
        "frames": {key: pulse.get(key) for key in ("frames_read", "frames_processed", "frames_replaced")},
        "frames_with_a_face": len(frames),
        "latency_ms": {"median": round(cuts[49], 1), "p95": round(cuts[94], 1), "p99": round(cuts[98], 1)},
        "changes_latency_ms": [round(each, 1) for each in told],
        "cores_used_without_decoding": round(used_s / seconds, 3),
    }


def cpu_s(pid: int) -> float:
    """Processor time of a process so far, all its threads, without its children: cameras are those."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
