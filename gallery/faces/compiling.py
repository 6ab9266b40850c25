"""Has numba compile a function, and keep the machine code on disk where a folder can be written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

Function = Callable[..., Any]


def compiled(function: Function, signature: str) -> Function:
    """The function for arguments of this signature, as machine code that lets other Python threads run.

    Kept next to the code, or in the user's cache, or in $NUMBA_CACHE_DIR; ImportError without numba.
    """
    import numba

    def for_now(cache: bool) -> Function:
        # Divisions by zero don't happen; numba need not look.
        jit = numba.njit(signature, nogil=True, cache=cache, error_model="numpy")
        result: Function = jit(function)
        return result

    try:
        return for_now(cache=True)
    except RuntimeError:
        # numba found no folder that it may write to.
        return for_now(cache=False)


def stamp(*folders: Path) -> str:
    """Changes with any line of the files there: numba itself looks only at the file of a function."""
    files = sorted(file for folder in folders for file in folder.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
