"""An archive is one zip file that tells by itself whether it is whole, and is written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import struct
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from gallery.errors import ArchiveRefused
from gallery.new_file import open_beside

MANIFEST = "manifest.json"
VERSION = 1
"""Of the archive's outer shape; an archive of another is refused."""
MOST_BYTES = 8 << 30
"""Of an archive. Members are stored, not packed, so that none can become larger than the file is."""
MOST_MEMBERS = 1_000_000
MOST_MANIFEST_BYTES = 256 << 20
SEAL = b"visaged sha256 "
SEAL_BYTES = len(SEAL) + 64
"""The zip's comment: a SHA-256 of every byte before its hexadecimal digits."""
FILE_MODE = 0o600
SAFE_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}(/[a-z0-9][a-z0-9_.-]{0,99})?")
NOON = (2000, 1, 1, 12, 0, 0)
"""Every member's time; when an archive was made stands in its manifest."""
CHUNK_BYTES = 1 << 20

Told = Mapping[str, object]
"""What else the manifest says; JSON."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An archive that was found whole."""

    kind: str
    """What it holds: gallery or backup."""
    told: Told
    """What its maker wrote into the manifest."""
    members: Mapping[str, int]
    """Bytes of each, by name."""
    _zip: zipfile.ZipFile

    def read(self, name: str, most_bytes: int) -> bytes:
        """A member's bytes; ArchiveRefused where it is missing or larger."""
        size = self.members.get(name)
        if size is None or size > most_bytes:
            raise ArchiveRefused(f"{name} is {'missing' if size is None else f'{size} bytes large'}")
        return self._zip.read(name)

    def extract(self, name: str, target: IO[bytes]) -> None:
        """Writes a member into a file."""
        if name not in self.members:
            raise ArchiveRefused(f"{name} is missing")
        with self._zip.open(name) as source:
            shutil.copyfileobj(source, target, CHUNK_BYTES)


def write(target: IO[bytes], kind: str, told: Told, members: Mapping[str, bytes | Path]) -> None:
    """Fills an empty file with an archive; members are bytes, or files to be copied."""
    digests: dict[str, object] = {}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            digests[name] = _add(archive, name, content)
        manifest = {"format": "visaged", "version": VERSION, "kind": kind, **told, "members": digests}
        text = json.dumps(manifest, ensure_ascii=False, indent=1, allow_nan=False)
        _add(archive, MANIFEST, text.encode())
        archive.comment = SEAL + b"0" * 64
    target.flush()
    _seal(target)


@contextmanager
def created(path: Path, *, force: bool) -> Iterator[IO[bytes]]:
    """A file that takes its place when all went well: whole, on the disk, and for its owner alone.

    ArchiveRefused where there is one and not `force`.
    """
    try:
        handle, new = open_beside(path)
    except OSError as error:
        raise ArchiveRefused(f"{path} can't be written: {error.strerror}") from error
    try:
        with os.fdopen(handle, "w+b") as target:
            if not force and path.exists():
                raise ArchiveRefused(f"{path} is there already; name another file, or say --force")
            os.fchmod(handle, FILE_MODE)
            yield target
            target.flush()
            os.fsync(handle)
            # While it is open, nobody takes it for what a kill left.
            _put(new, path, force=force)
    except OSError as error:
        raise ArchiveRefused(f"{path} can't be written: {error.strerror or error}") from error
    finally:
        new.unlink(missing_ok=True)


@contextmanager
def opened(source: IO[bytes], kind: str) -> Iterator[Opened]:
    """An archive of this kind of which every byte is as it was written; else ArchiveRefused."""
    size = _check_seal(source)
    with zipfile_of(source) as archive:
        yield _checked(archive, kind, size)


@contextmanager
def zipfile_of(source: IO[bytes]) -> Iterator[zipfile.ZipFile]:
    """A zip file to read; what is wrong with it, also while it is read, becomes ArchiveRefused."""
    try:
        with zipfile.ZipFile(source) as archive:
            yield archive
    except (zipfile.BadZipFile, NotImplementedError, EOFError, UnicodeDecodeError, struct.error) as error:
        raise ArchiveRefused(f"it is damaged: {error}") from error


def _add(archive: zipfile.ZipFile, name: str, content: bytes | Path) -> dict[str, object]:
    entry = zipfile.ZipInfo(name, NOON)
    entry.external_attr = FILE_MODE << 16
    digest, size = hashlib.sha256(), 0
    with archive.open(entry, "w", force_zip64=isinstance(content, Path)) as member:
        for chunk in _chunks(content):
            digest.update(chunk)
            size += len(chunk)
            member.write(chunk)
    return {"sha256": digest.hexdigest(), "bytes": size}


