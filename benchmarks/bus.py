"""Plays everything that loses events to a subscriber, real processes all, and counts what it got.

python -m benchmarks.bus [--events 30000] [--rate 1000] [--topic camera/door/] [--curve] [--subscriber CMD]

The publisher stores numbered events at this rate. The subscriber joins late, is stopped (SIGSTOP) for five
seconds, is cut off, is killed and started again; the publisher is killed (SIGKILL) twice and started again.
In the end every stored event has to have come, in order; exactly once, but for those that the subscriber was
about when it was killed.

Your own subscriber: CMD is started with these in its environment, and killed without warning:

  VISAGED_EVENTS   endpoint of the events
  VISAGED_REPLAY   endpoint of the journal
  VISAGED_TOPICS   JSON list of the prefixes that it is to take
  VISAGED_CURSOR   path of a file for what it has to remember; while there is none, it begins at the beginning
  VISAGED_KEYS     path of its keys, as `visaged keys new` writes them; only with --curve

It prints one line for each event of these topics, {"seq": 17, "id": "…"}: that is all it does with an event.
To one that an earlier run of it may have printed it adds "redelivered": true. What has no seq does not count.
Exit code 1: something is missing, out of order, or not of the journal.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.bus_proxy import Proxy
from daemon.client import ask
from daemon.journal_reader import JournalReader

START_S = 60.0
"""For a process to begin, on a busy machine."""
QUIET_S = 20.0
"""So long after the last event nothing new may come before it counts as lost."""
RESTART_S = 1.0
POLL_S, QUIET_POLL_S = 0.05, 0.5
LOOK_BACK = 20
"""Among so many events one is numbered; the others are starts of the publisher."""


@dataclass(frozen=True)
class Trial:
    """What is played."""

    events: int = 30_000
    """Numbered events; the journal has a few more, about starts of the publisher."""
    rate: float = 1_000.0
    """Events a second."""
    topics: Sequence[str] = ("",)
    """Prefixes that the subscriber takes."""
    curve: bool = False
    """Whether keys are needed."""
    stall_s: float = 5.0
    """How long the subscriber stands still."""
    cut_s: float = 3.0
    """How long its connections are cut."""
    subscriber: Sequence[str] = (sys.executable, "-m", "benchmarks.bus_subscriber")
    """Its command."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of it: numbers of events."""

    not_stored: int
    """Numbered events that the publisher could not store: its disk did not answer. They do not count."""
    stored: int
    """In the journal, on these topics."""
    printed: int
    """Lines of the subscriber with a seq."""
    distinct: int
    """Different ids among them."""
    again: int
    """Lines with an id that had been printed before."""
    again_unmarked: int
    """Of those, how many did not say "redelivered": true."""
    missing: int
    """Stored, and never printed."""
    foreign: int
    """Printed, and not of the journal or not of these topics."""
    out_of_order: int
    """Printed for the first time after one with a higher seq."""
    publisher_starts: int
    """The first one included."""
    subscriber_starts: int
    """The first one included."""

    @property
    def passed(self) -> bool:
        """Every stored event, in order, none missing."""
        return not (self.missing or self.foreign or self.out_of_order) and self.distinct == self.stored


