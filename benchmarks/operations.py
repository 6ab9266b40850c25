"""Counts what a piece of work asks a device to do, and how often it has to wait for the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

WAITING = ("aten::item", "aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::unique")
"""Their result's value or shape is known to the host only when the device has finished."""
FREE = ("aten::empty", "aten::new_empty", "aten::detach", "aten::resolve_")


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts on any device; what only looks at a tensor in another way costs nothing."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.computing = 0
        """Operations: each is at least one kernel on a GPU."""
        self.waiting = 0
        """Of those, the ones that a GPU's host would wait for."""

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        name = function.name()
        if not name.startswith(FREE) and (
            function._schema.is_mutable or not _shares_memory(tree_leaves(result), given)
        ):
            self.computing += 1
        # Indexing by a mask has to count its ones.
        by_mask = name.startswith("aten::index") and any(each.dtype == torch.bool for each in given)
        self.waiting += name.startswith(WAITING) or by_mask
        return result


def on_gpu(work: Callable[[], object]) -> tuple[int, int]:
    """Kernels that the work launches on CUDA, and how often the host waits, by the profiler."""
    torch.cuda.synchronize()
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        work()
    names = [event.name for event in profile.events()]
    kernels = sum(name.startswith(("cudaLaunchKernel", "cuLaunchKernel")) for name in names)
    waits = sum(name.startswith(("cudaStreamSynchronize", "cudaDeviceSynchronize")) for name in names)
    return kernels, waits


def _shares_memory(results: Iterable[object], given: list[Tensor]) -> bool:
    """Whether all results are views of what was given."""
    known = {tensor.untyped_storage().data_ptr() for tensor in given}
    tensors = [result for result in results if isinstance(result, Tensor)]
    return bool(tensors) and all(tensor.untyped_storage().data_ptr() in known for tensor in tensors)
