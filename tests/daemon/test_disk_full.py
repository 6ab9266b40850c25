"""A disk that is really full: events go out all the same, and are stored again when there is room."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq

from tests.conftest import REPOSITORY

TMPFS_KB, LEFT_KB = 12_000, 1_000
RATE = 200
WAIT_S = 60


class Bus:
    """benchmarks.bus_daemon in a process of its own, and a subscriber to all it says."""

    def __init__(self, process: subprocess.Popen[str], socket: zmq.Socket[bytes]) -> None:
        self.process = process
        self.socket = socket
        self.seen: list[tuple[str, dict[str, Any]]] = []

    def next(self) -> tuple[str, dict[str, Any]]:
        """Topic and data of the next event."""
        assert self.socket.poll(WAIT_S * 1000), "nothing came"
        topic, body = self.socket.recv_multipart()
        self.seen.append((topic.decode(), json.loads(body)["data"]))
        return self.seen[-1]

    def until(self, topic: str, **fields: Any) -> dict[str, Any]:
        """The next event of this topic prefix with these values in its data."""
        deadline_s = time.monotonic() + WAIT_S
        while time.monotonic() < deadline_s:
            name, data = self.next()
            if name.startswith(topic) and fields.items() <= data.items():
                return data
        raise AssertionError(f"no {topic} with {fields}")


@contextmanager
def bus(command: Sequence[str], folder: Path) -> Iterator[Bus]:
    """command: what comes before the interpreter. folder: where the journal is, as the process sees it."""
    options = ["--folder", str(folder), "--bind", "tcp://127.0.0.1:*", "--replay", "tcp://127.0.0.1:*"]
    arguments = [sys.executable, "-m", "benchmarks.bus_daemon", *options, "--events", "1000000"]
    process = subprocess.Popen(
        [*command, *arguments, "--rate", str(RATE)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        with zmq.Context() as context, context.socket(zmq.SUB) as socket:
            socket.set(zmq.LINGER, 0)
            socket.set(zmq.RCVHWM, 0)
            socket.subscribe("")
            socket.connect(json.loads(line)["bind"])
            yield Bus(process, socket)
    finally:
        process.kill()
        process.communicate()


def fill_and_free(full: Bus, free: Callable[[], None], most_failures: int) -> None:
    """What has to be told while the disk becomes full, is full, and has room again."""
    stored = full.until("camera/", durable=True)
    failed = full.until("daemon/journal_failed/")
    assert "journal.db" in failed["reason"]
    beat = full.until("daemon/heartbeat/")
    assert beat["journal"]["ok"] is False
    assert beat["journal"]["reason"]
    # It is tried again meanwhile.
    for _ in range(6):
        full.until("daemon/heartbeat/")
    published = [(data["durable"], data["seq"]) for topic, data in full.seen if topic.startswith("camera/")]
    assert published.count((False, None)) > RATE
    free()
    again = full.until("camera/", durable=True)
    assert again["seq"] > stored["seq"]
    topics = [topic for topic, _ in full.seen]
    failures = topics.count("daemon/journal_failed/")
    assert failures <= most_failures
    # Every number was told once, stored or not.
    told = [int(data["reason"]) for topic, data in full.seen if topic.startswith("camera/")]
    assert told == list(range(told[0], told[0] + len(told)))
    seqs = [data["seq"] for _, data in full.seen if data["seq"] is not None]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    assert full.until("daemon/heartbeat/")["journal"] == {"ok": True, "reason": None}
    full.process.terminate()
    _, log = full.process.communicate(timeout=WAIT_S)
    assert full.process.returncode == 0
    assert log.count("published without being stored") == failures
    assert log.count("stored again") == failures
    assert "Traceback" not in log


def test_a_full_disk_costs_the_numbers_and_nothing_else(tmp_path: Path) -> None:
    mount = f'mount -t tmpfs -o size={TMPFS_KB}k none "$1" && shift && exec "$@"'
    alone = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh", str(tmp_path)]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], check=False).returncode != 0:
        pytest.skip("no file system of our own: unshare --user --mount is not allowed here")
    with bus(alone, tmp_path) as full:
        # As the process sees it; unshare and sh have become the interpreter.
        inside = Path(f"/proc/{full.process.pid}/root") / tmp_path.relative_to("/")
        ballast = inside / "ballast"
        ballast.write_bytes(bytes((TMPFS_KB - LEFT_KB) << 10))
        fill_and_free(full, ballast.unlink, most_failures=1)


def test_a_limit_on_the_size_of_files_is_no_worse_than_a_full_disk(tmp_path: Path) -> None:
    with bus([], tmp_path) as full:
        _, hard = resource.prlimit(full.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(full.process.pid, resource.RLIMIT_FSIZE, (400_000, hard))
        # Each time that it is tried again, a fresh log has room for some more.
        fill_and_free(full, lambda: lift(full.process.pid, hard), most_failures=3)


def lift(pid: int, hard: int) -> None:
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