class Stage:
    """The processes, in a folder of their own."""

    def __init__(self, trial: Trial, folder: Path, tell: Callable[[str], None]) -> None:
        self._trial, self._folder, self._tell = trial, folder, tell
        self._began_s = time.monotonic()
        self._ports = _free_ports(2)
        self._proxies = [Proxy(port) for port in self._ports]
        self._key = _make_key(folder) if trial.curve else None
        self._publisher: subprocess.Popen[bytes] | None = None
        self._subscriber: subprocess.Popen[bytes] | None = None
        self.publisher_starts = self.subscriber_starts = 0

    def start_publisher(self) -> None:
        """Goes on after the last number that is stored."""
        bind, replay = (f"tcp://127.0.0.1:{port}" for port in self._ports)
        command = [sys.executable, "-m", "benchmarks.bus_daemon", "--folder", str(self._folder)]
        command += ["--bind", bind, "--replay", replay]
        command += ["--events", str(self._trial.events), "--rate", str(self._trial.rate)]
        command += ["--curve"] if self._trial.curve else []
        with (
            (self._folder / "publisher.log").open("ab") as log,
            (self._folder / "publisher.out").open("ab") as out,
        ):
            self._publisher = subprocess.Popen(command, stdout=out, stderr=log)
        self.publisher_starts += 1

    def start_subscriber(self) -> None:
        """With its cursor."""
        events, journal = (f"tcp://127.0.0.1:{proxy.port}" for proxy in self._proxies)
        environment = {
            **os.environ,
            "VISAGED_EVENTS": events,
            "VISAGED_REPLAY": journal,
            "VISAGED_TOPICS": json.dumps(list(self._trial.topics)),
            "VISAGED_CURSOR": str(self._folder / "cursor"),
            **({"VISAGED_KEYS": str(self._key)} if self._key else {}),
        }
        with (self._folder / "subscriber.log").open("ab") as log, self._printed.open("ab") as out:
            self._subscriber = subprocess.Popen(
                self._trial.subscriber, stdout=out, stderr=log, env=environment
            )
        self.subscriber_starts += 1

    def play(self) -> None:
        """Everything, each thing when so much of the whole is stored."""
        self.start_publisher()
        self._when(0.1, "the subscriber joins late")
        self.start_subscriber()
        self._when(0.25, f"the subscriber stands still for {self._trial.stall_s:g} s")
        self._signal_subscriber(signal.SIGSTOP)
        time.sleep(self._trial.stall_s)
        self._signal_subscriber(signal.SIGCONT)
        self._when(0.45, f"the connections are cut for {self._trial.cut_s:g} s")
        for proxy in self._proxies:
            proxy.cut()
        time.sleep(self._trial.cut_s)
        for proxy in self._proxies:
            proxy.mend()
        self._when(0.6, "the subscriber is killed")
        self._signal_subscriber(signal.SIGKILL)
        time.sleep(RESTART_S)
        self.start_subscriber()
        for share in (0.7, 0.85):
            self._when(share, "the publisher is killed")
            self._kill_publisher()
            time.sleep(RESTART_S)
            self.start_publisher()
        self._when(1.0, "everything is stored")
        self._await_quiet()

    def close(self) -> None:
        """Ends what still runs; the journal can be read then."""
        for process in (self._publisher, self._subscriber):
            if process is not None:
                process.kill()
                process.wait()
        for proxy in self._proxies:
            proxy.cut()

    def verdict(self) -> Verdict:
        """Compares the subscriber's lines with the journal's file."""
        stored = list(_stored(self._folder / "journal.db", self._trial.topics))
        lines = self._numbered_lines()
        seen: dict[str, int] = {}
        repeated = []
        for line in lines:
            if line["id"] in seen:
                repeated.append(line)
            seen.setdefault(line["id"], line["seq"])
        first = list(seen.values())
        numbered = sum(1 for _ in _stored(self._folder / "journal.db", ["camera/"]))
        return Verdict(
            not_stored=self._trial.events - numbered,
            stored=len(stored),
            printed=len(lines),
            distinct=len(seen),
            again=len(repeated),
            again_unmarked=sum(not line.get("redelivered") for line in repeated),
            missing=len({identity for identity, _ in stored} - seen.keys()),
            foreign=len(set(seen.items()) - set(stored)),
            out_of_order=sum(later < earlier for earlier, later in pairwise(first)),
            publisher_starts=self.publisher_starts,
            subscriber_starts=self.subscriber_starts,
        )

    @property
    def _printed(self) -> Path:
        return self._folder / "printed.jsonl"

    def _when(self, share: float, what: str) -> None:
        """Waits until this share of the numbered events is stored."""
        wanted = round(share * self._trial.events)
        deadline_s = time.monotonic() + START_S + wanted / self._trial.rate * 10
        while (newest := self._newest_number()) < wanted:
            if time.monotonic() > deadline_s:
                raise RuntimeError(f"event {wanted} is not stored; {self._folder}/publisher.log may say why")
            time.sleep(POLL_S)
        self._tell(f"{time.monotonic() - self._began_s:6.1f} s  {newest:6} stored  {what}")

    def _newest_number(self) -> int:
        """Of the numbered events that are stored; 0: none, or the publisher does not answer."""
        journal = f"tcp://127.0.0.1:{self._ports[1]}"
        try:
            head = ask({"op": "head"}, replay=journal, keys=self._key, timeout_s=1)["head"]
            request = {"op": "replay", "after": max(0, head - LOOK_BACK), "topics": ["camera/"]}
            newest = ask(request, replay=journal, keys=self._key, timeout_s=1)["events"]
        except TimeoutError:
            return 0
        return int(newest[-1]["event"]["data"]["reason"]) if newest else 0

    def _signal_subscriber(self, number: signal.Signals) -> None:
        assert self._subscriber is not None
        if self._subscriber.poll() is not None:
            raise RuntimeError(f"the subscriber ended by itself; {self._folder}/subscriber.log may say why")
        self._subscriber.send_signal(number)
        if number == signal.SIGKILL:
            self._subscriber.wait()

    def _kill_publisher(self) -> None:
        assert self._publisher is not None
        self._publisher.kill()
        self._publisher.wait()

    def _await_quiet(self) -> None:
        """Until the subscriber has printed the newest event, or prints nothing any more."""
        newest = max((seq for _, seq in _stored(self._folder / "journal.db", self._trial.topics)), default=0)
        count, since_s = -1, time.monotonic()
        while time.monotonic() - since_s < QUIET_S:
            printed = self._numbered_lines()
            if printed and printed[-1]["seq"] == newest:
                return
            if len(printed) != count:
                count, since_s = len(printed), time.monotonic()
            time.sleep(QUIET_POLL_S)

    def _numbered_lines(self) -> list[dict[str, Any]]:
        """What the subscriber printed of stored events; a line that a kill broke off was not its own yet."""
        content = self._printed.read_bytes()
        lines = [json.loads(line) for line in content[: content.rfind(b"\n") + 1].splitlines()]
        return [line for line in lines if line["seq"] is not None]


