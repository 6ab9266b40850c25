"""Freed memory goes back to the system, but not while cameras keep their sizes."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from gallery.faces.memory import SIZES_A_TRIM, Tidier
from tests.conftest import REPOSITORY


def test_pictures_of_a_few_sizes_never_cause_a_trim() -> None:
    tidier = Tidier()
    sizes = [(height, 640, 3) for height in range(SIZES_A_TRIM - 1)]
    assert not any(tidier.saw(sizes) for _ in range(10))


def test_memory_goes_back_each_time_that_so_many_new_sizes_came() -> None:
    tidier = Tidier()
    trimmed = [tidier.saw([(height, 640, 3)]) for height in range(3 * SIZES_A_TRIM)]
    assert [index + 1 for index, was in enumerate(trimmed) if was] == [
        SIZES_A_TRIM,
        2 * SIZES_A_TRIM,
        3 * SIZES_A_TRIM,
    ]


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="this C library has no such call")
def test_what_lies_between_pieces_in_use_is_given_back() -> None:
    """50 MB in pieces of 20 KB, of which every hundredth is kept."""
    code = """
import ctypes
from pathlib import Path
from gallery.faces.memory import give_back

def megabytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
pieces = [libc.malloc(20_000) for _ in range(2_500)]
for piece in pieces:
    ctypes.memset(ctypes.c_void_p(piece), 1, 20_000)
for index, piece in enumerate(pieces):
    if index % 100:
        libc.free(ctypes.c_void_p(piece))
before = megabytes()
give_back()
print(before - megabytes() > 30)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY)
    assert (done.stdout.strip(), done.returncode) == ("True", 0), done.stderr
