"""Which processor the nets run on: what the user asked for, what there is, and what to call it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from gallery.faces.threads import count

DRIVER_FILES = ("/dev/nvidiactl", "/dev/nvmap", "/dev/dxg", "/dev/kfd")
"""One of them is there where PyTorch may find a GPU on Linux: NVIDIA's driver, Jetson, WSL, AMD's ROCm."""

DEVICE_PATTERN = re.compile(r"auto|cpu|cuda(:\d+)?")


class DeviceUnavailable(ValueError):
    """The device that was asked for is not there or not usable."""


def resolve(device: str) -> str:
    """The device really used, "cpu" or "cuda:0" and so on; "auto" is the first usable GPU, else the CPU."""
    if not DEVICE_PATTERN.fullmatch(device):
        raise DeviceUnavailable(f"device must be auto, cpu, cuda or cuda:N, not {device!r}")
    if device == "cpu" or (device == "auto" and not _has_driver()):
        return "cpu"
    problem = _cuda_problem(_cuda_index(device))
    if problem is None:
        return f"cuda:{_cuda_index(device)}"
    if device == "auto":
        return "cpu"
    raise DeviceUnavailable(f"device {device} is not usable: {problem}; use auto or cpu")


def describe(device: str) -> str:
    """A resolved device in words, for the log and for `visaged doctor`."""
    if device == "cpu":
        threads = count()
        return f"CPU, {threads} thread{'' if threads == 1 else 's'}"
    import torch

    index = _cuda_index(device)
    return f"CUDA {index}: {torch.cuda.get_device_name(index)}"


def gpu_bytes() -> int | None:
    """What PyTorch holds of all GPUs' memory, the driver's own part apart; None: this process uses none."""
    # Whoever uses a GPU has loaded it; to ask must not.
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    reserved = [int(torch.cuda.memory_reserved(index)) for index in range(torch.cuda.device_count())]
    return sum(reserved)


def _has_driver() -> bool:
    """Whether it is worth asking PyTorch for a GPU: importing it takes seconds and half a gigabyte."""
    return sys.platform != "linux" or any(Path(file).exists() for file in DRIVER_FILES)


def _cuda_index(device: str) -> int:
    return int(device.partition(":")[2] or 0)


def _cuda_problem(index: int) -> str | None:
    """Why this GPU can't be used, or None if it computes."""
    import torch

    if not torch.cuda.is_available():
        return "this PyTorch sees no CUDA device"
    if index >= torch.cuda.device_count():
        return f"there are {torch.cuda.device_count()} CUDA devices, counted from 0"
    try:
        # A driver that is too old, or a card that this PyTorch was not built for, shows only here.
        torch.ones(1, device=f"cuda:{index}").add_(1).cpu()
    except RuntimeError as error:
        return str(error).splitlines()[0]
    return None
