"""The whole daemon with a key: it tells, stores and replays as ever, and no file shows anything of it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import cv2
import pytest

from daemon.client import subscribe
from daemon.config_file import load
from daemon.gallery_key import gallery_key, make_key_file
from daemon.journal_reader import JournalReader
from tests.conftest import REPOSITORY
from tests.daemon.asking import asker
from tests.daemon.running import Home, running, visaged

NAME = "Eileen 콜린스"


@pytest.mark.timeout(400)
def test_a_daemon_with_a_key_writes_nothing_that_can_be_read_and_survives_a_kill(tmp_path: Path) -> None:
    portrait = cv2.imread(str(REPOSITORY / "samples" / "eileen-collins.jpg"))
    assert portrait is not None
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    encoded, jpeg = cv2.imencode(".jpg", cv2.resize(portrait, (256, 256)))
    assert encoded
    # Three minutes of it: the daemon must not end by itself before it is killed.
    for number in range(4500):
        (pictures / f"{number:04}.jpg").write_bytes(jpeg.tobytes())
    make_key_file(tmp_path / "gallery.key")
    extra = f"[gallery]\nkey_file = {json.dumps(str(tmp_path / 'gallery.key'))}\n"
    with tempfile.TemporaryDirectory(prefix="visaged-") as folder:
        home = Home(Path(folder), cameras=(("door", str(pictures), True),), extra=extra)
        done = visaged("enroll", NAME, REPOSITORY / "samples" / "eileen-collins.jpg", "--config", home.config)
        assert done.returncode == 0, done.stderr
        state = home.folder / "state"
        with running(home, "--await-subscribers", "1") as daemon, asker(home.replay) as peer:
            with subscribe(home.endpoint, topics=["face/door/recognized/"], timeout_s=90) as events:
                told = next(events)
            assert (told.data["person"]["name"], told.data["liveness"]) == (NAME, "not_checked")
            assert told.event in peer.replay(after=0)
            rows = json.loads(visaged("trail", "--json", "--config", home.config).stdout)
            assert [row["what"] for row in rows] == ["enrolled", "settings"]
            held = {file.name: file.read_bytes() for file in state.iterdir() if file.is_file()}
            daemon.kill()
            daemon.wait(10)
        assert held.keys() >= {"gallery.db", "journal.db", "journal.db-wal"}
        for secret in (NAME.encode(), b"visaged.face", b"CREATE TABLE", told.data["person"]["id"].encode()):
            assert not [name for name, body in held.items() if secret in body]
        with JournalReader(state / "journal.db", gallery_key(load(home.config))) as reader:
            bodies = [json.loads(body) for _, body in reader.page(0).events]
        assert told.event in bodies
