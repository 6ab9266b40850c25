"""Pictures are written whole or not at all."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import numpy as np
import pytest

from daemon.errors import UsageError
from daemon.image_file import save
from tests.daemon.test_folders_of_others import asked

GREY = np.full((240, 320, 3), 128, np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize("before", [None, b"the one of yesterday"])
def test_on_a_full_disk_what_was_there_stays_and_nothing_else_is_left(
    tmp_path: Path, suffix: str, before: bytes | None
) -> None:
    file = tmp_path / f"door{suffix}"
    if before is not None:
        file.write_bytes(before)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(UsageError, match=rf"door\{suffix}: can't be written: File too large"):
            save(file, GREY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == (
        {} if before is None else {file.name: before}
    )
    save(file, GREY)
    assert file.stat().st_size > 20


def test_a_picture_is_as_open_as_any_other_new_file_or_as_the_one_before(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    save(tmp_path / "new.png", GREY)
    assert (tmp_path / "new.png").stat().st_mode == (tmp_path / "other").stat().st_mode
    (tmp_path / "new.png").chmod(0o600)
    save(tmp_path / "new.png", GREY)
    assert (tmp_path / "new.png").stat().st_mode & 0o777 == 0o600


def test_a_link_and_a_pipe_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "link.png").symlink_to("web/door.png")
    save(tmp_path / "link.png", GREY)
    assert (tmp_path / "link.png").is_symlink()
    assert (tmp_path / "web" / "door.png").read_bytes().startswith(b"\x89PNG")
    os.mkfifo(tmp_path / "pipe.png")
    reader = os.open(tmp_path / "pipe.png", os.O_RDONLY | os.O_NONBLOCK)
    try:
        save(tmp_path / "pipe.png", GREY)
        assert os.read(reader, 1 << 16).startswith(b"\x89PNG")
    finally:
        os.close(reader)
    assert (tmp_path / "pipe.png").is_fifo()


SAVED = """
import sys
from pathlib import Path
import numpy as np
from daemon.image_file import save

save(Path(sys.argv[1]), np.full((240, 320, 3), 128, np.uint8))
"""


@pytest.mark.parametrize(("mode", "name"), [(0o500, "there.png"), (0o300, "new.png")])
def test_in_a_folder_that_takes_or_tells_nothing_the_file_itself_is_written(
    tmp_path: Path, mode: int, name: str
) -> None:
    folder = tmp_path / "web"
    folder.mkdir()
    (folder / "there.png").write_bytes(b"the one of yesterday")
    folder.chmod(mode)
    try:
        done = asked("-c", SAVED, folder / name)
    finally:
        folder.chmod(0o700)
    assert done.returncode == 0, done.stderr
    assert (folder / name).read_bytes().startswith(b"\x89PNG")
    assert {each.name for each in folder.iterdir()} == {"there.png", name}
