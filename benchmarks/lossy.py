"""How soon lost packets are told, and whether whole streams are ever told to be bad.

uv run python -m benchmarks.lossy [H264_CLIP…] [--seconds 20] [--backend pyav]

Serves each clip (default: a test picture of 200 packets a second) over RTSP and plays it for so long without
a loss, then with 1 % and with 5 % of the RTP packets lost. Exit 1 where a line says `missed`. Needs what the
tests' RTSP server needs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import machine_line
from benchmarks.verdict import Verdict
from daemon.capture import Cameras
from daemon.config import CameraConfig
from daemon.frame import CameraChange, StartTime
from daemon.seeing import Seeing
from tests.daemon.rtsp import RtspServer
from tests.daemon.test_capture_rtsp import MANY_PACKETS

PERCENT = (0, 1, 5)
WITHIN_S = 8.0


@dataclass(frozen=True, slots=True)
class Played:
    """What came of one clip at one share of lost packets."""

    frames: int
    """That were read."""
    damaged: int
    """Of those, how many came with complaints."""
    told: list[tuple[float, str]]
    """Seconds after the first lost packet, and the state."""
    packets: int
    """That were lost."""


def verdict(name: str, percent: int, played: Played) -> Verdict:
    """Whether a loss was told in time, and nothing else was told."""
    lossy_s = next((after_s for after_s, state in played.told if state == "lossy"), None)
    told = ", ".join(f"{state} after {after_s:.1f} s" for after_s, state in played.told) or "nothing told"
    found = f"{told}; {played.packets} packets lost, {played.damaged} of {played.frames} frames damaged"
    if not percent:
        return Verdict(f"{name}, no packet lost: never lossy", found, lossy_s is None)
    asked = f"{name}, {percent} % of packets lost: lossy within {WITHIN_S:g} s"
    return Verdict(asked, found, lossy_s is not None and lossy_s <= WITHIN_S)


@contextmanager
def watched(clip: Path | None, backend: str) -> Iterator[tuple[RtspServer, Cameras, Seeing]]:
    """The clip, served for ever and seen."""
    with RtspServer(clip=clip, options=() if clip else MANY_PACKETS) as server:
        config = CameraConfig(name="clip", source=server.url(), backend=backend)  # type: ignore[arg-type]
        with Cameras([config], StartTime.now()) as cameras:
            yield server, cameras, Seeing([config])


def play(clip: Path | None, percent: int, seconds: float, backend: str) -> Played:
    """One clip; the loss begins when it has been seen for two seconds."""
    frames = damaged = 0
    told: list[tuple[float, str]] = []
    first_s = began_s = 0.0
    with watched(clip, backend) as (server, cameras, seeing):
        while not began_s or time.monotonic() - began_s < seconds:
            if first_s and not began_s and time.monotonic() - first_s > 2:
                server.tell(f"lose {percent}")
                began_s = time.monotonic()
            for item in seeing.watch(cameras.gather(0.2)):
                if isinstance(item, CameraChange):
                    told.append((time.monotonic(), item.state))
                else:
                    first_s = first_s or time.monotonic()
                    frames += 1
                    damaged += item.damaged > 0
        lost_s = server.lost_s()
    # Of a stream of few packets the first one is lost seconds after this is begun with.
    since_s = lost_s[0] if lost_s else began_s
    # The first is that it came online.
    return Played(frames, damaged, [(at_s - since_s, state) for at_s, state in told[1:]], len(lost_s))


def main() -> None:
    """Plays each clip three times; exits with 1 if a verdict is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", nargs="*", type=Path)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--backend", choices=("opencv", "pyav"), default="opencv")
    options = parser.parse_args()
    print(machine_line(), flush=True)
    holds = True
    for clip in options.clips or [None]:
        for percent in PERCENT:
            played = play(clip, percent, options.seconds, options.backend)
            found = verdict(clip.name if clip else "test picture", percent, played)
            print(found, flush=True)
            holds = holds and found.holds
    sys.exit(0 if holds else 1)


if __name__ == "__main__":
    main()
