"""Twenty minutes with three RTSP cameras that fail at random: what does the daemon leave lying about?

uv run python -m benchmarks.soak [--minutes 20] [--clip H264_CLIP] [--seed N] [--threads 2]

The real daemon with its nets, a subscriber, and the tests' RTSP server for each camera, on loopback. Memory
is the resident memory of the daemon and its capture processes, once a second, while as many of these run as
there are cameras; of each two minutes the median is taken, and held against that of minutes 2 to 4.
Descriptors, threads and processes are counted after two minutes and at the end, each time when all cameras
have been seen for some seconds. Exit 1 where a line says `missed`. Needs what the tests' RTSP server needs.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.machine import machine_line
from benchmarks.process_tree import Held, descendants, held_by, is_alive
from benchmarks.soak_faults import Site, Trouble
from benchmarks.verdict import Verdict
from tests.daemon.running import START_TIMEOUT_S, environment

CAMERAS = ("door", "gate", "yard")
WARM_S = 120.0
"""What is held after this is held against what is held later."""
WINDOW_S = 120.0
SAMPLE_S = 1.0
CALM_S = 5.0
"""All cameras have been seen for so long when descriptors are counted."""
CALM_TIMEOUT_S = 60.0
MEMORY_SHARE = 0.05
"""So much more or less may be resident."""
STOP_S = 5.0
SHARED_MEMORY = Path("/dev/shm")
MEGABYTE = 1_000_000


@dataclass
class Listener:
    """A subscriber: the cameras' states, and how many events came."""

    states: dict[str, str] = field(default_factory=dict)
    events: Counter[str] = field(default_factory=Counter)
    quit: threading.Event = field(default_factory=threading.Event)

    def listen(self, endpoint: str) -> None:
        """Until it is told to quit."""
        from daemon.client import subscribe

        with subscribe(endpoint, timeout_s=None) as events:
            while not self.quit.is_set():
                event = events.receive(0.5)
                if event is None:
                    continue
                kind, _, rest = event.topic.partition("/")
                self.events[kind] += 1
                if kind == "camera":
                    camera, state, _ = rest.split("/")
                    self.states[camera] = state
                if event.topic == "daemon/heartbeat/":
                    # Whoever subscribes after a camera came is not told of it otherwise.
                    self.states |= {each["name"]: each["state"] for each in event.data["cameras"]}


@dataclass
class Soak:
    """One run: what was measured so far."""

    pid: int
    listener: Listener
    troubles: list[Trouble]
    began_s: float = field(default_factory=time.monotonic)
    memory: list[tuple[float, Held]] = field(default_factory=list)
    """Seconds since the beginning, and what was held, while every camera's process ran."""

    def last(self, until_s: float) -> None:
        """Faults and samples until so many seconds after the beginning."""
        while (now_s := time.monotonic() - self.began_s) < until_s:
            self._turn(now_s, calm=False)

    def calm(self) -> Held:
        """What is held once every camera has been seen for a while."""
        since_s = given_up_s = time.monotonic() - self.began_s
        given_up_s += CALM_TIMEOUT_S
        while True:
            now_s = time.monotonic() - self.began_s
            if now_s > given_up_s:
                raise SystemExit(f"the cameras did not come back: {self.listener.states}")
            held = self._turn(now_s, calm=True)
            seen = [self.listener.states.get(camera) for camera in CAMERAS] == ["online"] * len(CAMERAS)
            if not seen or any(trouble.has_fault for trouble in self.troubles):
                since_s = now_s
            elif now_s - since_s > CALM_S and held is not None and held.processes == 1 + len(CAMERAS):
                return held

    def _turn(self, now_s: float, *, calm: bool) -> Held | None:
        for trouble in self.troubles:
            trouble.turn(now_s, calm=calm)
        held = held_by(self.pid)
        if held is not None and held.processes == 1 + len(CAMERAS):
            self.memory.append((now_s, held))
        time.sleep(SAMPLE_S)
        return held


