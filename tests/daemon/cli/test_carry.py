"""`export`, `import`, `backup`, `restore` as commands, on the file and over a daemon's control socket."""

from __future__ import annotations

import os
import pickle
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import pytest

from daemon.control import ControlServer, Facts, Live
from daemon.journal import Journal
from gallery.store import Gallery
from tests.daemon.cli.conftest import Shell
from tests.daemon.journaling import EPOCH, kept, numbered, numbers
from tests.gallery.builders import ENROLLED_UNIX_NS, MODEL, reference
from tests.gallery.carrying import fill, rows

NOBODY = Live(lambda camera: None, lambda track: None, dict)


def gallery_of(shell: Shell, state: str = "state") -> Path:
    return shell.folder / state / "gallery.db"


def configured(shell: Shell, state: str, extra: str = "") -> Shell:
    """From now on with this state folder."""
    shell.config.write_text(f"[daemon]\nstate_dir = '{shell.folder}/{state}'\n{extra}")
    return shell


@contextmanager
def daemon(shell: Shell, state: str = "state", model: str = MODEL) -> Iterator[None]:
    """The control socket of a daemon that has this gallery."""
    folder = shell.folder / state
    Gallery.open(folder / "gallery.db").close()
    facts = Facts("1.0", str(folder / "gallery.db"), model, str(folder))
    with ControlServer(folder / "control.sock", facts, NOBODY):
        yield


@pytest.mark.parametrize("runs", [False, True])
def test_a_gallery_goes_from_one_state_folder_to_another(visaged: Shell, runs: bool) -> None:
    fill(gallery_of(visaged))
    file = visaged.folder / "gallery.zip"
    with daemon(visaged) if runs else nullcontext():
        done = visaged("export", file, "--with-crops", "--json")
        assert (done.code, done.document["people"], done.document["bytes"]) == (0, 3, file.stat().st_size)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert visaged("export", file).code == 2
        assert visaged("export", file, "--force", "--with-crops").code == 0
    configured(visaged, "other")
    with daemon(visaged, "other") if runs else nullcontext():
        report = visaged("import", file, "--json")
        assert (report.code, report.document["people_added"], report.document["conflicts"]) == (0, 3, [])
        again = visaged("import", file)
        assert (again.code, "12 were here already" in again.out) == (0, True)
        assert {person["name"] for person in visaged("people", "--json").document} == {
            "김연아 0",
            "person 1",
            "person 2",
        }
    assert rows(gallery_of(visaged, "other")) == rows(gallery_of(visaged))
    # Nothing of the archives is left in the state folders.
    for state in ("state", "other"):
        names = {path.name for path in (visaged.folder / state).iterdir()}
        assert names <= {"gallery.db"}, names


@pytest.mark.parametrize("runs", [False, True])
def test_conflicts_are_told_and_make_the_exit_code_1(visaged: Shell, runs: bool) -> None:
    fill(gallery_of(visaged))
    file = visaged.folder / "gallery.zip"
    visaged("export", file)
    configured(visaged, "other")
    with Gallery.open(gallery_of(visaged, "other")) as gallery:
        gallery.add("person 1", [reference("mine", np.ones(16))], ENROLLED_UNIX_NS)
    with daemon(visaged, "other") if runs else nullcontext():
        done = visaged("import", file)
        assert done.code == 1
        assert "name_taken" in done.out
        found = visaged("import", file, "--merge", "--json").document["conflicts"]
    assert found == []


@pytest.mark.parametrize("runs", [False, True])
def test_a_damaged_archive_is_refused_whole(visaged: Shell, runs: bool) -> None:
    fill(gallery_of(visaged))
    file = visaged.folder / "gallery.zip"
    visaged("export", file)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    configured(visaged, "other")
    with daemon(visaged, "other") if runs else nullcontext():
        done = visaged("import", file)
        assert (done.code, done.out) == (2, "")
        assert "gallery.zip is refused, and nothing was changed: it is damaged" in done.err
        assert visaged("people", "--json").code in (0, 2)
    if gallery_of(visaged, "other").exists():
        assert rows(gallery_of(visaged, "other"))["person"] == []


def test_a_daemon_of_another_model_takes_nothing_that_it_could_not_compare(visaged: Shell) -> None:
    fill(gallery_of(visaged))
    file = visaged.folder / "gallery.zip"
    visaged("export", file)
    configured(visaged, "other")
    with daemon(visaged, "other", model="sface-x"):
        done = visaged("import", file)
    assert done.code == 2
    assert "sface-x" in done.err
    assert rows(gallery_of(visaged, "other"))["person"] == []


def store(shell: Shell, state: str = "state") -> Path:
    path = shell.folder / state / "journal.db"
    with Journal.open(path, EPOCH) as journal:
        journal.append([numbered(i) for i in range(5)])
    return path


