"""Settles whom to enrol from which images, before the first image is opened."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gallery.audit_findings import Code
from gallery.errors import GalleryError, ImageReason, NameRefused
from gallery.images import path_text
from gallery.people import clean_name

CONSENT_FILE = "consent.toml"
"""In a folder of people, beside them: on what terms they are enrolled (gallery/consent_folder.py)."""

Reason = Literal[
    ImageReason,
    Code,
    "no_face",
    "several_faces",
    "face_too_small",
    "duplicate_image",
    "bad_name",
    "stray_file",
    "empty_folder",
]
"""Why an image or a folder was not taken; docs/gallery.md says what helps."""


@dataclass(frozen=True, slots=True)
class PersonImages:
    """One person to enrol, and from what."""

    name: str
    """Composed (NFC), as it will be kept."""
    images: tuple[Path, ...]
    """In the order in which they are told about."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An image or folder that was not taken."""

    image: str
    """Its path, as it was given."""
    reason: Reason
    """A code for programs."""
    detail: str
    """One line for a person: what was found, and what helps."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Whom to enrol from which images, settled before the first is opened."""

    people: tuple[PersonImages, ...]
    """Each name once."""
    refused: tuple[Refused, ...] = ()
    """What lies in a folder of people and can't be anybody's image."""
    tree: Path | None = None
    """The folder out of which no image may lead; None: images were named one by one."""

    @property
    def image_count(self) -> int:
        """How many images will be judged: the length of a progress bar."""
        return sum(len(person.images) for person in self.people)


def plan_person(name: str, images: Sequence[Path]) -> Plan:
    """One person from these images; raises NameRefused."""
    return Plan((PersonImages(clean_name(name), tuple(images)),))


def plan_folder(folder: Path) -> Plan:
    """A person for each folder in this one, named as it is; hidden files are skipped, strays told about.

    Raises GalleryError where the folder can't be listed.
    """
    try:
        entries = _visible(folder)
    except OSError as error:
        detail = f"{error.strerror}; it must be a folder that holds a folder for each person"
        raise GalleryError(f"{path_text(folder)}: {detail}") from error
    people: dict[str, list[Path]] = {}
    refused: list[Refused] = []
    if not entries:
        refused.append(Refused(path_text(folder), "empty_folder", "it must hold a folder for each person"))
    for entry in entries:
        if entry.name == CONSENT_FILE:
            continue
        if _leads_out(entry, folder):
            detail = "it leads out of the folder; put the pictures themselves there"
            refused.append(Refused(path_text(entry), "outside_tree", detail))
            continue
        if not entry.is_dir():
            detail = "not in anybody's folder; put it into one that has the person's name"
            refused.append(Refused(path_text(entry), "stray_file", detail))
            continue
        try:
            name = clean_name(entry.name)
            images = _visible(entry)
        except NameRefused as error:
            refused.append(Refused(path_text(entry), "bad_name", str(error)))
        except OSError as error:
            refused.append(
                Refused(path_text(entry), "unreadable", f"the folder can't be listed: {error.strerror}")
            )
        else:
            if not images:
                refused.append(Refused(path_text(entry), "empty_folder", "there is no image in it"))
            people.setdefault(name, []).extend(images)
    return Plan(
        tuple(PersonImages(name, tuple(images)) for name, images in people.items() if images),
        tuple(refused),
        folder,
    )


def _leads_out(entry: Path, folder: Path) -> bool:
    return entry.is_symlink() and not Path(os.path.realpath(entry)).is_relative_to(os.path.realpath(folder))


def _visible(folder: Path) -> list[Path]:
    """What a folder holds, without hidden files, in the order of the names as they would be kept."""
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    return sorted(entries, key=lambda entry: (unicodedata.normalize("NFC", entry.name), entry.name))