def play(trial: Trial, folder: Path, tell: Callable[[str], None] = print) -> Verdict:
    """One trial from beginning to end, in an empty folder."""
    stage = Stage(trial, folder, tell)
    try:
        stage.play()
    finally:
        stage.close()
    return stage.verdict()


def main() -> int:
    """Plays what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=Trial.events)
    parser.add_argument("--rate", type=float, default=Trial.rate)
    parser.add_argument("--topic", action="append", metavar="PREFIX")
    parser.add_argument("--curve", action="store_true")
    parser.add_argument(
        "--stall-s", type=float, default=Trial.stall_s, help="20 at 2,000 a second: it overflows"
    )
    parser.add_argument("--subscriber", metavar="CMD", type=shlex.split, default=Trial.subscriber)
    options = parser.parse_args()
    trial = Trial(
        options.events,
        options.rate,
        options.topic or ("",),
        options.curve,
        options.stall_s,
        subscriber=options.subscriber,
    )
    with tempfile.TemporaryDirectory(prefix="visaged-bus-") as folder:
        verdict = play(trial, Path(folder))
    for name, value in asdict(verdict).items():
        print(f"{value:8} {name.replace('_', ' ')}")
    print("passed" if verdict.passed else "FAILED")
    return 0 if verdict.passed else 1


def _stored(journal: Path, topics: Sequence[str]) -> Iterator[tuple[str, int]]:
    """id and seq of each event that the journal holds, from its file."""
    after = 0
    with JournalReader(journal) as reader:
        while True:
            page = reader.page(after, topics)
            for _, body in page.events:
                event = json.loads(body)
                after = event["data"]["seq"]
                yield event["id"], after
            if not page.more:
                return


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [server.getsockname()[1] for server in servers]


def _make_key(folder: Path) -> Path:
    """Lets the subscriber in, and says with which file."""
    from daemon.keys import Keyring, new_pair, write_client_file

    keyring, pair = Keyring.load(folder), new_pair()
    keyring.add("subscriber", pair.public, time.time_ns())
    write_client_file(folder / "subscriber.key", "subscriber", pair, keyring.server.public)
    return folder / "subscriber.key"


if __name__ == "__main__":
    sys.exit(main())
