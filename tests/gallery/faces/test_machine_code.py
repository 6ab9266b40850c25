"""Machine code is made once, kept, and loaded without numba; and what happens where that can't be."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest

from gallery.faces.detector import MtcnnDetector
from gallery.faces.dlib_compiled import net as dlib_net
from gallery.faces.encoder import DlibEncoder
from gallery.faces.machine_code import NoMachineCode, kept, loading
from gallery.faces.machine_code.loading import Source, load, ready
from gallery.faces.mtcnn.compiled import nets as mtcnn_nets
from tests.conftest import REPOSITORY

pytest.importorskip("llvmlite")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def source(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(cache))
    return Source("small", "tests.gallery.faces.small_functions", ("total", "fill"), (tmp_path,))


def never(source: Source, processor: tuple[str, str]) -> bytes:
    raise AssertionError("compiled again")


def test_numbers_arrays_and_tuples_of_arrays_arrive(source: Source) -> None:
    functions = load(source)
    assert functions["total"](np.array([1, 2, 3], np.int64), -7) == -42
    first, second = np.arange(3, dtype=np.float32), np.full((3, 2), 0.5, np.float32)
    result = np.empty(3, np.float32)
    for pairs in ((first, second), ready((first, second))):
        result[:] = 0
        assert functions["fill"](pairs, result) == 0
        assert result.tolist() == [0.5, 1.5, 2.5]


def test_that_it_is_being_compiled_is_known_to_other_threads(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Kept nowhere yet, and not among what the other tests keep.
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    assert not loading.is_compiling()
    with ThreadPoolExecutor(1) as threads:
        loaded = threads.submit(load, source)
        while not (seen := loading.is_compiling()) and not loaded.done():
            time.sleep(0.001)
        assert seen
        assert "total" in loaded.result()
    assert not loading.is_compiling()


def test_a_functions_own_arrays_are_given_back(source: Source) -> None:
    pairs = ready((np.zeros(1, np.float32), np.zeros((1, 1), np.float32)))
    result, fill = np.zeros(1, np.float32), load(source)["fill"]

    def pages() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1])

    fill(pairs, result)
    before = pages()
    for _ in range(1000):
        fill(pairs, result)
    # Kept, they would be a gigabyte.
    assert (pages() - before) * os.sysconf("SC_PAGE_SIZE") < 100e6


def test_what_was_kept_is_loaded_again_unless_any_line_has_changed(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(source)
    monkeypatch.setattr(loading, "_compiled", never)
    load(source)
    (tmp_path / "layers.py").write_text("one = 1")
    with pytest.raises(AssertionError, match="compiled again"):
        load(source)


@pytest.mark.parametrize("damage", ["cut short", "other bytes", "empty"])
def test_a_damaged_file_is_made_again(source: Source, cache: Path, damage: str) -> None:
    load(source)
    (file,) = cache.glob("small-*.o")
    whole = file.read_bytes()
    damaged = {"cut short": whole[:-100], "other bytes": whole[:-1] + b"\xff\xff", "empty": b""}
    file.write_bytes(damaged[damage])
    assert load(source)["total"](np.array([2], np.int64), 2) == 4
    assert file.read_bytes() == whole


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_machine_code_of_another_user_is_not_run(source: Source, cache: Path) -> None:
    load(source)
    (file,) = cache.glob("small-*.o")
    os.chown(file, 12345, 12345)
    assert kept.read(file.name) is None
    os.chown(file, 0, 0)
    assert kept.read(file.name) is not None


def test_where_nothing_can_be_written_it_is_made_for_each_start_and_the_log_says_so(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "no folder").touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "no folder"))
    with caplog.at_level(logging.WARNING):
        assert load(source)["total"](np.array([2], np.int64), 2) == 4
    assert "kept nowhere" in caplog.text


def test_without_a_folder_of_its_own_it_lies_next_to_the_code_or_in_the_users_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    beside, users = kept.folders()
    assert beside == Path(kept.__file__).parent / "__pycache__"
    assert users == tmp_path / "visaged"


def test_of_one_kind_the_newest_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    kept.write("other-0.o", b"code")
    for i in range(kept.MOST + 2):
        file = kept.write(f"kind-{i}.o", b"code")
        assert file is not None
        os.utime(file, (i, i))
    assert kept.read("kind-0.o") is None
    assert kept.read(f"kind-{kept.MOST + 1}.o") == kept.read("other-0.o") == b"code"
    assert len(list(tmp_path.iterdir())) == kept.MOST + 1


def test_what_needs_more_than_the_processor_is_refused_before_it_is_kept(source: Source, cache: Path) -> None:
    wanting = replace(source, name="wanting", module="tests.gallery.faces.wanting_functions")
    with pytest.raises(NoMachineCode, match=r"can't be compiled: .*needs of numba's runtime"):
        load(wanting)
    assert not list(cache.glob("wanting-*"))


def test_without_numba_faces_are_found_and_encoded_all_the_same_and_the_log_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(loading, "version", missing)
    mtcnn_nets._functions.cache_clear()
    dlib_net._function.cache_clear()
    with caplog.at_level(logging.WARNING):
        (faces,) = MtcnnDetector().detect([np.zeros((60, 60, 3), np.uint8)])
        encoder = DlibEncoder()
    assert len(faces) == 0
    assert encoder.dimensions == 128
    assert [record.getMessage() for record in caplog.records] == [
        "finding faces takes twice as long: numba is not installed",
        "encoding takes twice as long: numba is not installed",
    ]


def test_without_llvm_the_log_says_what_is_missing() -> None:
    code = """
import logging, sys
logging.basicConfig()
sys.modules["llvmlite"] = None
from gallery.faces.detector import MtcnnDetector
MtcnnDetector()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    assert "finding faces takes twice as long: llvmlite is not usable" in done.stderr
