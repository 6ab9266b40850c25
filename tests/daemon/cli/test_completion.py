"""What a shell completes: people, cameras, strangers; in a real bash, names that it must not take apart."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.cli.completion import known_cameras, known_people, known_strangers
from gallery.store import Gallery
from tests.daemon.cli.conftest import Shell
from tests.gallery.builders import reference

VISAGED = Path(sys.executable).with_name("visaged")
CAMERAS = "[[camera]]\nname = 'door'\nsource = 0\n[[camera]]\nname = 'yard'\nsource = 1\n"
COMPLETED = """
source "$1"
COMP_WORDS=(visaged forget "$2")
COMP_CWORD=2
_visaged_completion "$3"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def enrolled(visaged: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    visaged.configure(CAMERAS)
    monkeypatch.setenv("VISAGED_CONFIG", str(visaged.config))
    (visaged.folder / "state").mkdir(exist_ok=True)
    with Gallery.open(visaged.folder / "state" / "gallery.db") as gallery:
        for name in ("Ann O'Hara", "김 연아"):
            gallery.add(name, [reference(name)], 1)
    return visaged


def test_cameras_are_the_configurations_people_the_gallerys_and_strangers_a_daemons(enrolled: Shell) -> None:
    assert known_cameras("") == ["door", "yard"]
    assert known_cameras("y") == ["yard"]
    assert known_people("") == ["Ann O'Hara", "김 연아"]
    assert known_people("김") == ["김 연아"]
    assert known_strangers("") == []


def test_what_can_not_be_known_is_not_completed(enrolled: Shell) -> None:
    (enrolled.folder / "state" / "gallery.db").unlink()
    assert known_people("") == []
    assert not (enrolled.folder / "state" / "gallery.db").exists()
    enrolled.config.write_text("no configuration")
    assert known_people("") == known_cameras("") == []
    assert known_strangers("") == []


@pytest.mark.parametrize(
    ("begun", "completed"),
    [
        ("", ["Ann\\ O\\'Hara", "김\\ 연아"]),
        ("An", ["Ann\\ O\\'Hara"]),
        ('"An', ["Ann O'Hara"]),
        ("Zoe", [""]),
    ],
)
def test_bash_takes_a_name_for_one_word(
    enrolled: Shell, tmp_path: Path, begun: str, completed: list[str]
) -> None:
    script = tmp_path / "completion.bash"
    # As --show-completion prints it, which asks the processes above it which shell this is.
    shown = subprocess.run(
        [VISAGED], capture_output=True, text=True, env={**os.environ, "_VISAGED_COMPLETE": "source_bash"}
    )
    assert "COMPREPLY" in shown.stdout, shown.stderr
    script.write_text(shown.stdout)
    done = subprocess.run(
        ["bash", "-c", COMPLETED, "bash", str(script), begun, VISAGED], capture_output=True, text=True
    )
    assert done.stdout.splitlines() == completed, done.stderr
