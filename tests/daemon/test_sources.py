"""What a source string is, and that its password stays out of sight."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.config import CameraConfig, SecretSource
from daemon.sources import PasswordUnreadable, Source, parse, redacted


@pytest.mark.parametrize(
    ("text", "kind", "uri"),
    [
        (0, "webcam", "/dev/video0"),
        ("2", "webcam", "/dev/video2"),
        ("/dev/video1", "webcam", "/dev/video1"),
        ("/dev/v4l/by-id/usb-cam-index0", "webcam", "/dev/v4l/by-id/usb-cam-index0"),
        ("rtsp://cam/1", "stream", "rtsp://cam/1"),
        ("RTSPS://cam:322/1", "stream", "RTSPS://cam:322/1"),
        ("http://cam/video.mjpg", "stream", "http://cam/video.mjpg"),
        ("https://[::1]:8443/", "stream", "https://[::1]:8443/"),
        ("/videos/door.mp4", "path", "/videos/door.mp4"),
        ("file:///videos/door.mp4", "path", "/videos/door.mp4"),
        ("/videos/2024-01-01 10:00.mp4", "path", "/videos/2024-01-01 10:00.mp4"),
    ],
)
def test_each_form_of_source_is_told_apart(text: str | int, kind: str, uri: str) -> None:
    source = parse(text)
    assert (source.kind, source.uri) == (kind, uri)


def test_a_relative_path_is_made_absolute_so_that_ffmpeg_takes_no_part_of_it_for_a_scheme() -> None:
    assert parse("door:1.mp4").uri == str(Path.cwd() / "door:1.mp4")


def test_a_path_that_is_not_there_is_no_error_of_configuration() -> None:
    assert parse("/nowhere/at all.mp4").kind == "path"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        -1,
        "ftp://host/clip.mp4",
        "rtmp://cam/live",
        "rtsp://",
        "rtsp://host:port/",
        "rtsp://h:99999/",
    ],
)
def test_what_can_be_no_source_is_refused_in_one_line_that_says_what_would_be_right(text: str | int) -> None:
    with pytest.raises(ValueError, match="source must") as refusal:
        parse(text)
    assert "\n" not in str(refusal.value)
    assert "rtsp://" in str(refusal.value)


@pytest.mark.parametrize(
    "url",
    ["ftp://admin:hunter2@host/", "rtsp://admin:hunter2@host:badport/", "rtsp://admin:my hunter2@host/"],
)
def test_a_refusal_does_not_tell_the_password(url: str) -> None:
    with pytest.raises(ValueError, match="source must") as refusal:
        parse(url)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://cam:554/1", "rtsp://cam:554/1"),
        ("rtsp://admin:hunter2@cam:554/1", "rtsp://admin:***@cam:554/1"),
        ("rtsp://admin@cam/1", "rtsp://admin@cam/1"),
        ("rtsp://:hunter2@cam/1", "rtsp://:***@cam/1"),
        ("rtsp://admin:hun@ter2@cam/1", "rtsp://admin:***@cam/1"),
        ("rtsp://admin:hun/ter2@cam/1", "rtsp://admin:***@cam/1"),
        ("rtsp://admin:hun?ter2@cam/1", "rtsp://admin:***@cam/1"),
        ("rtsp://admin:hun#ter2@cam/1", "rtsp://admin:***@cam/1"),
        ("rtsp://admin:12/34@cam/1", "rtsp://admin:***@cam/1"),
        ("rtsp://admin:h@un/ter2@cam/1", "rtsp://admin:***@cam/1"),
        ("rtsp://admin:h@un#ter2@cam/1", "rtsp://admin:***@cam/1"),
        ("rtsp://admin:hun?key=ter2@cam/1", "rtsp://admin:***@cam/1"),
        ("rtsp://admin:hunter2@cam/1?token=hunter2@x&y=1", "rtsp://admin:***@cam/1?token=***&y=1"),
        ("rtsp://ann@home:hunter2@cam/1", "rtsp://ann@home:***@cam/1"),
        ("rtsp://ann@home:hun/t@er2@cam/1", "rtsp://ann@home:***@cam/1"),
        ("rtsp://ann@cam:554/1", "rtsp://ann@cam:554/1"),
        ("rtsp://admin:it's@cam/1", "rtsp://admin:***@cam/1"),
        ("http://cam/@door/1", "http://cam/@door/1"),
        ("http://cam/v?user=a&password=hunter2&x=1", "http://cam/v?user=a&password=***&x=1"),
        ("http://cam/v?usr=a&pwd=hunter2", "http://cam/v?usr=a&pwd=***"),
        ("http://cam/v?access_token=hunter2#t", "http://cam/v?access_token=***#t"),
        ("/videos/door.mp4", "/videos/door.mp4"),
        ("could not open 'rtsp://a:hunter2@cam/1': 401", "could not open 'rtsp://a:***@cam/1': 401"),
        ("rtsp://a:hunter2@cam/1 and http://b:hunter2@cam/2", "rtsp://a:***@cam/1 and http://b:***@cam/2"),
    ],
)
def test_secrets_are_starred_and_the_rest_is_left_as_it_is(text: str, shown: str) -> None:
    assert redacted(text) == shown


def test_a_source_does_not_show_its_password_when_it_is_printed() -> None:
    assert "hunter2" not in repr(Source("stream", "rtsp://admin:hunter2@cam/1"))


def test_only_files_and_folders_come_to_an_end() -> None:
    assert [parse(text).live for text in ("0", "rtsp://cam/1", "http://cam/1", "clip.mp4")] == [
        True,
        True,
        True,
        False,
    ]


def secret(url: str, file: Path) -> Source:
    return parse(SecretSource(url=url, password_file=file))


@pytest.mark.parametrize(
    ("url", "content", "opened"),
    [
        ("rtsp://admin@cam:554/1", "hunter2", "rtsp://admin:hunter2@cam:554/1"),
        ("rtsp://admin@cam/1", "hunter2\n", "rtsp://admin:hunter2@cam/1"),
        ("rtsp://admin@cam/1", "hunter2\r\n", "rtsp://admin:hunter2@cam/1"),
        ("rtsp://admin@cam/1", " p/@:#ü ", "rtsp://admin:%20p%2F%40%3A%23%C3%BC%20@cam/1"),
        ("http://admin@cam/v?a=b@c", "hunter2", "http://admin:hunter2@cam/v?a=b@c"),
    ],
)
def test_a_password_from_a_file_is_put_into_the_url_when_it_is_opened_and_not_before(
    tmp_path: Path, url: str, content: str, opened: str
) -> None:
    file = tmp_path / "password"
    file.write_text(content, encoding="utf-8", newline="")
    source = secret(url, file)
    assert source.uri == url
    assert source.uri_with_password() == opened
    assert "hunter2" not in redacted(source.uri_with_password())


def test_a_password_that_is_changed_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("hunter2")
    source = secret("rtsp://admin@cam/1", file)
    source.uri_with_password()
    file.write_text("hunter3")
    assert source.uri_with_password() == "rtsp://admin:hunter3@cam/1"


@pytest.mark.parametrize(
    "url",
    ["rtsp://cam/1", "rtsp://admin:hunter2@cam/1", "rtsp://:hunter2@cam/1", "clip.mp4", "/dev/video0", "0"],
)
def test_a_password_in_a_file_needs_a_url_with_a_user_and_without_a_password(url: str) -> None:
    with pytest.raises(
        ValueError, match=r"source\.url must be a stream with a user and no password"
    ) as refusal:
        secret(url, Path("/etc/password"))
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("content", ["", "\n", "two\nlines", "x" * 5000])
def test_a_file_that_holds_no_password_is_refused_and_not_shown(tmp_path: Path, content: str) -> None:
    file = tmp_path / "password"
    file.write_text(content)
    with pytest.raises(PasswordUnreadable, match="must be one line, the password"):
        secret("rtsp://admin@cam/1", file).uri_with_password()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PasswordUnreadable, match=r"password_file .*/nowhere: No such file"):
        secret("rtsp://admin@cam/1", tmp_path / "nowhere").uri_with_password()


def test_a_camera_does_not_show_the_password_of_its_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("hunter2")
    camera = CameraConfig(name="door", source=SecretSource(url="rtsp://admin@cam/1", password_file=file))
    assert "hunter2" not in repr(camera) + repr(parse(camera.source))
