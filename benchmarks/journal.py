"""What the journal and the bus cost: latency, throughput, and a subscriber that stands still.

uv run python -m benchmarks.journal [--folder DIR] [--seconds 30] [--rate 100] [--json]

DIR: on the disk to be measured; by default a folder of its own in the present one. The machine's own sync is
measured in turn with it, because that is most of what a stored event waits for.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import zmq

from benchmarks.machine import machine_line
from benchmarks.timing import interleaved
from daemon import events
from daemon.courier import Courier
from daemon.events import Event, Mark
from daemon.journal import Keep
from daemon.presence import Presence
from daemon.publisher import QUEUE_EVENTS, Publisher
from daemon.recorder import Recorder
from daemon.vocabulary import Life, Sighting
from gallery.matcher import RunnerUp
from gallery.people import PersonName

ROUND_EVENTS, ROUNDS = 5_000, 15
"""Of the throughput's measurement."""
WINDOW_S = 2.0
STUCK_EVENTS = 2 * QUEUE_EVENTS
ASKED = {"latency_p99_ms": 20.0, "publishing_ratio": 2.0, "shutdown_s": 5.0}

SUBSCRIBER = """
import json, sys, time, zmq
socket = zmq.Context().socket(zmq.SUB)
socket.set(zmq.RCVHWM, int(sys.argv[2]))
socket.subscribe("")
socket.connect(sys.argv[1])
came = []
while True:
    topic, body = socket.recv_multipart()
    now_ns = time.monotonic_ns()
    if topic.startswith(b"face/") and len(came) < int(sys.argv[3]):
        came.append((json.loads(body)["data"]["frame"]["index"], now_ns))
        if len(came) == int(sys.argv[3]):
            print(json.dumps(came), flush=True)
"""
"""Endpoint, RCVHWM, after how many faces to tell which came when. monotonic_ns is one clock on one host."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Milliseconds."""

    p50: float
    p90: float
    p99: float
    most: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Spread:
        """Of durations in seconds."""
        ordered = sorted(1e3 * each for each in seconds)
        cuts = [ordered[min(len(ordered) - 1, int(part * len(ordered)))] for part in (0.5, 0.9, 0.99, 1.0)]
        return cls(*(round(cut, 3) for cut in cuts))


def change(number: int, *, stored: bool = True) -> Event:
    """The event by which a door opens, or a sighting; its frame's index is the number."""
    person = PersonName("6f2c2a1e-5e0d-4f0e-8f8e-0d7b6a0b8f3c", "Barack Obama")
    other = RunnerUp("a7d0c9f4-1b7a-4a55-9a0b-2b8c1c0de001", "Joe Biden", 0.7331024)
    face = Sighting(
        camera="door",
        frame_index=number,
        frame_width=1280,
        frame_height=720,
        captured_unix_ns=time.time_ns(),
        grabbed_monotonic_ns=time.monotonic_ns(),
        box=[512.306, 188.02, 640.77, 352.4],
        landmarks=[[545.1, 250.33], [604.92, 249.7], [575.0, 286.41], [550.26, 316.8], [601.11, 315.95]],
        score=0.99973,
        person=person,
        distance=0.4128771,
        threshold=0.52,
        runner_up=other,
        reasons=(),
        model="dlib-mtcnn-1a2b3c4d5e6f7a8b",
        gallery_revision=12,
        track=str(uuid.uuid4()),
        revision=1,
        state="recognized",
        samples=3,
        stranger=None,
    )
    if not stored:
        return events.sighting(face)
    nearest = RunnerUp(person.id, person.name, 0.4128771)
    now_ns = time.time_ns()
    return events.life(Life("recognized", face, None, (nearest, other), now_ns, now_ns, None))


