"""Thresholds and what else decides on names: a change of them stands in the trail."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from daemon.config import Config
from daemon.config_file import parse
from daemon.settings_noted import decisive, note_settings
from gallery.store import Gallery


def configured(text: str = "") -> Config:
    return parse(text, "config.toml")


def test_a_change_is_noted_once_and_the_revision_stays(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "gallery.db") as gallery:
        for text in ("", "", "[encoder]\nthreshold = 0.5", "[encoder]\nthreshold = 0.5", ""):
            note_settings(gallery, configured(text), "daemon")
        entries = gallery.trail()
        assert [(each.what, each.who, each.detail["threshold"]) for each in entries] == [
            ("settings", "daemon", 0.52),
            ("settings", "daemon", 0.5),
            ("settings", "daemon", 0.52),
        ]
        assert gallery.revision == 0


@pytest.mark.parametrize(
    "text", ["[tracker]\nmargin = 0.1", "[encoder]\ncalibrated = false", "[gallery]\nrequire_consent = true"]
)
def test_whatever_decides_counts(tmp_path: Path, text: str) -> None:
    with Gallery.open(tmp_path / "gallery.db") as gallery:
        assert note_settings(gallery, configured(), "")
        assert note_settings(gallery, configured(text), "")
        assert gallery.trail()[-1].detail == decisive(configured(text))


def test_what_does_not_decide_does_not(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "gallery.db") as gallery:
        note_settings(gallery, configured(), "")
        assert not note_settings(gallery, configured("[journal]\nkeep_days = 3"), "")


def test_a_gallery_that_is_held_by_somebody_is_no_reason_not_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("gallery.schema.BUSY_TIMEOUT_S", 0.05)
    with Gallery.open(tmp_path / "gallery.db") as gallery:
        other = sqlite3.connect(gallery.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert not note_settings(gallery, configured(), "")
        other.execute("ROLLBACK")
        other.close()
    assert "not noted" in caplog.text
