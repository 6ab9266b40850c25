"""Many small pieces of work side by side, one core each.

The nets' convolutions are small. Spread over cores one at a time, the cores wait for each other after each,
and all wait when another program takes one; with whole strips and whole chunks side by side they don't.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Lock, local
from typing import TypeVar, TypeVarTuple

from gallery.faces import threads as libraries

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")

_lock = Lock()
_own = local()
_pools: dict[tuple[int, bool], ThreadPoolExecutor] = {}


def each(function: Callable[[*Arguments], Result], tasks: Sequence[tuple[*Arguments]]) -> list[Result]:
    """The function's result for each task, in order, on as many threads as libraries were given."""
    threads = count()
    if threads == 1 or len(tasks) < 2:
        return [function(*task) for task in tasks]
    return list(_pool(threads).map(lambda task: function(*task), tasks))


def count() -> int:
    """How many threads work side by side, also when one of them asks."""
    threads: int = getattr(_own, "threads", 0) or libraries.count()
    return threads


def _pool(threads: int) -> ThreadPoolExecutor:
    """The threads that work; torch, where it is loaded, computes on one core in each of them."""
    with_torch = "torch" in sys.modules
    with _lock:
        if (threads, with_torch) not in _pools:
            pool = ThreadPoolExecutor(threads, "mtcnn")
            started = Barrier(threads)
            list(pool.map(_compute_alone, [threads] * threads, [started] * threads, [with_torch] * threads))
            if with_torch:
                # Threads to come elsewhere take the last number that was set.
                sys.modules["torch"].set_num_threads(threads)
            _pools[threads, with_torch] = pool
        return _pools[threads, with_torch]


def _compute_alone(threads: int, started: Barrier, with_torch: bool) -> None:
    _own.threads = threads
    if with_torch:
        torch = sys.modules["torch"]
        # A thread takes the last number set for all when it first asks, and only then keeps one of its own.
        torch.get_num_threads()
        torch.set_num_threads(1)
    started.wait()
