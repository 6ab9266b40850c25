"""What a kill left of an archive is removed by the next on the way to the same path, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gallery import archive_file
from gallery.errors import ArchiveRefused
from tests.conftest import REPOSITORY

WRITER = """
import sys, time
from pathlib import Path
from gallery.archive_file import created

with created(Path(sys.argv[1]), force=True) as target:
    target.write(b"PK\\x03\\x04" + bytes(100_000))
    target.flush()
    print("written", flush=True)
    time.sleep(600)
"""


@contextmanager
def writing(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process in the middle of an archive; killed at the end."""
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "written\n"
            yield process
        finally:
            process.kill()


def write(path: Path) -> None:
    with archive_file.created(path, force=True) as target:
        archive_file.write(target, "gallery", {}, {"a": b"1"})


def test_what_a_killed_one_left_is_removed_by_the_next_and_what_a_living_one_writes_is_not(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a [1].zip"
    with writing(path) as process:
        (left,) = tmp_path.iterdir()
        write(path)
        assert set(tmp_path.iterdir()) == {left, path}
        process.kill()
        process.wait()
        assert set(tmp_path.iterdir()) == {left, path}
        write(path)
    assert list(tmp_path.iterdir()) == [path]


def test_it_is_removed_also_where_there_is_an_archive_already(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    write(path)
    with writing(path):
        pass
    assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(ArchiveRefused, match="there already"), archive_file.created(path, force=False):
        pass
    assert list(tmp_path.iterdir()) == [path]


def test_what_may_be_somebody_elses_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    private, dead = 0o600, b"PK\x03\x04"
    stays = {
        ".b.zip-abcd1234.new": (private, dead),
        ".xa.zip-abcd1234.new": (private, dead),
        ".a.zip-notes.new": (private, dead),
        ".a.zip-ABCD1234.new": (private, dead),
        ".a.zip-abcd1234.new.txt": (private, dead),
        "a.zip-abcd1234.new": (private, dead),
        ".aszip-abcd1234.new": (private, dead),
        ".a.zip-open1234.new": (0o644, dead),
        ".a.zip-text1234.new": (private, b"my own notes"),
    }
    for name, (mode, content) in {**stays, ".a.zip-gone1234.new": (private, b"")}.items():
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(mode)
    (tmp_path / ".a.zip-dir_1234.new").mkdir()
    (tmp_path / ".a.zip-link1234.new").symlink_to(tmp_path / ".a.zip-notes.new")
    os.mkfifo(tmp_path / ".a.zip-pipe1234.new", 0o600)
    write(path)
    others = {".a.zip-dir_1234.new", ".a.zip-link1234.new", ".a.zip-pipe1234.new", "a.zip"}
    assert {each.name for each in tmp_path.iterdir()} == {*stays, *others}