@contextmanager
def subscriber(endpoint: str, queue: int, tell: int = 0) -> Iterator[subprocess.Popen[str]]:
    """A plain subscriber to everything, in a process of its own."""
    command = [sys.executable, "-c", SUBSCRIBER, endpoint, str(queue), str(tell)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def bus(folder: Path) -> Iterator[tuple[Publisher, Courier]]:
    """Journal, publisher and courier, as the daemon has them."""
    recorder = Recorder(folder / f"{uuid.uuid4()}.db", uuid.uuid4().hex, Keep(1e9, 1 << 40))
    with (
        recorder,
        Publisher("tcp://127.0.0.1:*") as publisher,
        Courier(publisher, recorder, Presence(["door"], recorder.head)) as courier,
    ):
        yield publisher, courier


def latency(folder: Path, seconds: float, rate: float) -> dict[str, Spread]:
    """From handing an event over to having received it in another process.

    In turn, WINDOW_S each: events that are stored first, and sightings, which are not; and the disk's sync.
    """
    sent_ns: dict[int, int] = {}
    handing, syncs = [], []
    window = int(WINDOW_S * rate)
    count = round(seconds / WINDOW_S) * window * 2
    with (
        bus(folder) as (publisher, courier),
        subscriber(publisher.bound, 0, tell=count) as listening,
        (folder / "sync").open("wb") as file,
    ):
        assert courier.await_subscribers(1, threading.Event(), timeout_s=60)
        started_s = time.monotonic()
        for number in range(count):
            time.sleep(max(0.0, started_s + number / rate - time.monotonic()))
            event = change(number, stored=is_stored(number, window))
            sent_ns[number] = time.monotonic_ns()
            courier.send(event)
            handing.append((time.monotonic_ns() - sent_ns[number]) / 1e9)
            if number % 10 == 5:
                syncs.append(one_sync(file.fileno()))
        assert listening.stdout is not None
        came = dict(json.loads(listening.stdout.readline()))
    took_s = {number: (came[number] - sent_ns[number]) / 1e9 for number in came}
    windows = [[took_s[n] for n in range(first, first + window)] for first in range(0, count, window)]
    return {
        "stored and published": Spread.of([each for taken in windows[::2] for each in taken]),
        "the same, calmest half": Spread.of([each for taken in calmest(windows[::2]) for each in taken]),
        "published alone": Spread.of([each for taken in windows[1::2] for each in taken]),
        "handed over": Spread.of(handing),
        "one sync": Spread.of(syncs),
    }


def calmest(windows: list[list[float]]) -> list[list[float]]:
    """The half of the windows in which others left the machine and its disk to us the most."""
    return sorted(windows, key=lambda taken: Spread.of(taken).p99)[: (len(windows) + 1) // 2]


def is_stored(number: int, window: int) -> bool:
    """Whether this one is, while stored ones and sightings take turns."""
    return number // window % 2 == 0


def one_sync(descriptor: int) -> float:
    """Seconds for 16 KB, some four pages, as one commit writes them."""
    started_s = time.perf_counter()
    os.write(descriptor, bytes(16 << 10))
    os.fdatasync(descriptor)
    return time.perf_counter() - started_s


def throughput() -> dict[str, float]:
    """Publishing against pyzmq alone, the same messages to one subscriber each, round by round in turn."""
    mark = Mark(4711, 4710, uuid.uuid4().hex, durable=True)
    messages = [change(number).encode(mark) for number in range(ROUND_EVENTS)]
    with (
        zmq.Context() as context,
        context.socket(zmq.PUB) as plain,
        Publisher("tcp://127.0.0.1:*") as publisher,
    ):
        plain.set(zmq.SNDHWM, QUEUE_EVENTS)
        plain.set(zmq.LINGER, 0)
        port = plain.bind_to_random_port("tcp://127.0.0.1")
        with (
            subscriber(publisher.bound, 0),
            subscriber(f"tcp://127.0.0.1:{port}", 0),
        ):
            assert publisher.await_subscribers(1, threading.Event(), timeout_s=60)
            time.sleep(2)

            def ours() -> None:
                for topic, body in messages:
                    publisher.send_parts(topic, body)

            def theirs() -> None:
                for message in messages:
                    plain.send_multipart(message)

            times = interleaved({"ours": ours, "pyzmq": theirs}, ROUNDS)
            low, middle, high = times["pyzmq"].faster_than(times["ours"])
            return {
                "ratio": round(middle, 3),
                "ratio_low": round(low, 3),
                "ratio_high": round(high, 3),
                "ours_per_s": round(ROUND_EVENTS / times["ours"].median_ms * 1e3),
                "pyzmq_per_s": round(ROUND_EVENTS / times["pyzmq"].median_ms * 1e3),
                "overruns": publisher.overruns,
            }


def stored_per_s(folder: Path) -> float:
    """Events that journal and publisher take a second, where they come as fast as they can."""
    batch = [change(number) for number in range(ROUND_EVENTS)]
    with bus(folder) as (_, courier):
        started_s = time.monotonic()
        for event in batch:
            courier.send(event)
        courier.__exit__(None, None, None)
        return round(ROUND_EVENTS / (time.monotonic() - started_s))


def stuck(folder: Path) -> dict[str, float]:
    """Handing over while a stopped subscriber's queue fills and is full, or all read; and the end of both."""
    found: dict[str, float] = {}
    for name in ("reading", "stopped"):
        recorder = Recorder(folder / f"{name}.db", uuid.uuid4().hex, Keep(1e9, 1 << 40))
        publisher = Publisher("tcp://127.0.0.1:*")
        courier = Courier(publisher, recorder, Presence(["door"], 0))
        with recorder, subscriber(publisher.bound, 1) as listening:
            courier.__enter__()
            assert courier.await_subscribers(1, threading.Event(), timeout_s=60)
            if name == "stopped":
                listening.send_signal(signal.SIGSTOP)
            longest_s = hand_over(courier)
            started_s = time.monotonic()
            courier.__exit__(None, None, None)
            publisher.close()
            recorder.__exit__(None, None, None)
            found |= {
                f"{name}_p999_ms": round(1e3 * longest_s[int(0.999 * len(longest_s))], 3),
                f"{name}_most_ms": round(1e3 * longest_s[-1], 3),
                f"{name}_shutdown_s": round(time.monotonic() - started_s, 3),
                f"{name}_overruns": publisher.overruns,
                f"{name}_dropped": courier.dropped,
            }
            listening.send_signal(signal.SIGCONT)
    return found


def hand_over(courier: Courier) -> list[float]:
    """Seconds that each `send` took, the least first; some 4,000 a second."""
    took = []
    event = change(0)
    for number in range(STUCK_EVENTS):
        started_s = time.perf_counter()
        courier.send(event)
        took.append(time.perf_counter() - started_s)
        if number % 20 == 0:
            time.sleep(0.005)
    return sorted(took)


def main() -> None:
    """Prints the figures, and which of those that are asked for are met."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix=".journal-", dir=options.folder) as name:
        folder = Path(name)
        spreads = latency(folder, options.seconds, options.rate)
        rates = throughput()
        most = statistics.median(stored_per_s(folder) for _ in range(3))
        stopped = stuck(folder)
    met = {
        "latency_p99_ms": (spreads["stored and published"].p99, ASKED["latency_p99_ms"]),
        "publishing_ratio": (rates["ratio"], ASKED["publishing_ratio"]),
        "shutdown_s": (stopped["stopped_shutdown_s"], ASKED["shutdown_s"]),
    }
    if options.json:
        told = {"latency": {name: asdict(each) for name, each in spreads.items()}, "publishing": rates}
        print(json.dumps({**told, "stored_per_s": most, "stopped": stopped, "asked": met}, indent=2))
        return
    print(machine_line())
    print(f"{options.rate:g} events a second for {options.seconds:g} s, in ms:")
    for name, each in spreads.items():
        print(f"  {name:22} " + "  ".join(f"{key} {value:7.3f}" for key, value in asdict(each).items()))
    print(f"publishing against pyzmq alone: {rates}")
    print(f"journal and publishing, as fast as they come: {most:.0f} events a second")
    print(f"a stopped subscriber: {stopped}")
    for name, (found, limit) in met.items():
        print(f"{name}: {found:g}, asked: under {limit:g}: {'met' if found < limit else 'NOT MET'}")


if __name__ == "__main__":
    main()