def _chunks(content: bytes | Path) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _seal(target: IO[bytes]) -> None:
    end = target.seek(0, os.SEEK_END)
    digest = _digest(target, end - 64)
    target.seek(end - 64)
    target.write(digest.encode())
    target.flush()


def _digest(file: IO[bytes], size: int) -> str:
    """Of the first so many bytes."""
    file.seek(0)
    digest = hashlib.sha256()
    while size > 0 and (chunk := file.read(min(size, CHUNK_BYTES))):
        digest.update(chunk)
        size -= len(chunk)
    return digest.hexdigest()


def _check_seal(source: IO[bytes]) -> int:
    """The archive's size in bytes."""
    size = source.seek(0, os.SEEK_END)
    if size > MOST_BYTES:
        raise ArchiveRefused(f"it is larger than {MOST_BYTES >> 30} GB")
    source.seek(max(0, size - SEAL_BYTES))
    seal = source.read(SEAL_BYTES)
    if not seal.startswith(SEAL) or len(seal) < SEAL_BYTES:
        raise ArchiveRefused("it is no archive of visaged, or its end is missing")
    if _digest(source, size - 64).encode() != seal[len(SEAL) :]:
        raise ArchiveRefused("it is damaged: its content is not what was written")
    source.seek(0)
    return size


def _checked(archive: zipfile.ZipFile, kind: str, size: int) -> Opened:
    """A digest that fits proves no good will: names, sizes and packing are looked at all the same."""
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    if len(entries) > MOST_MEMBERS or len(set(names)) != len(names) or names[-1:] != [MANIFEST]:
        raise ArchiveRefused("its members are not those of an archive of visaged")
    for entry in entries:
        if not SAFE_NAME.fullmatch(entry.filename):
            raise ArchiveRefused(f"a member is named {entry.filename!a}, which no archive of visaged holds")
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise ArchiveRefused(f"{entry.filename} is packed, which no member of an archive of visaged is")
    # Members that lie over one another would be read over and over.
    if sum(entry.file_size for entry in entries) > size:
        raise ArchiveRefused("its members are larger than the file")
    if archive.getinfo(MANIFEST).file_size > MOST_MANIFEST_BYTES:
        raise ArchiveRefused(f"{MANIFEST} is too large")
    manifest = _manifest(archive.read(MANIFEST), kind)
    members = manifest.pop("members")
    if not isinstance(members, dict) or set(members) != set(names) - {MANIFEST}:
        raise ArchiveRefused("its manifest names other members than it holds")
    for entry in entries[:-1]:
        _check_member(archive, entry, members[entry.filename])
    return Opened(kind, manifest, {entry.filename: entry.file_size for entry in entries[:-1]}, archive)


def _manifest(content: bytes, kind: str) -> dict[str, object]:
    try:
        manifest = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ArchiveRefused(f"{MANIFEST} is not JSON: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != "visaged":
        raise ArchiveRefused("it is no archive of visaged")
    if manifest.get("version") != VERSION:
        raise ArchiveRefused(
            f"it is of version {manifest.get('version')!a}, we know {VERSION}: use the visaged that made it"
        )
    if manifest.get("kind") != kind:
        advice = {"gallery": "visaged import", "backup": "visaged restore"}.get(str(manifest.get("kind")))
        raise ArchiveRefused(
            f"it holds a {manifest.get('kind')!a}, not a {kind}: {advice or 'see its maker'}"
        )
    return manifest


def _check_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, told: object) -> None:
    digest = hashlib.sha256()
    with archive.open(entry) as member:
        while chunk := member.read(CHUNK_BYTES):
            digest.update(chunk)
    if told != {"sha256": digest.hexdigest(), "bytes": entry.file_size}:
        raise ArchiveRefused(f"{entry.filename} is not what its manifest says")


def _put(new: Path, path: Path, *, force: bool) -> None:
    if force:
        new.replace(path)
    else:
        try:
            os.link(new, path)
        except FileExistsError:
            raise ArchiveRefused(f"{path} is there already; name another file, or say --force") from None
        except OSError:
            # A file system without links, as on many a USB stick.
            if path.exists():
                raise ArchiveRefused(f"{path} is there already") from None
            new.replace(path)
    sync_folder(path.absolute().parent)


def sync_folder(folder: Path) -> None:
    """What was renamed in it stays so when the power goes."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
