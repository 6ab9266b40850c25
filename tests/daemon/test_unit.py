"""`visaged service`: the unit in place, and an administrator's commands on the service's own gallery."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from daemon import unit
from daemon.cli.app import run_command_line
from daemon.config import Config
from daemon.control import ControlServer, Facts, Live
from daemon.errors import UsageError
from gallery.people import NewReference
from gallery.store import Gallery
from tests.conftest import REPOSITORY


@pytest.fixture
def folder() -> Iterator[Path]:
    """With a short path, for sockets."""
    with tempfile.TemporaryDirectory(prefix="visaged-") as name:
        yield Path(name)


def test_the_unit_starts_the_visaged_of_this_environment(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["service", "install", "--print"]) == 0
    text = capsys.readouterr().out
    assert f"\nExecStart={sys.prefix}/bin/visaged run --config /etc/visaged/config.toml\n" in text
    shipped = (REPOSITORY / "deploy" / "visaged.service").read_text()
    assert re.sub("ExecStart=.*", "", text) == re.sub("ExecStart=.*", "", shipped)


def test_a_path_that_systemd_would_take_apart_is_refused_or_escaped() -> None:
    with pytest.raises(UsageError, match="no space"):
        unit.unit_text(Path("/opt/my apps/visaged"))
    assert "\nExecStart=/opt/50%%/bin/visaged run" in unit.unit_text(Path("/opt/50%"))


def test_what_is_installed_is_the_administrators_from_then_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(*arguments: str) -> list[str]:
        assert run_command_line(["service", *arguments, "--prefix", str(tmp_path), "--json"]) == 0
        return [put["done"] for put in json.loads(capsys.readouterr().out)]

    assert told("install") == ["written", "written"]
    config = tmp_path / unit.CONFIG
    assert config.read_text() == (REPOSITORY / "config.toml").read_text()
    config.write_text("# mine\n")
    assert told("install") == ["unchanged", "kept"]
    (tmp_path / unit.UNIT).write_text("of an older version\n")
    assert told("install") == ["written", "kept"]
    assert told("uninstall") == ["removed", "kept"]
    assert not (tmp_path / unit.UNIT).exists()
    assert told("uninstall") == ["missing", "kept"]
    assert config.read_text() == "# mine\n"


def test_only_root_may(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for command in ("install", "uninstall"):
        assert run_command_line(["service", command]) == 2
        assert "only root may change /etc" in capsys.readouterr().err


def test_a_folder_that_takes_no_files_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "etc").write_text("in the way")
    assert run_command_line(["service", "install", "--prefix", str(tmp_path)]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_an_administrators_commands_reach_the_services_gallery(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("STATE_DIRECTORY", "RUNTIME_DIRECTORY", "VISAGED_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "own"))
    monkeypatch.setattr("daemon.config.SERVICE_CONTROL", folder / "run" / "control.sock")
    config = folder / "config.toml"
    config.write_text("[events]\nreplay = 'off'\n")
    assert Config().reached_path == Config().control_path
    (folder / "run").mkdir(mode=0o700)
    with Gallery.open(folder / "lib" / "gallery.db") as gallery:
        gallery.add("Ann", [NewReference(np.ones(128, np.float32), "m", "a" * 64, "a.jpg", 1.0)], 0)
    facts = Facts("0.1.0", str(folder / "lib" / "gallery.db"), "m", str(folder / "lib"))
    live = Live(lambda camera: None, lambda track: None, dict)
    with ControlServer(folder / "run" / "control.sock", facts, live):
        assert run_command_line(["people", "--json", "--config", str(config)]) == 0
        assert [person["name"] for person in json.loads(capsys.readouterr().out)] == ["Ann"]
        # The daemon itself never takes the service's place, nor do those who say which state they mean.
        assert Config().control_path == folder / "own" / "visaged" / "control.sock"
        monkeypatch.setenv("STATE_DIRECTORY", str(folder / "other"))
        assert Config().reached_path == folder / "other" / "control.sock"
