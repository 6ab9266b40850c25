"""What a process and all its descendants hold: memory, descriptors, threads. Linux alone tells."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

PROCESSES = Path("/proc")
KIBIBYTE = 1024


@dataclass(frozen=True, slots=True)
class Held:
    """What one process tree holds at one moment."""

    resident_bytes: int
    """Sum over the processes; a page that two of them share counts twice."""
    private_bytes: int
    """Of it, what belongs to no file: the heaps."""
    processes: int
    """The first one counted."""
    threads: int
    """Of the first process."""
    descriptors: dict[str, int]
    """Of the first process, by kind: socket, pipe, memfd, file …"""


def held_by(pid: int) -> Held | None:
    """By this process and its descendants; None: it is gone, or one of them went while it was looked at."""
    try:
        tree = [pid, *descendants(pid)]
        memory = [_memory_of(each) for each in tree]
        threads = sum(1 for _ in (PROCESSES / str(pid) / "task").iterdir())
        return Held(
            sum(each["VmRSS"] for each in memory),
            sum(each["RssAnon"] for each in memory),
            len(tree),
            threads,
            dict(_descriptors_of(pid)),
        )
    except (OSError, KeyError):
        return None


def descendants(pid: int) -> list[int]:
    """Ids of its children, theirs, and so on, those that wait to be reaped too."""
    found = []
    for task in (PROCESSES / str(pid) / "task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *descendants(int(child))]
    return found


def is_alive(pid: int) -> bool:
    """Whether there is such a process; one that waits to be reaped is none."""
    try:
        return (PROCESSES / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _memory_of(pid: int) -> dict[str, int]:
    """Bytes by the kernel's name; one that waits to be reaped has none."""
    lines = (PROCESSES / str(pid) / "status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return {key: int(fields[key].split()[0]) * KIBIBYTE for key in ("VmRSS", "RssAnon")}


def _descriptors_of(pid: int) -> Counter[str]:
    kinds: Counter[str] = Counter()
    for entry in (PROCESSES / str(pid) / "fd").iterdir():
        try:
            target = str(entry.readlink())
        except OSError:
            continue
        if target.startswith("/memfd:"):
            kinds["memfd"] += 1
        elif target.startswith("/"):
            kinds["file"] += 1
        else:
            kinds[target.partition(":")[0]] += 1
    return kinds
