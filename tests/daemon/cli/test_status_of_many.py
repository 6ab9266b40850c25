"""`visaged status` of a running daemon with eight cameras, seven of which are there."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from daemon.cli.app import run_command_line
from tests.daemon.serving import NoNets, serving, write_pictures

WAIT_S = 60.0
AWAY = "camera-8"


def asked(file: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """What `visaged status` prints; empty while no daemon can answer yet."""
    capsys.readouterr()
    code = run_command_line(["status", "--config", str(file), *options])
    return capsys.readouterr().out if code == 0 else ""


def test_each_of_eight_cameras_is_shown_with_its_state_and_its_frames(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with tempfile.TemporaryDirectory(prefix="visaged-") as name:
        folder = Path(name)
        write_pictures(folder / "pictures", 2_000)
        sources = {f"camera-{number}": f"{folder}/pictures" for number in range(1, 8)}
        sources[AWAY] = "rtsp://127.0.0.1:9/nothing"
        cameras = "".join(
            f"[[camera]]\nname = '{name}'\nsource = '{source}'\nrealtime = true\n"
            for name, source in sources.items()
        )
        file = folder / "config.toml"
        file.write_text(
            f"[daemon]\nstate_dir = '{folder}/state'\n[events]\nbind = 'ipc://{folder}/events'\n"
            f"replay = 'ipc://{folder}/replay'\n{cameras}"
        )
        with serving(file, NoNets()):
            deadline_s = time.monotonic() + WAIT_S
            found: dict[str, dict[str, Any]] = {}
            while len(found) < 8 or any(
                not (each["state"] == "offline" if name == AWAY else each["frames_processed"])
                for name, each in found.items()
            ):
                assert time.monotonic() < deadline_s, found
                told = asked(file, capsys, "--json")
                found = {each["name"]: each for each in json.loads(told)["cameras"]} if told else {}
            table = asked(file, capsys)
    assert list(found) == list(sources)
    for name, each in found.items():
        assert each["frames_read"] >= each["frames_processed"] + each["frames_replaced"]
        assert each["state"] == ("offline" if name == AWAY else "online")
    assert "refused" in found[AWAY]["reason"]
    rows = {row.split()[0]: row for row in table.splitlines() if row.startswith("camera-")}
    assert list(rows) == list(sources)
    assert "offline" in rows[AWAY]
    assert all("online" in row for name, row in rows.items() if name != AWAY)
