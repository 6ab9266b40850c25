"""Where machine code is kept between starts, and how damaged or foreign files are told from good ones."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from platformdirs import user_cache_path

MOST = 8
"""Files of one kind that are kept: versions before this one, and other processors with the same home."""
DIGEST_BYTES = 32
"""SHA-256 of what follows, at the beginning of each file."""


def read(name: str) -> bytes | None:
    """What was kept under this name; None: nothing, or nothing whole, or somebody else put it there."""
    for folder in folders():
        with suppress(OSError), (folder / name).open("rb") as file:
            # Whoever may write it decides what this process does.
            if os.fstat(file.fileno()).st_uid not in (0, os.geteuid()):
                continue
            digest, content = file.read(DIGEST_BYTES), file.read()
            if hashlib.sha256(content).digest() == digest:
                return content
    return None


def write(name: str, content: bytes) -> Path | None:
    """Keeps it in the first folder that can be written; None: there is none. name: kind-digest.o."""
    for folder in folders():
        with suppress(OSError):
            return _write(folder, name, content)
    return None


def folders() -> Iterator[Path]:
    """$NUMBA_CACHE_DIR alone where it is set; else next to the code, then the user's cache."""
    given = os.environ.get("NUMBA_CACHE_DIR")
    if given:
        yield Path(given)
        return
    yield Path(__file__).parent / "__pycache__"
    yield user_cache_path("visaged")


def _write(folder: Path, name: str, content: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    handle, unfinished = tempfile.mkstemp(prefix=f".{name}-", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(content).digest() + content)
        # As a whole or not at all, however many processes start at once.
        written = Path(unfinished).replace(folder / name)
    except OSError:
        Path(unfinished).unlink(missing_ok=True)
        raise
    _forget_oldest(folder, name.partition("-")[0])
    return written


def _forget_oldest(folder: Path, kind: str) -> None:
    with suppress(OSError):
        files = sorted(folder.glob(f"{kind}-*.o"), key=lambda file: file.stat().st_mtime)
        for file in files[:-MOST]:
            file.unlink()
