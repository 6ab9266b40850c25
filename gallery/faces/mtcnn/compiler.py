"""Has numba compile the nets, beside the work, once there is work to do.

Importing numba takes a second and compiling ten, which the first detection shall not wait for; until the
functions are ready PyTorch computes the same numbers. What is compiled is kept on disk where a folder can be
written (next to the code, or in the user's cache, or in $NUMBA_CACHE_DIR), else compiled at each start.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from gallery.faces.compiling import compiled

if TYPE_CHECKING:
    from gallery.faces.mtcnn.compiled.nets import CompiledNets

logger = logging.getLogger(__name__)

_lock = threading.Lock()
_ready: CompiledNets | None = None
_loading: threading.Thread | None = None


def ready() -> CompiledNets | None:
    """What is compiled, or None as long as nothing is."""
    return _ready


def load_soon() -> None:
    """Start loading, once, and return."""
    global _loading
    if _loading is None:
        _loading = threading.Thread(target=load, name="mtcnn-compiler")
        _loading.start()


def load() -> None:
    """Have them compiled now."""
    global _ready
    with _lock:
        if _ready is not None:
            return
        try:
            _ready = _compiled()
        except ImportError as error:
            logger.warning("numba is not usable, so that finding faces takes twice as long: %s", error)


def _compiled() -> CompiledNets:
    from gallery.faces.mtcnn.compiled.nets import CompiledNets

    return CompiledNets(compiled)
