"""State folders that this user may not use: one line says so, and doctor looks at all the rest."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gallery.store import Gallery
from tests.conftest import REPOSITORY
from tests.daemon.running import environment
from tests.gallery.builders import reference

PLACES = """
import dataclasses, json, sys
from pathlib import Path
from daemon import doctor
from daemon.config import Config, DaemonConfig

for slow in ("_speed", "_models", "_fonts"):
    setattr(doctor, slow, lambda config: iter(()))
found = list(doctor.examine(Config(daemon=DaemonConfig(state_dir=Path(sys.argv[1])))))
print(json.dumps([dataclasses.asdict(finding) for finding in found]))
"""


def asked(*command: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Runs Python as somebody whom the modes of files stop, as they do not stop root."""
    prefix = []
    if os.geteuid() == 0:
        prefix = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
        if shutil.which("setpriv") is None or subprocess.run([*prefix, "true"], check=False).returncode:
            pytest.skip("root that can't give up its rights (apt-get install util-linux)")
    return subprocess.run(
        [*prefix, sys.executable, *map(str, command)],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env=environment() | more,
        check=False,
        timeout=110,
    )


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A folder that nobody may look into."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o000)
    yield folder
    folder.chmod(0o700)


def test_doctor_tells_of_a_state_folder_that_is_closed(closed: Path) -> None:
    done = asked("-c", PLACES, closed)
    assert done.returncode == 0, done.stderr
    found = {each["check"]: each for each in json.loads(done.stdout)}
    assert found["state"]["status"] == "broken"
    assert "may not read and write in it" in found["state"]["detail"]
    assert found["gallery"]["advice"] == found["state"]["advice"]
    # What comes after it.
    assert "webcams" in found


def test_doctor_tells_of_a_state_folder_that_cannot_be_made(closed: Path) -> None:
    closed.chmod(0o500)
    done = asked("-c", PLACES, closed / "state")
    assert done.returncode == 0, done.stderr
    found = {each["check"]: each for each in json.loads(done.stdout)}
    assert found["state"]["status"] == "broken"
    assert f"may not make it in {closed}" in found["state"]["detail"]


def test_a_data_folder_that_is_closed_is_one_line(closed: Path, tmp_path: Path) -> None:
    done = asked("-m", "daemon", "people", XDG_DATA_HOME=str(closed), XDG_CONFIG_HOME=str(tmp_path))
    assert done.returncode == 2
    assert "Permission denied" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_gallery_in_a_folder_that_can_only_be_read_says_what_this_user_may_not(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    with Gallery.open(state / "gallery.db") as gallery:
        gallery.add("Ann", [reference("a.jpg")], 1)
    file = tmp_path / "config.toml"
    file.write_text(f"[daemon]\nstate_dir = {json.dumps(str(state))}\n")
    state.chmod(0o500)
    done = asked("-m", "daemon", "rename", "Ann", "Bob", "--config", file)
    state.chmod(0o700)
    assert (done.returncode, done.stdout) == (2, "")
    assert "this user may not write it, or in its folder" in done.stderr
    assert done.stderr.count("\n") == 1
