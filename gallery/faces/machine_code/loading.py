"""Loads machine code and calls it: a tenth of a second, where numba's own way takes three.

The functions were compiled by numba in another process (building.py), so that neither its second of importing
nor its memory are this process's. LLVM alone, which llvmlite brings, puts them where they can be called.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gallery.faces.machine_code import NoMachineCode, kept

logger = logging.getLogger(__name__)

FAILED = -(1 << 63)
"""Returned in place of a result: there was no memory for a function's own arrays."""

ROOT = Path(__file__).parents[3]
"""From where the package can be imported."""

_lock = threading.Lock()
_compiling: set[subprocess.Popen[bytes]] = set()
_ending = False

Argument: TypeAlias = "int | NDArray[Any] | Words | tuple[Argument, ...]"


@dataclass(frozen=True, slots=True)
class Source:
    """Functions that are compiled and kept together."""

    name: str
    """Of the file that keeps them."""
    module: str
    """Its FUNCTIONS are them: name to function and numba's signature of it."""
    functions: tuple[str, ...]
    """Their names."""
    folders: tuple[Path, ...]
    """All code that they are made of; with any line of it, what was kept is no longer theirs."""


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """Arguments that stay, as they are handed over."""

    words: tuple[int, ...]
    arguments: tuple[object, ...]
    """Kept, as the words point into them."""


class Function:
    """Machine code; other Python threads run meanwhile."""

    def __init__(self, address: int, library: object) -> None:
        self._run = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(address)
        self._library = library

    def __call__(self, *arguments: Argument) -> int:
        """Its result, 0 if it has none. Arrays are of just the types in its signature, each in one piece:
        nothing is checked.
        """
        words = array("q", _words(arguments))
        result: int = self._run(words.buffer_info()[0])
        if result == FAILED:
            raise MemoryError("no room for a net's own arrays")
        return result


def ready(*arguments: Argument) -> Words:
    """Arguments of many calls, prepared once."""
    return Words(tuple(_words(arguments)), arguments)


def load(source: Source) -> dict[str, Function]:
    """Its functions by name, compiled first where they are not kept; NoMachineCode where they can't be."""
    from gallery.faces.machine_code.processor import processor

    try:
        versions = [version("numba"), version("llvmlite")]
    except PackageNotFoundError as missing:
        raise NoMachineCode(f"{missing.name} is not installed") from None
    name = f"{source.name}-{_digest(source, [sys.platform, *processor(), *versions])}.o"
    code = kept.read(name)
    if code is None:
        code = _compiled(source, processor())
        if kept.write(name, code) is None:
            logger.warning("machine code can be kept nowhere, each start compiles it: set NUMBA_CACHE_DIR")
    try:
        return _linked(code, processor(), source.functions)
    except RuntimeError as error:
        raise NoMachineCode(f"LLVM can't load {name}: {error}") from None


def _linked(code: bytes, processor: tuple[str, str], names: Sequence[str]) -> dict[str, Function]:
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    machine = binding.Target.from_default_triple().create_target_machine(*processor)
    library = binding.create_mcjit_compiler(binding.parse_assembly(""), machine)
    library.add_object_file(binding.ObjectFileRef.from_data(code))
    library.finalize_object()
    return {name: Function(library.get_function_address(name), library) for name in names}


def give_up() -> None:
    """The process is to end: what compiles is ended; who waits for it, or comes later, gets SystemExit."""
    global _ending
    with _lock:
        _ending = True
        for child in _compiling:
            child.kill()


def is_compiling() -> bool:
    """Whether a process of ours is at it, which may take minutes on a slow computer. For any thread."""
    with _lock:
        return bool(_compiling)


def _compiled(source: Source, processor: tuple[str, str]) -> bytes:
    """Made in a process of its own."""
    logger.warning("compiling %s's nets for this processor: 10 to 30 seconds, this once", source.name)
    started_s = time.monotonic()
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    variables = {
        "PYTHONPATH": os.pathsep.join(paths),
        "NUMBA_CPU_NAME": processor[0],
        "NUMBA_CPU_FEATURES": processor[1],
    }
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", "gallery.faces.machine_code.building", source.module],
            env=os.environ | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Ctrl-C is for us; we end it.
            start_new_session=True,
        )
    except OSError as error:
        raise NoMachineCode(f"no process to compile {source.name}'s nets: {error.strerror}") from None
    try:
        with _lock:
            _compiling.add(child)
            if _ending:
                child.kill()
        code, complaint = child.communicate()
    finally:
        child.kill()
        child.wait()
        with _lock:
            _compiling.discard(child)
    if _ending:
        raise SystemExit(1)
    if child.returncode:
        last = complaint.decode(errors="replace").strip().splitlines()[-1:]
        raise NoMachineCode(f"{source.name}'s nets can't be compiled: {''.join(last)}")
    logger.info("compiled in %.0f s", time.monotonic() - started_s)
    return code


def _digest(source: Source, made_for: Sequence[str]) -> str:
    """Changes with any line of the code, with the processor and with the compiler."""
    folders = (Path(__file__).parent, *source.folders)
    files = [file.read_bytes() for folder in folders for file in sorted(folder.glob("*.py"))]
    texts = [text.encode() for text in made_for]
    return hashlib.sha256(b"\0".join([*files, *texts])).hexdigest()[:16]


def _words(arguments: Sequence[Argument]) -> Iterator[int]:
    """As numba hands them over: of an array its owner, twice nobody, and its size and shape; tuples flat."""
    for each in arguments:
        if isinstance(each, np.ndarray):
            yield from (0, 0, each.size, each.itemsize, each.ctypes.data, *each.shape, *each.strides)
        elif isinstance(each, int):
            yield each
        else:
            yield from each.words if isinstance(each, Words) else _words(each)
