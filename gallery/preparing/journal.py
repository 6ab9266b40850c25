"""Remembers in the crops' folder what was done, so that a run that was killed goes on where it was.

One JSON value a line, only ever added to. Before a crop is written its name is noted: a file of that name is
ours from then on. When it is there, and whole, what became of its image is noted. A line that a kill cut off
counts as if it had never been begun.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from io import RawIOBase
from pathlib import Path
from typing import Any, BinaryIO, get_args

from gallery.images import path_text
from gallery.preparing.errors import PreparingFailed, PreparingRefused
from gallery.preparing.rows import CropReason, Face, Row
from gallery.preparing.tree import Source

FOLDER = ".visaged-crop"
"""In the crops' folder; hidden, so that nobody takes it for a person's."""
VERSION = 1
REASONS = frozenset(reason for part in get_args(CropReason) for reason in (get_args(part) or (part,)))


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one image."""

    size_bytes: int
    """The image file's, as it was."""
    modified_unix_ns: int
    """The image file's, as it was."""
    rows: tuple[Row, ...]
    """Its lines of the manifest."""

    def is_of(self, source: Source) -> bool:
        """Whether the file is still as it was."""
        return (self.size_bytes, self.modified_unix_ns) == (source.size_bytes, source.modified_unix_ns)


class Journal:
    """What was done in one folder of crops; made by `opened`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.done: dict[str, Done] = {}
        """By the image's name."""
        self.owned: dict[str, None] = {}
        """Names of crops that we wrote or were about to, in that order."""
        self.outputs: set[str] = set()
        """Absolute paths of manifests and CSVs that we wrote or were about to."""
        self.options: dict[str, str] | None = None
        """As they were asked for when the folder was begun; None: it was not."""
        self._file: RawIOBase | None = None

    def begin(self, crops: Iterable[str]) -> None:
        """These are about to be written."""
        names = list(crops)
        self.owned |= dict.fromkeys(names)
        if names:
            self._add([{"writing": names}])

    def finish(self, source: Source, rows: tuple[Row, ...]) -> None:
        """This image is done, and its crops are there."""
        done = Done(source.size_bytes, source.modified_unix_ns, rows)
        self.done[source.name] = done
        self._add([{"done": source.name, **asdict(done)}])

    def begin_output(self, path: Path) -> None:
        """This manifest or CSV is about to be written."""
        self.outputs.add(os.path.realpath(path))
        self._add([{"output": os.path.realpath(path)}])

    def load(self, path: Path) -> None:
        """Reads what a run before this one noted."""
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                self._take(json.loads(line), first=number == 1)
            except (ValueError, TypeError, KeyError) as error:
                raise PreparingRefused(
                    f"{path_text(path)}: line {number} is damaged: --force begins anew"
                ) from error
        if len(whole) < len(content):
            os.truncate(path, len(whole))

    def begin_anew(self, path: Path, options: Mapping[str, str]) -> None:
        """Forgets what was done, but not which files are ours."""
        self.done.clear()
        lines: list[object] = [{"visaged_crop": VERSION, "options": dict(options)}]
        lines += [{"writing": list(self.owned)}] if self.owned else []
        lines += [{"output": output} for output in sorted(self.outputs)]
        part = path.with_suffix(".part")
        part.write_bytes(_text(lines))
        part.replace(path)

    def append_to(self, path: Path) -> None:
        """Opens the file for what is to come."""
        self._file = path.open("ab", buffering=0)

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _take(self, line: object, *, first: bool) -> None:
        if not isinstance(line, dict):
            raise TypeError(line)
        if first:
            if line["visaged_crop"] != VERSION:
                raise ValueError(line)
            self.options = {str(name): str(value) for name, value in line["options"].items()}
        elif "writing" in line:
            self.owned |= dict.fromkeys(map(str, line["writing"]))
        elif "output" in line:
            self.outputs.add(str(line["output"]))
        else:
            rows = tuple(_row(values) for values in line["rows"])
            self.done[str(line["done"])] = Done(int(line["size_bytes"]), int(line["modified_unix_ns"]), rows)

    def _add(self, lines: Sequence[object]) -> None:
        if self._file is None:
            raise PreparingFailed(f"{path_text(self.folder)}: can't be written any more")
        content = _text(lines)
        try:
            if self._file.write(content) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            # Half a line may be there: nothing must come after it.
            self.close()
            raise PreparingFailed(f"{path_text(self.folder)}: can't be written: {error.strerror}") from error


@contextmanager
def opened(crops: Path, options: Mapping[str, str], *, force: bool) -> Iterator[Journal]:
    """The journal of a folder of crops, for this run alone.

    PreparingRefused where the folder was begun with other options, or another run works on it;
    PreparingFailed where nothing can be written into it.
    """
    journal = Journal(crops / FOLDER)
    path = journal.folder / "journal.jsonl"
    try:
        journal.folder.mkdir(parents=True, exist_ok=True)
        lock = (journal.folder / "lock").open("wb")
    except OSError as error:
        raise PreparingRefused(f"{path_text(crops)}: can't be written to: {error.strerror}") from error
    with lock:
        _lock(lock, crops)
        if path.exists():
            _load(journal, path, force=force)
        if journal.options is not None and not force:
            _check_options(crops, journal.options, options)
        try:
            if force or journal.options is None:
                journal.begin_anew(path, options)
            journal.append_to(path)
        except OSError as error:
            raise PreparingFailed(f"{path_text(crops)}: can't be written to: {error.strerror}") from error
        try:
            yield journal
        finally:
            journal.close()


def _lock(lock: BinaryIO, crops: Path) -> None:
    """The lock goes with the process, however it ends."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise PreparingRefused(f"{path_text(crops)}: another visaged crop is at work there") from error
    except OSError:
        pass  # Some file systems have no locks; that nobody else is at work is then for the owner to see to.


def _load(journal: Journal, path: Path, *, force: bool) -> None:
    try:
        journal.load(path)
    except PreparingRefused:
        # Damaged, and to be begun anew: what was read before the damage is still true.
        if not force:
            raise


def _check_options(crops: Path, begun: Mapping[str, str], asked: Mapping[str, str]) -> None:
    names = [name for name in asked if begun.get(name) != asked[name]]
    if names:
        changes = ", ".join(f"{name} {begun.get(name)}, now {asked[name]}" for name in names)
        raise PreparingRefused(
            f"{path_text(crops)} was begun with {changes}: ask for the same, take another folder, "
            "or begin anew with --force"
        )


def _text(lines: Iterable[object]) -> bytes:
    """Names that are no UTF-8 stay as they are, as escaped surrogates."""
    return b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines)


def _row(values: Mapping[str, Any]) -> Row:
    """As asdict wrote it, checked."""
    if values["reason"] not in REASONS:
        raise ValueError(values["reason"])
    crop, face, pixels = values["crop"], values["face"], values["pixels"]
    left, top, right, bottom = map(int, pixels or (0, 0, 0, 0))
    return Row(
        source=str(values["source"]),
        crop=None if crop is None else str(crop),
        reason=values["reason"],
        face=None if face is None else _face(face),
        pixels=None if pixels is None else (left, top, right, bottom),
    )


def _face(values: Mapping[str, Any]) -> Face:
    left, top, right, bottom = map(float, values["box"])
    landmarks = tuple((float(x), float(y)) for x, y in values["landmarks"])
    return Face((left, top, right, bottom), float(values["score"]), landmarks)
