"""Fuzzes and floods the replay socket of a real process: does it live, stay quick, and stay small?

uv run python -m benchmarks.hostile [--requests 10000] [--flood-seconds 5] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import zmq
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from benchmarks.machine import machine_line

EVENTS = 2_000
WAIT_MS = 20_000
ANEW = 300
"""Requests of one peer, before another one goes on: nobody is told to slow down then."""
CUT_OFF_BYTES = 64 << 10
MOST_GROWTH_MB = 20.0

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(0, 3_000)
    | st.floats()
    | st.text(max_size=40)
    | st.sampled_from(
        ["head", "replay", "present", "face/", "camera/door/", "2026-03-01T08:30:00Z", "-0001-01-01"]
    )
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(["op", "id", "after", "since", "limit", "topics", "x"])
NEARLY = st.fixed_dictionaries(
    {"op": st.sampled_from(["head", "replay", "present"])},
    optional={"id": VALUES, "after": VALUES, "since": VALUES, "limit": VALUES, "topics": VALUES},
)
RIGHT = st.fixed_dictionaries(
    {"op": st.just("replay"), "after": st.integers(0, 3_000)},
    optional={
        "limit": st.integers(1, 600),
        "topics": st.lists(
            st.sampled_from(["", "camera/", "camera/gate/online/", "daemon/", "x"]), max_size=4
        ),
    },
)
HUGE = st.builds(lambda byte, length: bytes([byte]) * length, st.integers(0, 255), st.integers(0, 90_000))
NESTED = st.builds(lambda depth: b'{"op":' + b"[" * depth + b"]" * depth + b"}", st.integers(0, 4_000))
REQUESTS = (
    st.binary(max_size=200)
    | HUGE
    | NESTED
    | (VALUES | st.dictionaries(KEYS, VALUES) | NEARLY | RIGHT).map(lambda value: json.dumps(value).encode())
    | st.builds(
        lambda value, at: value[:at], NEARLY.map(lambda value: json.dumps(value).encode()), st.integers(0, 90)
    )
)
MESSAGES = st.lists(REQUESTS, min_size=1, max_size=1) | st.lists(
    st.just(b"") | REQUESTS | st.binary(max_size=10), min_size=1, max_size=5
)
"""Frames of one message."""


@dataclass(frozen=True, slots=True)
class Found:
    """What it did to the process."""

    requests: int
    """Sent by the fuzzer."""
    answered: int
    """With one JSON object each."""
    errors: int
    """Of these, how many told one."""
    cut_off: int
    """Peers that sent a frame that is too long."""
    growth_mb: float
    """Resident memory after it, less before."""
    honest_ms: tuple[float, float, float]
    """Median time of an honest peer's page, before, meanwhile and after."""


class Victim:
    """benchmarks.bus_daemon, and what can be seen of it from outside."""

    def __init__(self, process: subprocess.Popen[str], replay: str) -> None:
        self.process = process
        self.replay = replay

    @property
    def resident_mb(self) -> float:
        """Of the process."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))

    @property
    def cpu_s(self) -> float:
        """Of all its threads, since its start."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100


