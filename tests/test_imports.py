"""The rules of the house: who imports whom, and where heavy libraries live."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from daemon.control import ControlServer, Facts, Live
from gallery.people import NewReference
from gallery.store import Gallery
from tests.conftest import REPOSITORY

STAGES = {"capture", "tracker", "pipeline", "publisher"}
HEAVY_HOMES = {
    "torch": {"gallery/faces"},
    "numba": {"gallery/faces/machine_code", "gallery/faces/mtcnn/compiled", "gallery/faces/dlib_compiled"},
    "llvmlite": {"gallery/faces/machine_code", "gallery/faces/mtcnn/compiled"},
    "dlib": {"gallery/faces"},
    "facenet_pytorch": set[str](),
    "face_recognition": set[str](),
    "paho": {"daemon/bridge_mqtt.py"},
    "zmq": {
        "daemon/publisher.py",
        "daemon/client.py",
        "daemon/control.py",
        "daemon/control_client.py",
        "daemon/keys.py",
        "daemon/security.py",
        "daemon/binding.py",
        "daemon/door.py",
        "daemon/replay_server.py",
    },
    "sqlcipher3": {"gallery/encryption_sqlcipher.py"},
    "av": {"daemon/pyav_readers.py"},
    "sqlite3": {
        "gallery/store.py",
        "gallery/schema.py",
        "gallery/reading.py",
        "gallery/trail.py",
        "gallery/archive.py",
        "gallery/archive_merging.py",
        "gallery/soundness.py",
        "gallery/renewal.py",
        "gallery/backup.py",
        "daemon/keeping.py",
        "gallery/encryption.py",
        "gallery/encryption_change.py",
        "gallery/encryption_sqlcipher.py",
        "daemon/journal.py",
        "daemon/journal_file.py",
        "daemon/journal_reader.py",
        "daemon/journal_salvage.py",
        "daemon/journal_tables.py",
    },
}
"""A library, and the files or folders that may import it."""


def modules() -> list[Path]:
    return sorted([*REPOSITORY.glob("daemon/**/*.py"), *REPOSITORY.glob("gallery/**/*.py")])


def imported(file: Path) -> Iterator[str]:
    """Dotted names of everything that a file imports, wherever in it."""
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{name.name}" for name in node.names)


def ids(file: Path) -> str:
    return str(file.relative_to(REPOSITORY))


@pytest.mark.parametrize("file", modules(), ids=ids)
def test_imports_point_inwards_and_heavy_libraries_stay_at_home(file: Path) -> None:
    place = ids(file)
    names = set(imported(file))
    roots = {name.split(".")[0] for name in names}
    if place.startswith("gallery/"):
        assert "daemon" not in roots, "gallery never imports daemon"
    if place.startswith("gallery/faces/"):
        ours = {name for name in names if name.startswith("gallery.")}
        assert all(name.startswith("gallery.faces") for name in ours), ours
    if file.stem in STAGES and file.parent.name == "daemon":
        others = {f"daemon.{stage}" for stage in STAGES - {file.stem}}
        assert not others & names, "stages never import each other; only service joins them"
    for library, homes in HEAVY_HOMES.items():
        if library in roots:
            assert any(place == home or place.startswith(f"{home}/") for home in homes), library


def test_only_the_readers_open_cameras() -> None:
    users = {ids(file) for file in modules() if "VideoCapture(" in file.read_text()}
    assert users == {"daemon/readers.py", "daemon/live_readers.py"}


@pytest.mark.parametrize(
    "module",
    ["daemon.cli.app", "daemon.config_file", "daemon.client", "gallery.faces.types", "gallery.errors"],
)
def test_light_modules_load_nothing_heavy(module: str) -> None:
    heavy = ["torch", "cv2", "dlib", "facenet_pytorch", "face_recognition", "PIL", "scipy", "sqlite3"]
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


LOADED = """
import sys
from daemon.__main__ import main

