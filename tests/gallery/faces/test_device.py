"""Names of devices, and what they become on this machine."""

from __future__ import annotations

import sys

import pytest
import torch

from gallery.faces import device, threads
from gallery.faces.device import DeviceUnavailable, describe, resolve


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "CPU", "", "cuda:0 "])
def test_a_name_of_no_device_is_refused_with_what_would_be_right(name: str) -> None:
    with pytest.raises(DeviceUnavailable, match="auto, cpu, cuda or cuda:N"):
        resolve(name)


def test_a_gpu_that_is_not_there_is_refused_in_one_line() -> None:
    with pytest.raises(DeviceUnavailable, match="device cuda:99 is not usable") as refused:
        resolve("cuda:99")
    assert "\n" not in str(refused.value)


def test_auto_is_the_gpu_if_there_is_one() -> None:
    assert resolve("auto") == ("cuda:0" if torch.cuda.is_available() else "cpu")


def test_where_there_is_no_driver_nobody_waits_for_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(device, "DRIVER_FILES", ["/no/such/driver"])
    monkeypatch.setitem(sys.modules, "torch", None)
    assert resolve("auto") == "cpu"
    with pytest.raises(ImportError):
        resolve("cuda")
    monkeypatch.setattr(device, "DRIVER_FILES", ["/no/such/driver", "/"])
    with pytest.raises(ImportError):
        resolve("auto")


def test_a_gpu_that_cannot_compute_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a driver that is too old for this PyTorch: CUDA is there, and its first operation fails."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no kernel image is available\nfor execution")

    monkeypatch.setattr(device, "DRIVER_FILES", ["/"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch, "ones", fail)
    assert resolve("auto") == "cpu"
    with pytest.raises(DeviceUnavailable, match="no kernel image is available; use auto or cpu"):
        resolve("cuda")


def test_the_cpu_is_described_with_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_given", 1)
    assert describe("cpu") == "CPU, 1 thread"
    monkeypatch.setattr(threads, "_given", 4)
    assert describe("cpu") == "CPU, 4 threads"
