"""Many small pieces of work side by side, one core each.

The nets' convolutions are small. Spread over cores one at a time, the cores wait for each other after each,
and all wait when another program takes one; with whole strips and whole chunks side by side they don't.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Lock, local
from typing import TypeVar, TypeVarTuple

import torch

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")

_lock = Lock()
_own = local()
_pools: dict[int, ThreadPoolExecutor] = {}


def each(function: Callable[[*Arguments], Result], tasks: Sequence[tuple[*Arguments]]) -> list[Result]:
    """The function's result for each task, in order, on as many threads as torch was given.

    Gradients are never recorded.
    """
    threads = count()
    if threads == 1 or len(tasks) < 2:
        return [_alone(function, task) for task in tasks]
    return list(_pool(threads).map(lambda task: _alone(function, task), tasks))


def count() -> int:
    """How many threads work side by side: as many as torch was given, also when one of them asks."""
    threads: int = getattr(_own, "threads", 0) or torch.get_num_threads()
    return threads


def _alone(function: Callable[[*Arguments], Result], task: tuple[*Arguments]) -> Result:
    with torch.inference_mode():
        return function(*task)


def _pool(threads: int) -> ThreadPoolExecutor:
    """The threads that work; torch computes on one core in each of them."""
    with _lock:
        if threads not in _pools:
            pool = ThreadPoolExecutor(threads, "mtcnn")
            started = Barrier(threads)
            list(pool.map(_compute_alone, [threads] * threads, [started] * threads))
            # Threads to come elsewhere take the last number that was set.
            torch.set_num_threads(threads)
            _pools[threads] = pool
        return _pools[threads]


def _compute_alone(threads: int, started: Barrier) -> None:
    _own.threads = threads
    # A thread takes the last number set for all when it first asks, and only then keeps one of its own.
    torch.get_num_threads()
    torch.set_num_threads(1)
    started.wait()
