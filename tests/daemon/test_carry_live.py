"""Archives of a daemon at work: backups while it writes its journal, imports while it watches."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from daemon import keeping
from daemon.carry_desk import carry_of
from daemon.client import subscribe
from daemon.control import ControlServer, Facts, Live
from daemon.control_client import RemoteGallery, is_running
from daemon.errors import UsageError
from daemon.keeping import Places
from gallery.encryption import Key
from gallery.errors import ArchiveRefused
from gallery.store import Gallery
from tests.daemon.journaling import kept
from tests.daemon.serving import NoNets, serving, write_pictures
from tests.gallery.builders import ENROLLED_UNIX_NS, MODEL, reference
from tests.gallery.carrying import exported, imported, rows

WAIT_S = 30.0
SOMEWHERE = Places(
    Path("/nonexistent/gallery.db"), Path("/nonexistent/journal.db"), Path("/nonexistent"), None
)
"""Of the commands' own configuration, which means nothing where a daemon runs."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """With the configuration of a daemon that watches a folder of pictures at their own rate."""
    with tempfile.TemporaryDirectory(prefix="visaged-") as name:
        folder = Path(name)
        write_pictures(folder / "pictures", 2000)
        (folder / "config.toml").write_text(
            f"[daemon]\nstate_dir = '{folder}/state'\n[events]\nbind = 'ipc://{folder}/events'\n"
            f"replay = 'off'\n[[camera]]\nname = 'door'\nsource = '{folder}/pictures'\nrealtime = true\n"
        )
        yield folder


def waited(folder: Path, state: Path | None = None) -> RemoteGallery:
    control = (state or folder / "state") / "control.sock"
    deadline_s = time.monotonic() + WAIT_S
    while not is_running(control):
        assert time.monotonic() < deadline_s, "the daemon did not start"
        time.sleep(0.02)
    return RemoteGallery(control)


def of_daemon(name: str, seed: int) -> Path:
    """A gallery with somebody whom this daemon can match."""
    path = Path(tempfile.mkdtemp(prefix="visaged-")) / "gallery.db"
    row = np.random.default_rng(seed).normal(size=128).astype(np.float32)
    with Gallery.open(path) as gallery:
        gallery.add(name, [reference(name, row, NoNets.model)], ENROLLED_UNIX_NS)
    return path


def test_a_running_daemon_takes_people_in_gives_them_out_and_is_backed_up(
    folder: Path, tmp_path: Path
) -> None:
    with serving(folder / "config.toml", NoNets()), waited(folder) as remote:
        carry = carry_of(remote, SOMEWHERE)
        with subscribe(f"ipc://{folder}/events", timeout_s=WAIT_S) as events:
            report = carry.take_in(io.BytesIO(exported(of_daemon("Ann", 1))), by_name=False)
            assert (report.people_added, report.conflicts) == (1, ())
            # Its cameras' loop knows of it soon.
            assert next(
                e for e in events if e.topic == "daemon/heartbeat/" and e.data["gallery"]["people"] == 1
            )
        out = io.BytesIO()
        assert carry.export(out, with_crops=True) == 1
        saved = io.BytesIO()
        report_of_backup = carry.back_up(saved)
        assert report_of_backup.journal_head
        state = folder / "state"
        own = Places(state / "gallery.db", state / "journal.db", state, None)
        with pytest.raises(UsageError, match="daemon runs"):
            keeping.restore(own, saved, who="", force=True)
    other = Places(tmp_path / "gallery.db", tmp_path / "journal.db", tmp_path, None)
    restored = keeping.restore(other, saved, who="ann", force=False)
    assert restored.people == 1
    assert rows(other.gallery) == rows(folder / "state" / "gallery.db")
    here, there = kept(folder / "state" / "journal.db"), kept(other.journal)
    assert there == here[: len(there)]
    assert there[0]["type"] == "visaged.daemon.started"


def test_archives_of_two_commands_do_not_mix_and_what_is_not_understood_is_told(folder: Path) -> None:
    with serving(folder / "config.toml", NoNets()), waited(folder) as remote, waited(folder) as second:
        first = remote.ask("carry_begin", what="import", by_name=False)["job"]
        other = second.ask("carry_begin", what="import", by_name=False)["job"]
        assert first != other
        with pytest.raises(UsageError, match="another command took over"):
            remote.ask("carry_put", job=first, data="")
        with pytest.raises(UsageError, match="not made yet"):
            second.ask("carry_get", job=other)
        second.ask("carry_put", job=other, data="bm8gYXJjaGl2ZQ==")
        second.ask("carry_go", job=other)
        with pytest.raises(ArchiveRefused, match="no archive of visaged"):
            list(iter(lambda: second.ask("carry_wait", job=other)["done"], True))
        with pytest.raises(UsageError, match="complete already"):
            second.ask("carry_put", job=other, data="")
        for nonsense in ({}, {"what": "everything"}, {"what": ["import"]}):
            with pytest.raises(ValueError, match="not understood"):
                second.ask("carry_begin", **nonsense)
        assert second.people() == []


def test_an_encrypted_gallery_is_carried_and_its_backup_stays_encrypted(tmp_path: Path) -> None:
    pytest.importorskip("sqlcipher3", reason="the extra encryption is not installed")
    key = Key.new()
    with tempfile.TemporaryDirectory(prefix="visaged-") as name:
        state = Path(name)
        with Gallery.open(state / "gallery.db", key=key) as gallery:
            gallery.add("Ann Lee", [reference("ann", np.ones(8))], ENROLLED_UNIX_NS)
        facts = Facts("1.0", str(state / "gallery.db"), MODEL, str(state))
        live = Live(lambda camera: None, lambda track: None, dict)
        with ControlServer(state / "control.sock", facts, live, key), waited(state.parent, state) as remote:
            carry = carry_of(remote, SOMEWHERE)
            out, saved = io.BytesIO(), io.BytesIO()
            assert carry.export(out, with_crops=False) == 1
            out.seek(0)
            assert carry.take_in(out, by_name=False).references_present == 1
            assert carry.back_up(saved).people == 1
    assert b"Ann Lee" in out.getvalue()
    assert b"Ann Lee" not in saved.getvalue()
    # Whoever has no key has the people from the export alone.
    plain = tmp_path / "gallery.db"
    assert imported(plain, out.getvalue()).people_added == 1
