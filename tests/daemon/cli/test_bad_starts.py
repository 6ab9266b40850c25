"""What keeps the daemon from starting: exit 2, a line that says what would be right, nothing left behind."""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gallery.people import NewReference
from gallery.store import Gallery
from tests.daemon.cli.conftest import Shell

CAMERA = '[[camera]]\nname = "door"\nsource = "rtsp://127.0.0.1:9/door"\n'
LONG = "x" * 120


def _write(name: str, content: bytes) -> Callable[[Shell], None]:
    def prepare(shell: Shell) -> None:
        path = shell.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    return prepare


def _folder(name: str) -> Callable[[Shell], None]:
    return lambda shell: (shell.folder / name).mkdir(parents=True)


def _gallery_of_another_model(shell: Shell) -> None:
    with Gallery.open(shell.folder / "state" / "gallery.db") as gallery:
        gallery.add("Ann", [NewReference(np.ones(128, np.float32), "old", "a" * 64, "a.jpg", 1.0)], 0)


def _gallery_of_a_newer_visaged(shell: Shell) -> None:
    path = shell.folder / "state" / "gallery.db"
    Gallery.open(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()


def _database_of_another_program(shell: Shell) -> None:
    path = shell.folder / "state" / "gallery.db"
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE bookmark (url TEXT)")
    connection.close()


def _nothing(shell: Shell) -> None:
    pass


FILES: list[tuple[str, Callable[[Shell], None], str, str]] = [
    # What is wrong, what is put in place, what the configuration says, what is told.
    ("no TOML", _nothing, "[daemon", "not valid TOML"),
    ("no text", _write("config.toml", b"\xff\xfe\x00"), "", "config.toml"),
    ("a picture", _write("config.toml", b"\x89PNG\r\n\x1a\n" + bytes(2_000_000)), "", "config.toml"),
    ("an unknown table", _nothing, "[camera_settings]\nx = 1", "unknown key"),
    ("an unknown key", _nothing, "[tracker]\nmargn = 0.1", "did you mean margin?"),
    ("a key twice", _nothing, "[gallery]\npath = 'a'\npath = 'b'", "not valid TOML"),
    ("a word for a number", _nothing, '[encoder]\nthreshold = "near"', "must be a valid number"),
    ("a number out of range", _nothing, "[encoder]\nthreshold = 3.0", "must be less than 2"),
    ("a negative time", _nothing, "[tracker]\nlost_s = -1", "must be greater than or equal to 0"),
    ("no finite number", _nothing, "[tracker]\nmargin = inf", "must be a finite number"),
    ("half a sample", _nothing, "[tracker]\nmin_samples = 0.5", "must be a valid integer"),
    ("an unknown encoder", _nothing, '[encoder]\nname = "arcface"', "must be 'dlib', 'sface' or 'facenet'"),
    ("an unknown engine", _nothing, '[detector]\nengine = "tensorrt"', "detector.engine: must be"),
    ("an engine of another encoder", _nothing, '[encoder]\nname = "sface"\nengine = "dlib"', "engine"),
    (
        "an alignment of another encoder",
        _nothing,
        '[encoder]\nname = "sface"\nalignment = "dlib"',
        "alignment",
    ),
    ("a number for a switch", _nothing, "[encoder]\nmirror = 1", "must be a valid boolean"),
    (
        "a threshold above 1",
        _nothing,
        "[detector]\nthresholds = [2, 0.7, 0.7]",
        "must be three numbers from 0 to 1",
    ),
    ("two thresholds", _nothing, "[detector]\nthresholds = [0.6, 0.7]", "must be three numbers"),
    ("one camera, not a list", _nothing, CAMERA.replace("[[camera]]", "[camera]"), "[[camera]] tables"),
    ("two cameras of one name", _nothing, CAMERA + CAMERA, "door is there twice"),
    ("a camera's name with a slash", _nothing, CAMERA.replace("door", "a/b", 1), "must be letters a-z"),
    ("a camera without a source", _nothing, '[[camera]]\nname = "door"', "camera[0].source"),
    ("an unknown backend", _nothing, CAMERA + 'backend = "gstreamer"', "camera[0].backend: must be"),
    ("an unknown scheme", _nothing, CAMERA.replace("rtsp", "gopher"), "gopher"),
    ("an impossible rate", _nothing, CAMERA + "max_fps = 0", "must be greater than 0"),
    ("an empty path", _nothing, '[gallery]\npath = ""', "must be a path"),
    ("a home of nobody", _nothing, '[gallery]\npath = "~nobody-of-that-name/g.db"', "no such user's home"),
    (
        "weights that are missing",
        _nothing,
        '[encoder]\nname = "facenet"\nweights = "/nowhere.pt"',
        "/nowhere.pt",
    ),
    (
        "weights that are none",
        _write("weights.pt", b"not weights"),
        '[encoder]\nname = "facenet"\nweights = "{folder}/weights.pt"',
        "weights.pt",
    ),
    ("a gallery that is no gallery", _write("state/gallery.db", b"not a gallery " * 500), "", "damaged"),
    ("an empty gallery's file", _write("state/gallery.db", b""), "", "damaged"),
    ("a folder for a gallery", _folder("state/gallery.db"), "", "not a file"),
    ("a gallery of another model", _gallery_of_another_model, "", "model"),
    ("a gallery of a newer visaged", _gallery_of_a_newer_visaged, "", "update visaged"),
    ("a database of another program", _database_of_another_program, "", "another program's database"),
    ("a file for a state folder", _write("state", b"a file"), "", "state"),
    ("a log without its gallery", _write("state/gallery.db-wal", b"x" * 100), "", "damaged"),
    ("a negative age", _nothing, "[journal]\nkeep_days = -1", "journal.keep_days: must be"),
]


@pytest.mark.parametrize(
    ("prepare", "text", "told"), [row[1:] for row in FILES], ids=[row[0] for row in FILES]
)
def test_a_bad_configuration_is_refused(
    visaged: Shell, prepare: Callable[[Shell], None], text: str, told: str
) -> None:
    visaged.configure(text.replace("{folder}", str(visaged.folder)))
    prepare(visaged)
    assert_refused(visaged, told)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("device = 'cuda:77'", "cuda:77 is not usable"),
        ("device = 'gpu'", "daemon.device: must be"),
        ("log_level = 'loud'", "daemon.log_level: must be"),
        ("threads = 0", "daemon.threads: must be"),
        ("state_dir = '/dev/null/visaged'", "/dev/null/visaged"),
        (f"state_dir = '/tmp/{LONG}'", "107 bytes"),
    ],
)
def test_a_bad_machine_is_refused(visaged: Shell, setting: str, told: str) -> None:
    key = setting.partition(" ")[0]
    lines = visaged.config.read_text().splitlines()
    kept = [line for line in lines if not line.startswith(f"{key} =")]
    kept.insert(kept.index("[daemon]") + 1, setting)
    visaged.config.write_text("\n".join(kept))
    assert_refused(visaged, told)


