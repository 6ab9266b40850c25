"""The daemon's bus alone, as a process to be killed: numbered events at a rate, from no camera at all.

python -m benchmarks.bus_daemon --folder DIR --bind ENDPOINT --replay ENDPOINT --events 30000 --rate 1000

Event number k (from 1) says so in data.reason. Started again on the same folder, it goes on after the last
number that the journal holds, so that each number has one seq, ever. After the last it goes on with
heartbeats, until SIGTERM.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import threading
import time
import uuid
from pathlib import Path

from daemon import events
from daemon.courier import Courier
from daemon.frame import CameraChange
from daemon.journal import Keep
from daemon.journal_reader import JournalReader
from daemon.keys import Keyring
from daemon.presence import Presence
from daemon.publisher import Publisher
from daemon.recorder import Recorder
from daemon.replay_server import ReplayServer

CAMERAS = ("door", "gate", "yard")
STATES = ("offline", "online")
HEARTBEAT_S = 1.0
TICK_S = 0.002


def numbered(number: int) -> events.Event:
    """Event number k: camera/<one of CAMERAS>/<one of STATES>/, the number in data.reason."""
    camera, state = CAMERAS[number % len(CAMERAS)], STATES[number // len(CAMERAS) % len(STATES)]
    assert state in ("offline", "online")
    return events.camera(CameraChange(camera, "online" if state == "online" else "offline", str(number)))


def last_number(journal: Path) -> int:
    """The number of the newest event of ours in the journal; 0: none."""
    if not journal.exists():
        return 0
    with JournalReader(journal) as reader:
        _, head = reader.bounds()
        for after in range(head - 1, -1, -1):
            for topic, body in reader.page(after, ["camera/"], 1).events:
                assert topic
                return int(json.loads(body)["data"]["reason"])
    return 0


def main() -> None:
    """Until a signal."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--bind", required=True)
    parser.add_argument("--replay", required=True)
    parser.add_argument("--events", type=int, default=30_000)
    parser.add_argument("--rate", type=float, default=1_000.0)
    parser.add_argument("--keep-mb", type=int, default=512)
    parser.add_argument("--curve", action="store_true", help="only for whom DIR/keys lets in")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    journal = options.folder / "journal.db"
    recorder = Recorder(journal, uuid.uuid4().hex, Keep(86_400.0, options.keep_mb * 1_000_000))
    presence = Presence(CAMERAS, recorder.head)
    keyring = Keyring.load(options.folder) if options.curve else None
    with (
        recorder,
        Publisher(options.bind, keyring=keyring) as publisher,
        ReplayServer(options.replay, recorder, presence, keyring=keyring) as replay,
        Courier(publisher, recorder, presence) as courier,
    ):
        done = last_number(journal)
        print(
            json.dumps({"bind": publisher.bound, "replay": replay.bound, "continues_after": done}), flush=True
        )
        courier.send(events.daemon(events.Started("0", "no nets", "none", 0, CAMERAS)))
        emit(courier, stop, done, options.events, options.rate)
        courier.send(events.daemon(events.Stopping("a signal asked for it")))


def emit(courier: Courier, stop: threading.Event, done: int, count: int, rate: float) -> None:
    """The numbers after `done`, paced; and a heartbeat once a second until the stop."""
    started_s = beaten_s = time.monotonic()
    sent = done
    while not stop.wait(TICK_S):
        courier.check()
        now_s = time.monotonic()
        due = min(count, done + int((now_s - started_s) * rate))
        for number in range(sent + 1, due + 1):
            courier.send(numbered(number))
            if number == count:
                print(json.dumps({"sent": count}), flush=True)
        sent = max(sent, due)
        if now_s - beaten_s >= HEARTBEAT_S:
            beaten_s = now_s
            pulses = [events.CameraPulse(name, "online", 0, 0, 0, []) for name in CAMERAS]
            courier.send(
                events.daemon(events.Heartbeat(round(now_s - started_s, 3), courier.overruns, pulses))
            )


if __name__ == "__main__":
    main()
