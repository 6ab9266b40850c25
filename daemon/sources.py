"""Says what the text behind `source` is, and keeps its password out of everything that people read."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import quote, urlsplit

SourceKind = Literal["webcam", "stream", "path"]

KNOWN_FORMS = "a webcam's index, /dev/video…, rtsp://…, http://…, a video file or a folder of images"
"""What may stand behind `source`, as told to somebody who wrote something else."""

STREAM_SCHEMES = ("rtsp", "rtsps", "http", "https")
WEBCAM_FOLDERS = ("/dev/video", "/dev/v4l/")

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_SECRET_PARAMETER = re.compile(
    r"([?&;][^=&;#]*(?:pass|pwd|token|secret|auth|key)[^=&;#]*=)[^&;#]*", re.IGNORECASE
)


MOST_PASSWORD_BYTES = 4096
"""A file that is longer is another one, taken for it."""


class PasswordUnreadable(ValueError):
    """There is no password in the file where it should be; the text says why, in one line."""


class SecretSource(Protocol):
    """A source whose password stands in a file, as the configuration has it."""

    @property
    def url(self) -> str:
        """With a user and without a password."""

    @property
    def password_file(self) -> Path:
        """Where the password is."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a camera's pictures come from."""

    kind: SourceKind
    """webcam: a V4L2 device. stream: RTSP or HTTP. path: a video file or a folder, as it will turn out."""
    uri: str
    """An absolute path, or the URL with its password: `redacted` before anybody sees it."""
    password_file: Path | None = None
    """Holds the password that the URL does not; None: there is none but that."""

    def uri_with_password(self) -> str:
        """What is opened. Raises PasswordUnreadable; the file is read anew each time."""
        if self.password_file is None:
            return self.uri
        scheme, _, rest = self.uri.partition("://")
        user, _, place = rest.partition("@")
        return f"{scheme}://{user}:{quote(_password_in(self.password_file), safe='')}@{place}"

    @property
    def live(self) -> bool:
        """Whether it goes on for ever and is reopened when it is lost."""
        return self.kind != "path"

    def __repr__(self) -> str:
        return f"Source(kind={self.kind!r}, uri={redacted(self.uri)!r})"


def parse(source: str | int | SecretSource) -> Source:
    """What this source is; ValueError with one line if it can't be any. Whether it is there is not asked."""
    if not isinstance(source, str | int):
        return _parse_secret(source.url, source.password_file)
    text = str(source).strip()
    if re.fullmatch(r"[0-9]+", text):
        return Source("webcam", f"/dev/video{int(text)}")
    if isinstance(source, int) or not text:
        raise ValueError(f"source must be {KNOWN_FORMS}, not {source!r}")
    if scheme := _SCHEME.match(text):
        return _parse_url(scheme[1].lower(), text)
    if text.startswith(WEBCAM_FOLDERS):
        return Source("webcam", text)
    return Source("path", str(Path(text).expanduser().absolute()))


def redacted(text: str) -> str:
    """The same URL, or a text with URLs in it, with stars for passwords and tokens."""
    return _URL.sub(lambda url: _without_secrets(url[0]), text)


def _parse_secret(url: str, password_file: Path) -> Source:
    source = parse(url)
    parts = urlsplit(source.uri) if source.kind == "stream" else None
    if parts is None or not parts.username or parts.password is not None:
        form = "rtsp://user@host/path"
        raise ValueError(
            f"source.url must be a stream with a user and no password, {form}, not {redacted(url)}"
        )
    return replace(source, password_file=password_file)


def _password_in(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST_PASSWORD_BYTES + 1)
        password = content.decode().rstrip("\r\n")
    except OSError as error:
        raise PasswordUnreadable(f"password_file {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise PasswordUnreadable(f"password_file {file}: not UTF-8 text") from None
    if not password or len(content) > MOST_PASSWORD_BYTES or "\n" in password:
        raise PasswordUnreadable(f"password_file {file}: must be one line, the password")
    return password


def _parse_url(scheme: str, url: str) -> Source:
    if scheme == "file":
        return Source("path", str(Path(url[len("file://") :]).absolute()))
    if scheme not in STREAM_SCHEMES:
        raise ValueError(f"source must be {KNOWN_FORMS}, not {redacted(url)}")
    if re.search(r"\s", url):  # Not shown: what is no URL can't be redacted.
        raise ValueError(f"source must have %20 for a space in a {scheme}:// URL")
    try:
        parts = urlsplit(url)
        there = bool(parts.hostname) and parts.port != 0
    except ValueError:
        there = False
    if not there:
        raise ValueError(
            f"source must name a host and a valid port, as in {scheme}://host:554/path, not {redacted(url)}"
        )
    return Source("stream", url)


def _without_secrets(url: str) -> str:
    scheme, _, rest = url.partition("://")
    user, _, secret = rest.partition(":")
    _, at, after = secret.partition("@")
    if at and not re.search("[/?#]", user):
        # Up to the last @: a password may have one in it, or a slash, that was not escaped. So may a user.
        place = _SECRET_PARAMETER.sub(r"\1***", after).rpartition("@")[2]
        return f"{scheme}://{user}:***@{place}"
    return _SECRET_PARAMETER.sub(r"\1***", url)