@contextmanager
def victim() -> Iterator[Victim]:
    """Running, with a journal of EVENTS events."""
    with tempfile.TemporaryDirectory(prefix="visaged-") as folder:
        places = ["--bind", "tcp://127.0.0.1:*", "--replay", "tcp://127.0.0.1:*"]
        command = [sys.executable, "-m", "benchmarks.bus_daemon", "--folder", folder, *places]
        with subprocess.Popen(
            [*command, "--events", str(EVENTS)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            try:
                assert process.stdout is not None
                replay = json.loads(process.stdout.readline())["replay"]
                assert json.loads(process.stdout.readline()) == {"sent": EVENTS}
                yield Victim(process, replay)
            finally:
                process.kill()


@contextmanager
def peer(endpoint: str) -> Iterator[zmq.Socket[bytes]]:
    """A DEALER."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.set(zmq.LINGER, 0)
        socket.connect(endpoint)
        yield socket


def answer_to(socket: zmq.Socket[bytes], *frames: bytes) -> dict[str, Any]:
    """The one answer, as JSON; fails if none comes."""
    socket.send_multipart(frames)
    assert socket.poll(WAIT_MS), f"no answer to {frames!r:.200}"
    answer = json.loads(socket.recv_multipart()[-1])
    assert isinstance(answer, dict)
    return answer


def honest_ms(endpoint: str, count: int = 40) -> list[float]:
    """Milliseconds of pages that somebody needs, now and then."""
    took = []
    with peer(endpoint) as socket:
        for number in range(count):
            started_s = time.perf_counter()
            answer = answer_to(
                socket, json.dumps({"op": "replay", "after": number * 10, "limit": 20}).encode()
            )
            assert len(answer["events"]) == 20
            took.append((time.perf_counter() - started_s) * 1e3)
            time.sleep(0.01)
    return took


def fuzz(attacked: Victim, requests: int, seed: int = 0) -> tuple[int, int, int]:
    """Sends so many messages; each gets one answer, or its sender is cut off. Answers, errors, cut off."""
    counts = {"answered": 0, "errors": 0, "cut_off": 0, "sent": 0}
    with zmq.Context() as context:
        socket = connected(context, attacked.replay)

        @settings(
            max_examples=requests,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(MESSAGES)
        def attack(frames: list[bytes]) -> None:
            nonlocal socket
            counts["sent"] += 1
            too_long = [frame for frame in frames if len(frame) > CUT_OFF_BYTES]
            if too_long:
                # Alone: libzmq 4.3.5 aborts a peer (session_base.cpp:233) that is cut off within a message of
                # several frames while it closes its socket.
                socket.send(too_long[0])
                counts["cut_off"] += 1
            else:
                answer = answer_to(socket, *frames)
                counts["answered"] += 1
                counts["errors"] += "error" in answer
                assert answer.get("error") != "slow down"
                if counts["sent"] % ANEW:
                    return
            socket.close(0)
            socket = connected(context, attacked.replay)

        attack()
        socket.close(0)
    assert attacked.process.poll() is None, "it ended"
    return counts["answered"], counts["errors"], counts["cut_off"]


def connected(context: zmq.Context[zmq.Socket[bytes]], endpoint: str) -> zmq.Socket[bytes]:
    """Another peer."""
    socket = context.socket(zmq.DEALER)
    socket.set(zmq.LINGER, 1_000)
    socket.connect(endpoint)
    return socket


def fuzzed(attacked: Victim, requests: int) -> Found:
    """Fuzzes it, while an honest peer goes on asking."""
    fuzz(attacked, 200)
    before_ms = statistics.median(honest_ms(attacked.replay))
    before_mb = attacked.resident_mb
    meanwhile: list[float] = []
    over = threading.Event()

    def go_on() -> None:
        while not over.is_set():
            meanwhile.extend(honest_ms(attacked.replay, 5))

    honest = threading.Thread(target=go_on)
    honest.start()
    try:
        answered, errors, cut_off = fuzz(attacked, requests)
    finally:
        over.set()
        honest.join()
    after_ms = statistics.median(honest_ms(attacked.replay))
    took = (round(before_ms, 2), round(statistics.median(meanwhile), 2), round(after_ms, 2))
    return Found(requests, answered, errors, cut_off, round(attacked.resident_mb - before_mb, 1), took)


def flooded(attacked: Victim, seconds: float) -> dict[str, float]:
    """One peer asks for whole pages as fast as it can and reads nothing; what an honest one sees."""
    before_ms, before_mb = statistics.median(honest_ms(attacked.replay)), attacked.resident_mb
    over = threading.Event()

    def flood() -> None:
        with peer(attacked.replay) as socket:
            while not over.is_set():
                if socket.poll(10, zmq.POLLOUT):
                    socket.send(b'{"op":"replay","after":0}')

    flooding = threading.Thread(target=flood)
    flooding.start()
    started_s, cpu_s = time.monotonic(), attacked.cpu_s
    meanwhile: list[float] = []
    while time.monotonic() - started_s < seconds:
        meanwhile += honest_ms(attacked.replay, 5)
    cores = (attacked.cpu_s - cpu_s) / (time.monotonic() - started_s)
    grown_mb = attacked.resident_mb - before_mb
    over.set()
    flooding.join()
    return {
        "honest_before_ms": round(before_ms, 2),
        "honest_meanwhile_ms": round(statistics.median(meanwhile), 2),
        "cores": round(cores, 3),
        "growth_mb": round(grown_mb, 1),
    }


def main() -> None:
    """Prints what it found; exit code 1 where it grew too much."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--flood-seconds", type=float, default=5.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with victim() as attacked:
        started_s = time.monotonic()
        found = fuzzed(attacked, options.requests)
        took_s = round(time.monotonic() - started_s, 1)
        flood = flooded(attacked, options.flood_seconds)
        attacked.process.terminate()
        ended_s = time.monotonic()
        code = attacked.process.wait(10)
        stop_s = round(time.monotonic() - ended_s, 2)
    if options.json:
        print(json.dumps({"fuzz": asdict(found), "flood": flood, "exit": code, "stop_s": stop_s}, indent=2))
    else:
        print(machine_line())
        print(f"fuzzed for {took_s} s: {found}")
        print(f"flooded: {flood}")
        print(f"grew by {found.growth_mb} MB, asked: under {MOST_GROWTH_MB:g}")
        print(f"ended with {code} after {stop_s} s")
    sys.exit(int(found.growth_mb > MOST_GROWTH_MB or code != 0))


if __name__ == "__main__":
    main()
