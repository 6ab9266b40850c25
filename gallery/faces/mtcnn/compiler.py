"""Has numba compile the loops over pixels, beside the work, once there is work to do.

Importing numba and compiling takes one to five seconds, which the first detection shall not wait for; until
the loops are ready PyTorch computes the same numbers. What is compiled is kept on disk where a folder can be
written (next to the code, or in the user's cache, or in $NUMBA_CACHE_DIR), else compiled at each start.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from gallery.faces.mtcnn import loops

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loops:
    """The functions of loops.py, compiled; they let other Python threads run."""

    average_strip: Callable[..., None]
    average_crops: Callable[..., None]
    pool_pnet: Callable[..., None]
    pool: Callable[..., None]


_lock = threading.Lock()
_ready: Loops | None = None
_loading: threading.Thread | None = None


def ready() -> Loops | None:
    """The compiled loops, or None as long as there are none."""
    return _ready


def load_soon() -> None:
    """Start loading, once, and return."""
    global _loading
    if _loading is None:
        _loading = threading.Thread(target=load, name="mtcnn-compiler")
        _loading.start()


def load() -> None:
    """Have the loops compiled now."""
    global _ready
    with _lock:
        if _ready is not None:
            return
        try:
            _ready = _compiled()
        except ImportError as error:
            logger.warning("numba is not usable, so that finding faces takes half as long again: %s", error)


def _compiled() -> Loops:
    strip = "void(i4[:,::1], i8[::1], i8[::1], i8[::1], i8[::1], f4[::1], f4[::1], f4[:,::1])"
    return Loops(
        _compile(loops.average_strip, strip),
        _compile(loops.average_crops, "void(i4[:,::1], i8[:,::1], f4[:,:,::1])"),
        _compile(loops.pool_pnet, "void(f4[:,:,:,::1], f4[::1], f4[:,:,:,::1])"),
        _compile(loops.pool, "void(f4[:,:,:,::1], f4[::1], i8, f4[:,:,:,::1])"),
    )


def _compile(function: Callable[..., None], signature: str) -> Callable[..., None]:
    import numba

    def compiled(cache: bool) -> Callable[..., None]:
        # Divisions by zero don't happen; numba need not look.
        jit = numba.njit(signature, nogil=True, cache=cache, error_model="numpy")
        result: Callable[..., None] = jit(function)
        return result

    try:
        return compiled(cache=True)
    except RuntimeError:
        # numba found no folder that it may write to.
        return compiled(cache=False)