sys.argv[0] = "visaged"
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
names = ("torch", "torchvision", "facenet_pytorch", "numba", "scipy", "dlib", "openvino", "onnx")
print("loaded:", *[name for name in names if name in sys.modules])
"""


@pytest.mark.parametrize("command", [["enroll", "Barack Obama"], ["identify"]], ids=["enroll", "identify"])
def test_on_a_cpu_faces_are_enrolled_and_identified_without_pytorch_and_numba(
    command: list[str], tmp_path: Path
) -> None:
    """They take five seconds and half a gigabyte; who waits for a door has none."""
    config = tmp_path / "config.toml"
    config.write_text(f"[daemon]\nstate_dir = {json.dumps(str(tmp_path / 'state'))}\ndevice = 'cpu'\n")
    photograph = REPOSITORY / "samples" / "barack-obama.jpg"
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *command, str(photograph), "--config", str(config)],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
    )
    assert done.stdout.endswith("loaded:\n"), done.stdout + done.stderr


BEFORE_AN_ANSWER = """
import sys
from daemon.__main__ import main

sys.argv[0] = "visaged"
try:
    main()
finally:
    names = ("numpy", "cv2", "PIL", "torch", "dlib", "numba", "llvmlite", "scipy", "pydantic")
    print("loaded:", *[name for name in names if name in sys.modules], file=sys.stderr)
"""
LISTINGS = [
    ["people"],
    ["keys", "list"],
    ["trail"],
    ["strangers"],
    ["status"],
    ["watch", "--since", "0"],
]
"""They calculate nothing, and numpy takes a quarter of a second. `people NAME` reads encodings."""


def loaded_by(*arguments: str, **variables: str) -> list[str]:
    """What of the heavy libraries a command has in memory at its end, whatever comes of it."""
    ours = ("VISAGED_CONFIG", "STATE_DIRECTORY", "RUNTIME_DIRECTORY")
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    done = subprocess.run(
        [sys.executable, "-c", BEFORE_AN_ANSWER, *arguments],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env=kept | variables,
    )
    last = done.stderr.splitlines()[-1]
    assert last.startswith("loaded:"), done.stderr
    return last.split()[1:]


@pytest.fixture(scope="module")
def listed() -> Iterator[Path]:
    """The configuration of a state folder with a short path, in whose gallery somebody is."""
    with tempfile.TemporaryDirectory(prefix="visaged-") as name:
        folder = Path(name)
        (folder / "config.toml").write_text(
            f"[daemon]\nstate_dir = '{folder}/state'\ndevice = 'cpu'\n"
            f"[events]\nreplay = 'ipc://{folder}/replay'\n"
        )
        with Gallery.open(folder / "state" / "gallery.db") as gallery:
            gallery.add("Ann", [NewReference(np.ones(128, np.float32), "m", "a" * 64, "a.jpg", 1.0)], 0)
        yield folder / "config.toml"


@pytest.mark.parametrize("command", LISTINGS, ids=" ".join)
def test_what_only_lists_loads_no_numpy_with_and_without_a_daemon(listed: Path, command: list[str]) -> None:
    arguments = [*command, "--config", str(listed)]
    assert loaded_by(*arguments) == ["pydantic"]
    state = listed.parent / "state"
    live = Live(lambda camera: None, lambda track: None, dict)
    with ControlServer(state / "control.sock", Facts("1", str(state / "gallery.db"), "m", str(state)), live):
        assert loaded_by(*arguments) == ["pydantic"]


def test_help_and_completion_load_nothing_of_what_works() -> None:
    assert loaded_by("--help") == []
    completion = {"_VISAGED_COMPLETE": "complete_bash", "COMP_WORDS": "visaged pe", "COMP_CWORD": "1"}
    # Some versions of Typer read a command's arguments with pydantic.
    for light in (loaded_by("people", "--help"), loaded_by(**completion)):
        assert set(light) <= {"pydantic"}
