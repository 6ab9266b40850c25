"""The configuration: config.toml says what the code does, and what can't be is refused in one line."""

from __future__ import annotations

import re
import tomllib
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from daemon.config import CameraConfig, Config
from daemon.config_file import TABLES, find, load, parse
from daemon.errors import ConfigError
from gallery.decision import Rules
from tests.conftest import REPOSITORY

SHIPPED = REPOSITORY / "config.toml"


def test_the_shipped_file_sets_exactly_the_defaults() -> None:
    assert load(SHIPPED) == Config()


def test_the_shipped_file_names_every_key_and_no_other() -> None:
    shown = re.sub(r"^# (?=[a-z_]+ = )", "", SHIPPED.read_text(), flags=re.MULTILINE)
    document = tomllib.loads(shown)
    assert set(document) == set(TABLES)
    for table, holder in TABLES.items():
        keys = document[table][0] if table == "camera" else document[table]
        assert set(keys) == {field.name for field in fields(holder)}, table


def test_every_key_of_the_shipped_file_has_a_comment_above_it() -> None:
    lines = SHIPPED.read_text().splitlines()
    starts = [number for number, line in enumerate(lines) if re.match(r"(# )?[a-z_]+ = ", line)]
    assert len(starts) > 15
    for number in starts:
        above = lines[number - 1]
        # width and height share one sentence.
        assert re.match(r"# [A-Z]", above) or re.match(r"# [a-z_]+ = ", above), lines[number]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[encoder]\nthreshhold = 1.0", "encoder.threshhold: unknown key; did you mean threshold?"),
        ("speed = 1", "speed: unknown key; known are daemon, camera"),
        ('[encoder]\nthreshold = "a"', "encoder.threshold: must be a valid number, not 'a'"),
        ("[encoder]\nthreshold = 0", "encoder.threshold: must be greater than 0, not 0"),
        ("[encoder]\nthreshold = nan", "encoder.threshold: must be a finite number, not nan"),
        ('[encoder]\nname = "resnet"', "encoder.name: must be 'dlib', 'sface' or 'facenet', not 'resnet'"),
        ('[daemon]\ndevice = "gpu"', 'daemon.device: must be "auto", "cpu", "cuda"'),
        ("[daemon]\nthreads = 1.5", "daemon.threads: must be a valid integer, not 1.5"),
        ("[daemon]\nthreads = 0", "daemon.threads: must be greater than or equal to 1, not 0"),
        ("[daemon]\nstate_dir = 3", "daemon.state_dir: must be a valid string, not 3"),
        ('[daemon]\nstate_dir = ""', "daemon.state_dir: must be a path, not ''"),
        (
            '[daemon]\nstate_dir = "~nobody-of-that-name/x"',
            "daemon.state_dir: must be a path; there is no such",
        ),
        ('[gallery]\npath = "a\\u0000b"', "gallery.path: must be a path"),
        ("daemon = 3", "daemon: must be a table, not 3"),
        ('[camera]\nname = "a"', "camera: must be [[camera]] tables"),
        ("camera = []", "camera: needs at least one [[camera]] table"),
        ('[[camera]]\nname = "a"', "camera[0].source: must be a webcam's index"),
        ("[[camera]]\nsource = 0", "camera[0].name: must be letters"),
        (
            '[[camera]]\nname = "Front Door"\nsource = 0',
            "camera[0].name: must be letters a-z, digits, - and _",
        ),
        ('[[camera]]\nname = "a/b"\nsource = 0', "camera[0].name: must be letters a-z, digits, - and _"),
        ('[[camera]]\nname = "a"\nsource = -1', "camera[0].source: must be a webcam's index"),
        ('[[camera]]\nname = "a"\nsource = true', "camera[0].source: must be a webcam's index"),
        (
            '[[camera]]\nname = "a"\nsource = { url = "rtsp://u@h/" }',
            "camera[0].source.password_file: is missing",
        ),
        (
            '[[camera]]\nname = "a"\nsource = { url = "rtsp://u@h/", password_file = "p", pasword = "" }',
            "camera[0].source.pasword: unknown key; did you mean password_file?",
        ),
        (
            '[[camera]]\nname = "a"\nsource = { url = "rtsp://u@h/", password_file = 3 }',
            "camera[0].source.password_file: must be a valid string, not 3",
        ),
        ('[[camera]]\nname = "a"\nsource = [0]', "camera[0].source: must be a webcam's index"),
        (
            '[[camera]]\nname = "a"\nsource = 0\nbackend = "gst"',
            "camera[0].backend: must be 'opencv' or 'pyav', not 'gst'",
        ),
        ('[[camera]]\nname = "a"\nsource = 0\nfps = 0', "camera[0].fps: must be greater than 0, not 0"),
        ('[[camera]]\nname = "a"\nsource = 0\nfourcc = "MJPEG"', "camera[0].fourcc: must be four letters"),
        (
            '[[camera]]\nname = "a"\nsource = 0\n[[camera]]\nname = "a"\nsource = 1',
            "camera: each camera needs a name of its own; a is there twice",
        ),
        ("[detector]\nthresholds = [0.6, 0.7]", "detector.thresholds[2]: must be three numbers"),
        ("[detector]\nmin_face_px = 4", "detector.min_face_px: must be greater than or equal to 12, not 4"),
        ('[events]\nbind = "udp://x"', "events.bind: must be an endpoint such as"),
        ("[events]\nsightings = 1", "events.sightings: must be a valid boolean, not 1"),
        ("[events]\ndeadline_ms = 0", "events.deadline_ms: must be greater than 0, not 0"),
        ("[events]\ndeadline_ms = inf", "events.deadline_ms: must be a finite number, not inf"),
        ('[events]\ndeadline_ms = "2 s"', "events.deadline_ms: must be a valid number, not '2 s'"),
        ("[daemon", "not valid TOML"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_with_file_key_value_and_what_would_be_right(
    text: str, told: str
) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse(text, "my.toml")
    assert str(refusal.value).startswith(f"my.toml: {told}")
    assert "\n" not in str(refusal.value)


def test_a_refused_source_is_not_repeated_because_it_may_hold_a_password() -> None:
    with pytest.raises(ConfigError) as refusal:
        parse('[[camera]]\nname = "a"\nsource = ["rtsp://me:secret@door/"]', "my.toml")
    assert "secret" not in str(refusal.value)


def test_a_whole_number_does_where_a_fraction_may_stand() -> None:
    assert parse("[encoder]\nthreshold = 1", "my.toml").encoder.threshold == 1.0


@pytest.mark.parametrize(
    ("text", "threshold"),
    [
        ("", 0.52),
        ("mirror = true", 0.51),
        ('name = "sface"', 1.05),
        ('name = "sface"\nmirror = true', 1.05),
        ('threshold = 0.4\nname = "sface"', 0.4),
    ],
)
def test_a_threshold_that_is_not_given_is_the_encoders_own(text: str, threshold: float) -> None:
    assert parse(f"[encoder]\n{text}", "my.toml").encoder.threshold == threshold


def test_the_rules_of_a_decision_are_gathered_from_their_tables() -> None:
    config = parse("[encoder]\nthreshold = 0.4\ncalibrated = false\n[tracker]\nmargin = 0.1", "my.toml")
    assert config.rules == Rules(threshold=0.4, margin=0.1, hysteresis=0.03, calibrated=False)


def test_settings_do_not_change_once_read() -> None:
    with pytest.raises(FrozenInstanceError):
        Config().daemon.device = "cpu"  # type: ignore[misc]


def test_a_missing_file_that_was_asked_for_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: cannot be read: No such file"):
        load(tmp_path / "nowhere.toml")


def test_another_file_taken_for_a_configuration_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        load(path)
    path.write_bytes(b"#" * (1 << 20) + b"##")
    with pytest.raises(ConfigError, match="larger than 1 MiB"):
        load(path)


def test_the_environment_names_the_file_and_the_command_line_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISAGED_CONFIG", str(tmp_path / "environment.toml"))
    assert find(None) == tmp_path / "environment.toml"
    assert find(tmp_path / "given.toml") == tmp_path / "given.toml"


def test_without_any_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VISAGED_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert load(None).camera == (CameraConfig(name="webcam", source=0),)


def test_a_file_in_a_folder_that_is_closed_to_us_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VISAGED_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "visaged" / "config.toml"

    def refuse(path: Path, *arguments: object, **options: object) -> bool:
        if path == own:
            raise PermissionError(13, "Permission denied")
        return False

    # Whoever runs the tests may be root, to whom no folder is closed.
    monkeypatch.setattr(Path, "is_file", refuse)
    assert find(None) == own


def test_a_home_is_found_wherever_a_path_begins_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    config = parse('[daemon]\nstate_dir = "~/state"\n[gallery]\npath = "~/people.db"', "my.toml")
    assert config.state_dir == Path("/home/ann/state")
    assert config.gallery_path == Path("/home/ann/people.db")


def test_state_lives_where_systemd_says_else_in_the_users_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert Config().gallery_path == tmp_path / "visaged" / "gallery.db"
    assert Config().control_path == tmp_path / "visaged" / "control.sock"
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/visaged:/var/lib/other")
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/visaged")
    assert Config().state_dir == Path("/var/lib/visaged")
    assert Config().control_path == Path("/run/visaged/control.sock")