def windows(samples: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The medians of samples (seconds, value) from WARM_S on, by the second at which a window begins."""
    found: dict[int, list[float]] = {}
    for second, value in samples:
        if second >= WARM_S:
            found.setdefault(int((second - WARM_S) // WINDOW_S), []).append(value)
    return [
        (WARM_S + number * WINDOW_S, statistics.median(values)) for number, values in sorted(found.items())
    ]


def memory_verdict(medians: Sequence[tuple[float, float]]) -> Verdict:
    """Of bytes by second."""
    asked = f"resident memory of the tree within {MEMORY_SHARE:.0%} of minutes 2 to 4"
    if len(medians) < 2:
        return Verdict(asked, "too short a run to tell", holds=False)
    (_, first), *rest = medians
    shares = [value / first - 1 for _, value in rest]
    worst = max(shares, key=abs)
    found = f"{first / MEGABYTE:.0f} MB, then at most {worst:+.1%}, at the end {shares[-1]:+.1%}"
    return Verdict(asked, found, abs(worst) <= MEMORY_SHARE)


def leak_verdict(before: Held, after: Held) -> Verdict:
    """Of two calm moments."""
    more = {
        kind: count - before.descriptors.get(kind, 0)
        for kind, count in after.descriptors.items()
        if count > before.descriptors.get(kind, 0)
    }
    found = (
        f"{sum(before.descriptors.values())} to {sum(after.descriptors.values())} descriptors"
        f"{f' (more: {more})' if more else ''}, {before.threads} to {after.threads} threads, "
        f"{before.processes} to {after.processes} processes, "
        f"{before.descriptors.get('memfd', 0)} to {after.descriptors.get('memfd', 0)} shared memories"
    )
    fine = not more and after.threads <= before.threads and after.processes <= before.processes
    return Verdict("no descriptor, thread, process or shared memory more", found, fine)


def write_config(folder: Path, sites: Sequence[Site], threads: int) -> Path:
    """Three cameras."""
    cameras = "".join(
        f"[[camera]]\nname = '{name}'\nsource = '{site.server.url()}'\n"
        for name, site in zip(CAMERAS, sites, strict=True)
    )
    file = folder / "config.toml"
    file.write_text(
        f"[daemon]\nstate_dir = {json.dumps(str(folder / 'state'))}\nthreads = {threads}\ndevice = 'cpu'\n"
        f"log_level = 'error'\n[events]\nbind = 'ipc://{folder}/events'\nreplay = 'ipc://{folder}/replay'\n"
        f"sightings = true\n{cameras}"
    )
    return file


@contextmanager
def soaking(options: argparse.Namespace, folder: Path, begun: Counter[str]) -> Iterator[tuple[Soak, Stop]]:
    """Servers, daemon and subscriber; what still runs at the end is ended."""
    pids: list[int] = []
    chance = random.Random(options.seed)
    sites = [Site(options.clip, lambda: pids[0], chance) for _ in CAMERAS]
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "daemon",
        "run",
        "--config",
        write_config(folder, sites, options.threads),
    ]
    try:
        with subprocess.Popen(command, env=environment()) as daemon:
            pids.append(daemon.pid)
            listener = Listener()
            thread = threading.Thread(
                target=listener.listen, args=(f"ipc://{folder}/events",), name="listener"
            )
            thread.start()
            try:
                wait_for_frames(daemon, listener)
                troubles = [Trouble(site, chance, begun) for site in sites]
                yield Soak(daemon.pid, listener, troubles), Stop(daemon)
            finally:
                listener.quit.set()
                thread.join()
                daemon.kill()
    finally:
        for site in sites:
            site.server.kill()


@dataclass(frozen=True, slots=True)
class Stop:
    """The end of the daemon."""

    daemon: subprocess.Popen[bytes]

    def verdicts(self, shared_before: set[str]) -> list[Verdict]:
        """Of SIGTERM, and of what is there afterwards."""
        tree = [self.daemon.pid, *descendants(self.daemon.pid)]
        asked_s = time.monotonic()
        self.daemon.send_signal(signal.SIGTERM)
        try:
            code: int | None = self.daemon.wait(10 * STOP_S)
        except subprocess.TimeoutExpired:
            code = None
        took_s = time.monotonic() - asked_s
        alive = [pid for pid in tree if is_alive(pid)]
        left = sorted({entry.name for entry in SHARED_MEMORY.iterdir()} - shared_before)
        return [
            Verdict(
                f"SIGTERM ends it within {STOP_S:g} s, with exit code 0",
                f"{took_s:.1f} s, exit code {code}",
                took_s < STOP_S and code == 0,
            ),
            Verdict("no process is left", f"{alive or 'none'}", not alive),
            Verdict(f"nothing is left in {SHARED_MEMORY}", f"{left or 'nothing'}", not left),
        ]


def wait_for_frames(daemon: subprocess.Popen[bytes], listener: Listener) -> None:
    """Until each camera is seen."""
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while [listener.states.get(camera) for camera in CAMERAS] != ["online"] * len(CAMERAS):
        if daemon.poll() is not None or time.monotonic() > deadline_s:
            raise SystemExit(f"the daemon did not start: {listener.states}")
        time.sleep(0.1)


def main() -> None:
    """Runs once; exits with 1 if a verdict is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--clip", type=Path, help="an H.264 clip that the cameras show; default: a ball")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    print(f"{machine_line()}\n{options.minutes:g} minutes, seed {options.seed}", flush=True)
    begun: Counter[str] = Counter()
    shared_before = {entry.name for entry in SHARED_MEMORY.iterdir()}
    # A socket's path may have 107 bytes.
    with (
        tempfile.TemporaryDirectory(prefix="visaged-") as name,
        soaking(options, Path(name), begun) as (soak, stop),
    ):
        soak.last(WARM_S)
        before = soak.calm()
        soak.last(options.minutes * 60)
        after = soak.calm()
        verdicts = [leak_verdict(before, after), *stop.verdicts(shared_before)]
    for what, values in (
        ("resident", [(second, float(held.resident_bytes)) for second, held in soak.memory]),
        ("of it private", [(second, float(held.private_bytes)) for second, held in soak.memory]),
    ):
        medians = windows(values)
        told = ", ".join(f"{second / 60:.0f} min {value / MEGABYTE:.1f}" for second, value in medians)
        print(f"{what}, median MB from: {told}")
        if what == "resident":
            verdicts.insert(0, memory_verdict(medians))
    print(f"faults: {', '.join(f'{name} {count}' for name, count in sorted(begun.items()))}")
    print(f"events received: {dict(soak.listener.events)}")
    for verdict in verdicts:
        print(verdict)
    sys.exit(0 if all(verdict.holds for verdict in verdicts) else 1)


if __name__ == "__main__":
    main()
