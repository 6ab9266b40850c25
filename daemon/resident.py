"""How much memory this process holds."""

from __future__ import annotations

import resource
import sys

MEGABYTE = 1_000_000


def resident_bytes() -> int | None:
    """Resident memory; its peak where the present is not told, None where nothing is."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        # macOS gives bytes.
        return (peak if sys.platform == "darwin" else peak * 1024) or None


def megabytes(count: int | None) -> float | None:
    """Of 10**6 bytes, to a tenth."""
    return None if count is None else round(count / MEGABYTE, 1)
