"""What the daemon and a capture process say to each other: a JSON line each, and an empty line a frame.

Daemon to process: `Setting` first; then, for a file that is read in step, an empty line asks for the next
frame. Process to daemon: `Opened`, an empty line for each frame in the slot, and at last `Ended` or `Failed`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

from daemon.sources import SourceKind

Cause = Literal["unreachable", "silent", "ended", "behind", "resized", "process", "secret"]
"""Why a camera was lost, for counting.

unreachable: it can't be opened. silent: no frame for too long. ended: the stream is over. behind: its own
time falls behind the clock. resized: its pictures have another size. process: the capture process died, or
can't be started. secret: its password can't be read.
"""

NOTICE = b"\n"
"""A frame is in the slot, or: the next, please. One byte, so that it is sent whole or not at all."""


@dataclass(frozen=True, slots=True)
class Setting:
    """All that a capture process has to know. Carries the password: it never stands in an argument list."""

    kind: SourceKind
    backend: Literal["opencv", "pyav"]
    uri: str
    slot_descriptor: int
    """Of the shared memory, inherited under the same number."""
    first_index: int
    """The index of the first frame: a camera that is reopened counts on."""
    started_unix_ns: int
    started_monotonic_ns: int
    """The start of the run on both clocks, from which the frames of a file count."""
    realtime: bool
    max_fps: float | None
    width: int | None
    height: int | None
    fps: float | None
    fourcc: str | None
    open_timeout_s: float
    read_timeout_s: float
    first_frame_timeout_s: float
    behind_s: float

    @property
    def paced(self) -> bool:
        """Whether frames come at their own rate and the newest wins; else each waits to be asked for."""
        return self.realtime or self.kind != "path"


@dataclass(frozen=True, slots=True)
class Opened:
    """The source is open; no frame has been read yet."""

    description: str
    """Size, rate and format as the device says them, for the log."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The file is over; its last frame is in the slot."""

    unreadable: int
    """Images of a folder that could not be decoded and were passed over."""
    first_unreadable: str | None
    """The name of the first of them."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The source can't be opened, or is lost."""

    reason: str
    cause: Cause


Message = Setting | Opened | Ended | Failed
_KINDS: dict[str, type[Message]] = {kind.__name__: kind for kind in (Setting, Opened, Ended, Failed)}


def to_line(message: Message) -> bytes:
    """One line of JSON, its end included."""
    return json.dumps({"message": type(message).__name__, **asdict(message)}).encode() + b"\n"


def from_line(line: bytes) -> Message:
    """The message of one line that is not empty."""
    fields = json.loads(line)
    return _KINDS[fields.pop("message")](**fields)