@pytest.mark.parametrize("runs", [False, True])
def test_a_backup_is_restored_into_another_state_folder(visaged: Shell, runs: bool) -> None:
    fill(gallery_of(visaged))
    store(visaged)
    file = visaged.folder / "backup.zip"
    with daemon(visaged) if runs else nullcontext():
        told = visaged("backup", file, "--json").document
        assert (told["people"], told["journal_head"], told["bytes"]) == (3, 5, file.stat().st_size)
        if runs:
            refused = visaged("restore", file, "--force")
            assert refused.code == 2
            assert "stop it before restoring" in refused.err
    configured(visaged, "other")
    done = visaged("restore", file, "--json")
    assert (done.code, done.document["people"], done.document["kept"]) == (0, 3, [])
    assert rows(gallery_of(visaged, "other")) == rows(gallery_of(visaged))
    assert numbers(kept(visaged.folder / "other" / "journal.db")) == list(range(5))
    assert visaged("restore", file).code == 2
    again = visaged("restore", file, "--force")
    assert again.code == 0
    assert again.out.count("kept ") == 2


def test_an_archive_of_the_other_kind_is_told_by_name(visaged: Shell) -> None:
    fill(gallery_of(visaged))
    for made, used in (("export", "restore"), ("backup", "import")):
        file = visaged.folder / f"{made}.zip"
        assert visaged(made, file).code == 0
        done = visaged(used, file)
        assert done.code == 2
        assert f"visaged {'import' if made == 'export' else 'restore'}" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("import",),
        ("import", "a.zip", "--from-frigate", "b"),
        ("import", "missing.zip"),
        ("import", "missing.zip", "--largest"),
        ("restore", "missing.zip"),
        ("export", "/no/such/folder/a.zip"),
        ("backup", "/no/such/folder/a.zip"),
        ("export", "a.zip", "--person", "x", "--force"),
    ],
)
def test_what_can_not_be_is_one_line_and_exit_2(visaged: Shell, arguments: tuple[str, ...]) -> None:
    fill(gallery_of(visaged))
    done = visaged(*arguments)
    assert done.code == 2
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("command", ["import", "restore"])
def test_a_pipe_is_one_line_and_exit_2(visaged: Shell, command: str) -> None:
    fill(gallery_of(visaged))
    pipe = visaged.folder / "pipe"
    os.mkfifo(pipe)
    held = os.open(pipe, os.O_RDWR)
    done = visaged(command, pipe, *(["--force"] if command == "restore" else []))
    os.close(held)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "is a pipe" in done.err


def test_a_restore_onto_a_full_disk_is_one_line_and_changes_nothing(visaged: Shell) -> None:
    fill(gallery_of(visaged))
    store(visaged)
    file = visaged.folder / "backup.zip"
    assert visaged("backup", file).code == 0
    before = rows(gallery_of(visaged))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        done = visaged("restore", file, "--force")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "can't be taken in: File too large" in done.err
    assert rows(gallery_of(visaged)) == before
    assert numbers(kept(visaged.folder / "state" / "journal.db")) == list(range(5))


def encodings(shell: Shell) -> Path:
    rows = np.random.default_rng(2).normal(size=(3, 128))
    rows *= 1.4 / np.linalg.norm(rows, axis=1, keepdims=True)
    file = shell.folder / "known.pkl"
    file.write_bytes(pickle.dumps({"names": ["ann", "bob", "ann"], "encodings": list(rows)}))
    return file


def test_encodings_of_face_recognition_fit_dlibs_alignment_alone(visaged: Shell) -> None:
    file = encodings(visaged)
    refused = visaged("import", "--from-face-recognition", file)
    assert refused.code == 2
    assert 'alignment = "dlib"' in refused.err
    assert not gallery_of(visaged).exists()
    configured(visaged, "state", '[encoder]\nalignment = "dlib"\n')
    done = visaged("import", "--from-face-recognition", file, "--json")
    assert done.document == {
        "people": [{"name": "ann", "added": 2, "present": 0}, {"name": "bob", "added": 1, "present": 0}]
    }
    assert visaged("import", "--from-face-recognition", file).code == 0
    assert [each["references"] for each in visaged("people", "--json").document] == [2, 1]


def test_a_pickle_that_would_run_is_refused_and_nothing_is_made(visaged: Shell) -> None:
    configured(visaged, "state", '[encoder]\nalignment = "dlib"\n')
    file = visaged.folder / "known.pkl"
    file.write_bytes(pickle.dumps({"names": [Path("x")], "encodings": []}))
    done = visaged("import", "--from-face-recognition", file)
    assert done.code == 2
    assert "a pickle can run programs" in done.err
    assert not gallery_of(visaged).exists()