@pytest.mark.parametrize(
    ("key", "endpoint", "told"),
    [
        ("bind", "udp://127.0.0.1:5556", "events.bind: must be an endpoint"),
        ("bind", "tcp://127.0.0.1:99999", "address and a port"),
        ("bind", "tcp://0.0.0.0:5556", "--insecure"),
        ("bind", "ipc://relative/path", "absolute path"),
        ("bind", f"ipc:///tmp/{LONG}", "107 bytes"),
        ("bind", "tcp://127.0.0.1:{taken}", "is taken"),
        ("replay", "tcp://127.0.0.1:{taken}", "is taken"),
        ("replay", "tcp://0.0.0.0:5557", "--insecure"),
        ("replay", "elsewhere", "events.replay: must be"),
    ],
)
def test_a_bad_endpoint_is_refused(visaged: Shell, key: str, endpoint: str, told: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        endpoint = endpoint.replace("{taken}", str(taken.getsockname()[1]))
        lines = visaged.config.read_text().splitlines()
        visaged.config.write_text(
            "\n".join(f"{key} = '{endpoint}'" if line.startswith(f"{key} =") else line for line in lines)
        )
        assert_refused(visaged, told)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_gallery_that_may_not_be_read_is_refused(visaged: Shell) -> None:
    _gallery_of_another_model(visaged)
    (visaged.folder / "state" / "gallery.db").chmod(0)
    assert_refused(visaged, "gallery.db")


def test_a_configuration_that_is_missing_is_refused(visaged: Shell) -> None:
    visaged.config.unlink()
    assert_refused(visaged, "cannot be read: No such file")


def test_a_folder_for_a_configuration_is_refused(visaged: Shell) -> None:
    visaged.config.unlink()
    visaged.config.mkdir()
    assert_refused(visaged, "config.toml")


def assert_refused(visaged: Shell, told: str) -> None:
    before = _content(visaged.folder)
    done = visaged("run")
    assert done.code == 2, done.err
    (line,) = done.err.strip().splitlines()
    assert line.startswith("visaged: ")
    assert told in line
    assert done.out == ""
    assert _content(visaged.folder) == before


def _content(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}
